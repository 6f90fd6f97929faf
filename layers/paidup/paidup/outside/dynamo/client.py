"""DynamoDB's calls: single rows, rows read together, pages of rows, and rows written together or not at all.

LostRace    another writer was first: read again, merge again
TooLate     the caller's deadline has passed before the call was made
"""

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from paidup.outside.deadline import passed
from paidup.outside.dynamo import items
from paidup.outside.dynamo.items import Item, Key

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PAGE = 100
TRIES = 12


class LostRace(Exception):
    """Another writer moved the account since it was read."""


class TooLate(Exception):
    """The caller waits no longer, so that nothing more is asked or written for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows of the table called *name*."""

    client: "DynamoDBClient"
    name: str

    def _asked_by_ref(self, ref: str, **more: Any) -> dict[str, Any]:
        return {
            "TableName": self.name,
            "IndexName": items.BY_REF,
            "KeyConditionExpression": "#ref = :ref",
            "ExpressionAttributeNames": {"#ref": "ref"},
            "ExpressionAttributeValues": items.serialize({":ref": ref}),
            **more,
        }

    def _put(self, item: Item, **guard: Any) -> Item:
        return {"Put": {"TableName": self.name, "Item": item, **guard}}

    def _get(self, key: Key) -> Item | None:
        answer = self.client.get_item(TableName=self.name, Key=items.serialize(key), ConsistentRead=True)
        return answer.get("Item")

    def _read_together(self, keys: Sequence[Key]) -> dict[tuple[str, str], Item]:
        wanted = [{"Get": {"TableName": self.name, "Key": items.serialize(key)}} for key in keys]
        for _ in attempts():
            try:
                answer = self.client.transact_get_items(TransactItems=wanted)  # type: ignore[arg-type]  # built, not literal
            except ClientError as error:
                if _race(error) is None:
                    raise
                continue  # a writer is in the midst of it
            return {_address(one["Item"]): one["Item"] for one in answer["Responses"] if one.get("Item")}
        raise LostRace

    def _items_under(self, pk: str, prefix: str, most: int, *, newest_first: bool = True) -> Iterator[Item]:
        asked: dict[str, Any] = {
            "TableName": self.name,
            "KeyConditionExpression": "pk = :pk" + (" AND begins_with(sk, :prefix)" if prefix else ""),
            "ExpressionAttributeValues": items.serialize({":pk": pk} | ({":prefix": prefix} if prefix else {})),
            "ConsistentRead": True,
            "ScanIndexForward": not newest_first,
            "Limit": min(most, PAGE),
        }
        for n, item in enumerate(self._pages(asked), start=1):
            yield item
            if n == most:
                return

    def _pages(self, asked: dict[str, Any]) -> Iterator[Item]:
        while True:
            answer = self.client.query(**asked)
            yield from answer["Items"]
            if not (last := answer.get("LastEvaluatedKey")):
                return
            asked = {**asked, "ExclusiveStartKey": last}

    def _read_apart(self, keys: Sequence[Key]) -> dict[tuple[str, str], Item]:
        """Return what lies at *keys*, each row consistent by itself, in one call."""
        left: Any = {self.name: {"Keys": [items.serialize(key) for key in keys], "ConsistentRead": True}}
        found: list[Any] = []
        for _ in attempts():
            answer = self.client.batch_get_item(RequestItems=left)
            found += answer["Responses"].get(self.name, [])
            if not (left := answer.get("UnprocessedKeys")):
                return {_address(item): item for item in found}
        raise LostRace

    def _write(self, puts: Sequence[Item]) -> None:
        """Write all of *puts* or none. Raises LostRace where a condition does not hold."""
        try:
            self.client.transact_write_items(TransactItems=puts)  # type: ignore[arg-type]  # rows are built, not literal
        except ClientError as error:
            raise _race(error) or error from error


def attempts(most: int = TRIES) -> Iterator[int]:
    """Yield up to *most* tries, with a growing, jittered pause (at most 0.5 s) between one and the next; none past the
    deadline.
    """
    for n in range(most):
        if n and passed():
            return
        if n:
            time.sleep(random.uniform(0, min(0.02 * 2**n, 0.5)))  # noqa: S311 - spreads writers, guards nothing
        yield n


def refuse_when_late(**_: Any) -> None:
    """Raise TooLate instead of sending a request, the first or a repeated one, past the caller's deadline."""
    if passed():
        raise TooLate


def _address(item: Item) -> tuple[str, str]:
    return item["pk"]["S"], item["sk"]["S"]


def _race(error: ClientError) -> LostRace | None:
    """Return the lost race that *error* tells of, if it is one: a failed condition, or a conflict in the midst."""
    if error.response["Error"]["Code"] not in ("TransactionCanceledException", "TransactionConflictException"):
        return None
    codes = {reason.get("Code") for reason in error.response.get("CancellationReasons", [])}
    lost = codes & {"ConditionalCheckFailed", "TransactionConflict"}
    return LostRace() if lost or not codes else None
