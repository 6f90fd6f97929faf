"""DynamoDB in memory, as far as paidup's table asks for it, counting the capacity that each call consumes.

Reads and writes are counted as Amazon's documentation says: a strongly consistent read takes one unit per 4 KB, an
eventually consistent one half of it, a transactional one twice; a write takes one unit per 1 KB, a transactional one
twice. A query pays for what it reads together. Writes to indexes are not counted.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

Wire = dict[str, Any]
Address = tuple[str, str]
INDEXES = {"by_ref": ("ref", "ref_at"), "by_due": ("due_shard", "due_at")}


class MemoryTable:
    """A DynamoDB client with one table in memory. `before` is called with every operation's name, and may raise."""

    def __init__(self, *, counted: bool = True) -> None:
        """Begin with nothing; what is not *counted* is faster."""
        self.counted = counted
        self.rows: dict[Address, Wire] = {}
        self.consumed = 0.0
        self.before: Callable[[str], Callable[[], None] | None] = lambda _: None
        self._under: dict[str, list[str]] = {}
        self._indexes: dict[str, dict[str, list[tuple[float, Address]]]] = {name: {} for name in INDEXES}

    def get_item(self, *, Key: Wire, **_: Any) -> Wire:  # noqa: N803 - boto3's own names
        """Return the item under *Key*."""
        after = self.before("get_item")
        row = self.rows.get(_address(Key))
        self._read([row] if row else [], units=1.0)
        _done(after)
        return {"Item": row} if row else {}

    def batch_get_item(self, *, RequestItems: Wire) -> Wire:  # noqa: N803
        """Return the items that are there."""
        ((table, wanted),) = RequestItems.items()
        found = [row for key in wanted["Keys"] if (row := self.rows.get(_address(key)))]
        self._read(found, units=1.0)
        return {"Responses": {table: found}, "UnprocessedKeys": {}}

    def transact_get_items(self, *, TransactItems: list[Wire]) -> Wire:  # noqa: N803
        """Return the items in the order asked for."""
        found = [self.rows.get(_address(one["Get"]["Key"])) for one in TransactItems]
        self._read([row for row in found if row], units=2.0)
        return {"Responses": [{"Item": row} if row else {} for row in found]}

    def put_item(self, *, Item: Wire, **_: Any) -> Wire:  # noqa: N803
        """Write an item."""
        after = self.before("put_item")
        self._write(Item, units=1.0)
        _done(after)
        return {}

    def transact_write_items(self, *, TransactItems: list[Wire]) -> Wire:  # noqa: N803
        """Write all items, or none where a condition fails."""
        after = self.before("transact_write_items")
        puts = [one["Put"] for one in TransactItems]
        if any(not self._holds(put) for put in puts):
            reasons = [{"Code": "None" if self._holds(put) else "ConditionalCheckFailed"} for put in puts]
            answer: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
            raise ClientError(answer, "TransactWriteItems")
        for put in puts:
            self._write(put["Item"], units=2.0)
        _done(after)
        return {}

    def query(
        self,
        *,
        ExpressionAttributeValues: Wire,  # noqa: N803
        Limit: int,  # noqa: N803
        IndexName: str | None = None,  # noqa: N803
        ScanIndexForward: bool = True,  # noqa: N803
        ExclusiveStartKey: Wire | None = None,  # noqa: N803
        **_: Any,
    ) -> Wire:
        """Return a page of the items under a key, of the table or of an index."""
        self.before("query")
        values = {name: _plain(value) for name, value in ExpressionAttributeValues.items()}
        if IndexName:
            hash_name = INDEXES[IndexName][0]
            entries = self._indexes[IndexName].get(values[":shard" if hash_name == "due_shard" else ":ref"], [])
            until = values.get(":now", float("inf"))
            found = [address for at, address in entries[: bisect_left(entries, (until, ("\uffff", "")))]]
        else:
            prefix = values.get(":prefix", "")
            found = [(values[":pk"], sk) for sk in self._under.get(values[":pk"], []) if sk.startswith(prefix)]
        if not ScanIndexForward:
            found.reverse()
        if ExclusiveStartKey and _address(ExclusiveStartKey) in found:
            found = found[found.index(_address(ExclusiveStartKey)) + 1 :]
        page = [self.rows[address] for address in found[:Limit]]
        self._read(page, units=0.5 if IndexName else 1.0, together=True)
        more = {"LastEvaluatedKey": _key(page[-1], IndexName)} if len(found) > Limit else {}
        return {"Items": page, **more}

    def holds_due(self, *, now: int) -> bool:
        """Whether a sweep at *now* would find anything."""
        return any(entries and entries[0][0] <= now for entries in self._indexes["by_due"].values())

    def _holds(self, put: Mapping[str, Any]) -> bool:
        there = self.rows.get(_address(put["Item"]))
        match put.get("ConditionExpression"):
            case None:
                return True
            case "attribute_not_exists(pk)":
                return there is None
            case "version = :read":
                return there is not None and there["version"] == put["ExpressionAttributeValues"][":read"]
            case other:
                raise ValueError(f"a condition that this table does not know: {other}")

    def _write(self, row: Wire, *, units: float) -> None:
        if self.counted:
            self.consumed += units * -(-_size(row) // 1024)
        address = _address(row)
        old = self.rows.get(address)
        for name, (hash_name, range_name) in INDEXES.items():
            if old and hash_name in old:
                entries = self._indexes[name][old[hash_name]["S"]]
                del entries[bisect_left(entries, (float(old[range_name]["N"]), address))]
            if hash_name in row:
                insort(
                    self._indexes[name].setdefault(row[hash_name]["S"], []),
                    (float(row[range_name]["N"]), address),
                )
        if old is None:
            insort(self._under.setdefault(address[0], []), address[1])
        self.rows[address] = row

    def _read(self, found: list[Wire], *, units: float, together: bool = False) -> None:
        if not self.counted:
            return
        sizes = [sum(map(_size, found))] if together else [_size(row) for row in found]
        self.consumed += sum(units * max(1, -(-size // 4096)) for size in sizes or [0])


def _done(after: Callable[[], None] | None) -> None:
    if after:
        after()


def _address(row: Wire) -> Address:
    return row["pk"]["S"], row["sk"]["S"]


def _key(row: Wire, index: str | None) -> Wire:
    names = ("pk", "sk", *(INDEXES[index] if index else ()))
    return {name: row[name] for name in names}


def _plain(value: Wire) -> Any:
    ((kind, inner),) = value.items()
    return float(inner) if kind == "N" else inner


def _size(value: Any) -> int:
    """Return how many bytes DynamoDB counts, near enough: names and values, numbers at half their digits."""
    if isinstance(value, dict):
        return sum(len(str(name)) + _size(inner) for name, inner in value.items())
    return sum(_size(inner) for inner in value) if isinstance(value, list) else len(str(value))
