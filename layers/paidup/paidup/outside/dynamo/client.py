"""Calling DynamoDB: read one item, many items or pages of items, and write items together or not at all."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from paidup.outside.deadline import passed
from paidup.outside.dynamo import items
from paidup.outside.dynamo.items import Item, Key
from paidup.outside.retry import LostRace, TooLate, attempts

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PAGE = 100
TRIED_AGAIN = {"ConditionalCheckFailed", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TableClient:
    """The DynamoDB table *name*, as items."""

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

    def _delete(self, key: Key) -> Item:
        return {"Delete": {"TableName": self.name, "Key": items.serialize(key)}}

    def _get(self, key: Key) -> Item | None:
        answer = self.client.get_item(TableName=self.name, Key=items.serialize(key), ConsistentRead=True)
        return answer.get("Item")

    def _one[T](self, kind: type[T], key: Key) -> T | None:
        item = self._get(key)
        return items.read_item(kind, item) if item else None

    def _items_under(
        self, pk: str, prefix: str, most: int, *, newest_first: bool = True, after: Key | None = None
    ) -> Iterator[Item]:
        asked: dict[str, Any] = {
            "TableName": self.name,
            "KeyConditionExpression": "pk = :pk" + (" AND begins_with(sk, :prefix)" if prefix else ""),
            "ExpressionAttributeValues": items.serialize({":pk": pk} | ({":prefix": prefix} if prefix else {})),
            "ConsistentRead": True,
            "ScanIndexForward": not newest_first,
            "Limit": min(most, PAGE),
            **({"ExclusiveStartKey": items.serialize(after)} if after else {}),
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

    def _whole(self, listed: Iterable[Item]) -> list[Item]:
        """Return the items that the index by_ref *listed*, in its order, whole and as they are now.

        The index holds keys and ids alone, and may lag. Items that are no longer listed there are left out.
        """
        refs = {_address(item): item["ref"] for item in listed}
        found = self._get_all([{"pk": pk, "sk": sk} for pk, sk in refs])
        return [item for place, ref in refs.items() if (item := found.get(place)) and item.get("ref") == ref]

    def _get_all(self, keys: Sequence[Key]) -> dict[tuple[str, str], Item]:
        """Return the items at *keys*, by (pk, sk). Each item is read consistently, but the items are no snapshot.

        One call reads at most 100 items. Raises TooLate if DynamoDB keeps items unprocessed.
        """
        found: list[Any] = []
        for first in range(0, len(keys), PAGE):
            wanted = [items.serialize(key) for key in keys[first : first + PAGE]]
            left: Any = {self.name: {"Keys": wanted, "ConsistentRead": True}}
            for _ in attempts():
                answer = self.client.batch_get_item(RequestItems=left)
                found += answer["Responses"].get(self.name, [])
                if not (left := answer.get("UnprocessedKeys")):
                    break
            else:
                raise TooLate
        return {_address(item): item for item in found}

    def _write(self, puts: Sequence[Item]) -> None:
        """Write all of *puts* or none. Raises LostRace if another writer was first, or the write was throttled."""
        try:
            self.client.transact_write_items(TransactItems=puts)  # type: ignore[arg-type]  # items are built, not literal
        except ClientError as error:
            if race := _race(error):
                raise race from error
            raise


def refuse_when_late(**_: Any) -> None:
    """Raise TooLate before a request is sent after the caller's deadline. botocore's own retries count too."""
    if passed():
        raise TooLate


def _address(item: Item) -> tuple[str, str]:
    return item["pk"]["S"], item["sk"]["S"]


def _race(error: ClientError) -> LostRace | None:
    """Return LostRace if *error* is a failed condition, a conflict or a throttled write. Else return None.

    botocore never tries a cancelled transaction again, so we do.
    """
    if error.response["Error"]["Code"] not in ("TransactionCanceledException", "TransactionConflictException"):
        return None
    codes = {reason.get("Code") for reason in error.response.get("CancellationReasons", [])}
    lost = codes & TRIED_AGAIN
    return LostRace() if lost or not codes else None
