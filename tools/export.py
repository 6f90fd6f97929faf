"""Reading the whole table, part by part. Commands do that for people who ask, functions never."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from paidup.outside.dynamo.items import deserialize, serialize
from paidup.outside.dynamo.table import Table

SEGMENTS = 4


def pages(table: Table, wanted: str, values: Mapping[str, Any], shown: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
    """Yield the items that meet *wanted*, a filter expression with *values*: of each the attributes *shown*, by pages.

    In *wanted* an attribute is called `#name`. The whole table is read, in four parts at a time. That costs half a read
    unit for each 4 KB of the table. A page may be empty.
    """
    asked: dict[str, Any] = {
        "TableName": table.name,
        "TotalSegments": SEGMENTS,
        "FilterExpression": wanted,
        "ProjectionExpression": ", ".join(f"#{name}" for name in shown),
        "ExpressionAttributeNames": {f"#{name}": name for name in shown},
        "ExpressionAttributeValues": serialize(values),
    }
    starts: list[Any] = [{"Segment": segment} for segment in range(SEGMENTS)]
    with ThreadPoolExecutor(SEGMENTS) as pool:
        while starts:
            answers = list(pool.map(lambda start: table.client.scan(**asked, **start), starts))
            for answer in answers:
                yield [deserialize(item) for item in answer["Items"]]
            starts = [
                {**start, "ExclusiveStartKey": answer["LastEvaluatedKey"]}
                for start, answer in zip(starts, answers, strict=True)
                if "LastEvaluatedKey" in answer
            ]
