"""DynamoDB in memory, as far as paidup's table asks for it, counting the capacity that each call consumes.

Reads and writes are counted as Amazon's documentation says: a strongly consistent read takes one unit per 4 KB, an
eventually consistent one half of it; a write takes one unit per 1 KB, a transactional one
twice. A query pays, a page at a time, for all that its key condition reads together. Writes to indexes are not counted.

What DynamoDB refuses is refused alike. What paidup does not ask for today, an expression or a parameter, is an error
here, so that nothing goes uncounted.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from zlib import crc32

from botocore.exceptions import ClientError, ParamValidationError
from paidup.outside.dynamo import items

from tools.fakes.memory import keys, refusals
from tools.fakes.memory.expressions import Placeholders, any_holds, assigned, holds
from tools.fakes.memory.keys import Address, Entries
from tools.fakes.memory.refusals import invalid
from tools.fakes.memory.values import Item, copied, stored

MOST_TOGETHER = 100
MOST_BYTES_ITEM = 400 * 1024
MOST_BYTES_PAGE = 1024 * 1024
MOST_BYTES_BATCH = 16 * 1024 * 1024
MOST_BYTES_TRANSACTION = 4 * 1024 * 1024


class MemoryTable:
    """A DynamoDB client with one table in memory. `before` is called with every operation's name, and may raise."""

    exceptions = refusals.exceptions

    def __init__(self, name: str = "paidup") -> None:
        """Begin with an empty table called *name*."""
        self.name = name
        self.rows: dict[Address, Item] = {}
        self.consumed = 0.0
        self.before: Callable[[str], Callable[[], None] | None] = lambda _: None
        self._sizes: dict[Address, int] = {}
        self._carried_out: set[str] = set()
        self._entries: dict[str, dict[str, Entries]] = {index: {} for index in keys.KEYS}

    def get_item(
        self,
        *,
        TableName: str,  # noqa: N803 - boto3's own names
        Key: Item,  # noqa: N803
        ConsistentRead: bool = False,  # noqa: N803
        ProjectionExpression: str | None = None,  # noqa: N803
        ExpressionAttributeNames: Item | None = None,  # noqa: N803
    ) -> Item:
        """Return the item under *Key*, or the attributes that the projection names, which costs as much."""
        after = self.before("get_item")
        self._check_name(TableName)
        placeholders = Placeholders(ExpressionAttributeNames or {}, {})
        wanted = placeholders.projection(ProjectionExpression) if ProjectionExpression else None
        placeholders.check_used()
        (found,) = self._found([keys.key_address(Key)], units=1.0 if ConsistentRead else 0.5)
        _done(after)
        if found is None:
            return {}
        return {"Item": found if wanted is None else {name: found[name] for name in wanted if name in found}}

    def batch_get_item(self, *, RequestItems: Item) -> Item:  # noqa: N803
        """Return the items that are there, and the keys that one answer has no room for."""
        after = self.before("batch_get_item")
        ((table, wanted),) = RequestItems.items()
        self._check_name(table)
        _check_some("Keys", wanted["Keys"])
        _check_together(f"RequestItems.{table}.member.Keys", wanted["Keys"])
        addresses = [keys.key_address(key) for key in wanted["Keys"]]
        if len(set(addresses)) < len(addresses):
            raise invalid("Provided list of item keys contains duplicates")
        read, cut = self._fitting(addresses, MOST_BYTES_BATCH)
        found = self._found(read, units=1.0 if wanted.get("ConsistentRead") else 0.5)
        _done(after)
        left = {table: wanted | {"Keys": wanted["Keys"][len(read) :]}} if cut else {}
        return {"Responses": {table: [row for row in found if row]}, "UnprocessedKeys": left}

    def put_item(
        self,
        *,
        TableName: str,  # noqa: N803
        Item: Item,  # noqa: N803
        ReturnValuesOnConditionCheckFailure: str = "NONE",  # noqa: N803
        **guard: Any,
    ) -> Item:
        """Write an item, if its condition holds. A refusal tells what is there, if `ALL_OLD` asks for it."""
        after = self.before("put_item")
        self._check_name(TableName)
        row, size = keys.accepted(Item)
        _check_fits(row, size)
        if not self._holds(row, guard):
            old = self.rows.get(keys.address(row)) if ReturnValuesOnConditionCheckFailure == "ALL_OLD" else None
            raise refusals.condition_failed(copied(old) if old else None)
        self._write(row, size, units=1.0)
        _done(after)
        return {}

    def update_item(self, *, TableName: str, Key: Item, UpdateExpression: str, **guard: Any) -> Item:  # noqa: N803
        """Set attributes of an item, if its condition holds. The expression is `SET name = :value, …`."""
        after = self.before("update_item")
        self._check_name(TableName)
        old = self.rows.get(keys.key_address(Key), dict(Key))
        placeholders = Placeholders({}, guard.pop("ExpressionAttributeValues"))
        changed = assigned(UpdateExpression, placeholders)
        if not holds(guard.pop("ConditionExpression", None), placeholders, old if old != Key else {}):
            raise refusals.condition_failed()
        if guard:
            raise NotImplementedError(f"an update with {', '.join(guard)}, which this table does not know")
        row, size = keys.accepted({**old, **changed})
        _check_fits(row, size)
        self._write(row, size, units=1.0)
        _done(after)
        return {}

    def delete_item(self, *, TableName: str, Key: Item, ReturnValues: str = "NONE") -> Item:  # noqa: N803
        """Remove the item under *Key*, if it is there. With `ALL_OLD`, return it."""
        after = self.before("delete_item")
        self._check_name(TableName)
        if ReturnValues not in ("NONE", "ALL_OLD"):
            raise invalid("Return values set to invalid value")
        address = keys.key_address(Key)
        old = self.rows.get(address)
        self._delete(address, units=1.0)
        _done(after)
        return {"Attributes": copied(old)} if old and ReturnValues == "ALL_OLD" else {}

    def transact_write_items(self, *, TransactItems: Sequence[Item], ClientRequestToken: str = "") -> Item:  # noqa: N803
        """Write and delete all items, or none if a condition fails. A request that comes again is not carried out."""
        after = self.before("transact_write_items")
        if ClientRequestToken in self._carried_out:
            return {}
        asked = self._asked_together(TransactItems)
        puts = {n: keys.accepted(one.pop("Item")) for n, one in enumerate(asked) if "Item" in one}
        deletes = {n: keys.key_address(one.pop("Key")) for n, one in enumerate(asked) if n not in puts}
        _check_once([*(keys.address(row) for row, _ in puts.values()), *deletes.values()])
        if sum(size for _, size in puts.values()) > MOST_BYTES_TRANSACTION:
            raise invalid("Transaction request exceeds the 4MB transaction size limit")
        reasons = [self._reason_against(*puts[n], one) if n in puts else None for n, one in enumerate(asked)]
        if any(reasons):
            raise refusals.canceled(reasons)
        for row, size in puts.values():
            self._write(row, size, units=2.0)
        for address in deletes.values():
            self._delete(address, units=2.0)
        if ClientRequestToken:
            self._carried_out.add(ClientRequestToken)
        _done(after)
        return {}

    def query(
        self,
        *,
        TableName: str,  # noqa: N803
        KeyConditionExpression: str,  # noqa: N803
        ExpressionAttributeValues: Item,  # noqa: N803
        Limit: int | None = None,  # noqa: N803
        ExpressionAttributeNames: Item | None = None,  # noqa: N803
        IndexName: str = keys.OWN,  # noqa: N803
        ConsistentRead: bool = False,  # noqa: N803
        ScanIndexForward: bool = True,  # noqa: N803
        ExclusiveStartKey: Item | None = None,  # noqa: N803
    ) -> Item:
        """Return a page of the items that the key condition names, of the table or of an index."""
        self.before(f"query {IndexName}".strip())
        self._check_name(TableName)
        if Limit is not None and Limit < 1:
            raise ParamValidationError(report=f"Invalid value for parameter Limit, value: {Limit}, valid min value: 1")
        if IndexName not in keys.KEYS:
            raise invalid(f"The table does not have the specified index: {IndexName}")
        if IndexName and ConsistentRead:
            raise invalid("Consistent reads are not supported on global secondary indexes")
        placeholders = Placeholders(ExpressionAttributeNames or {}, ExpressionAttributeValues)
        partition, bounds = keys.key_condition(placeholders.terms(KeyConditionExpression), IndexName)
        placeholders.check_used()
        entries = self._entries[IndexName].get(partition, [])
        first, end = keys.between(entries, bounds)
        if ExclusiveStartKey:
            there = keys.start(ExclusiveStartKey, partition, IndexName)
            if ScanIndexForward:
                first = max(first, bisect_right(entries, there))
            else:
                end = min(end, bisect_left(entries, there))
        places = range(first, end) if ScanIndexForward else range(end - 1, first - 1, -1)
        page, cut = self._fitting([entries[place][1] for place in places[:Limit]], MOST_BYTES_PAGE, IndexName)
        self._count(page, units=1.0 if ConsistentRead else 0.5, index=IndexName, together=True)
        rows = [copied(keys.projected(self.rows[address], IndexName)) for address in page]
        answer = {"Items": rows, "Count": len(rows), "ScannedCount": len(rows)}
        if cut or len(page) == Limit:
            answer["LastEvaluatedKey"] = keys.evaluated(page[-1], rows[-1], IndexName)
        return answer

    def scan(
        self,
        *,
        TableName: str,  # noqa: N803
        Segment: int = 0,  # noqa: N803
        TotalSegments: int = 1,  # noqa: N803
        FilterExpression: str | None = None,  # noqa: N803
        ProjectionExpression: str | None = None,  # noqa: N803
        ExpressionAttributeNames: Item | None = None,  # noqa: N803
        ExpressionAttributeValues: Item | None = None,  # noqa: N803
        ExclusiveStartKey: Item | None = None,  # noqa: N803
    ) -> Item:
        """Return a page of a segment's items for which the filter holds. All that were read are paid for."""
        self.before("scan")
        self._check_name(TableName)
        placeholders = Placeholders(ExpressionAttributeNames or {}, ExpressionAttributeValues or {})
        wanted = placeholders.projection(ProjectionExpression) if ProjectionExpression else None
        addresses = sorted(one for one in self.rows if crc32(one[0].encode()) % TotalSegments == Segment)
        first = bisect_right(addresses, keys.key_address(ExclusiveStartKey)) if ExclusiveStartKey else 0
        page, cut = self._fitting(addresses[first:], MOST_BYTES_PAGE)
        self._count(page, units=0.5, together=True)
        terms = placeholders.terms(FilterExpression) if FilterExpression else [[]]
        placeholders.check_used()
        found = [self.rows[address] for address in page if any_holds(terms, self.rows[address])]
        rows = [copied(row if wanted is None else {name: row[name] for name in wanted if name in row}) for row in found]
        answer = {"Items": rows, "Count": len(rows), "ScannedCount": len(page)}
        return answer | ({"LastEvaluatedKey": keys.evaluated(page[-1], {}, keys.OWN)} if cut else {})

    def fill(self, row: Item, addresses: Iterable[Address]) -> None:
        """Let the one *row* lie under every address, uncounted, as if each were a row of its own that cost as much."""
        row, size = stored(row)
        for address in addresses:
            self._lay(row, size, address)

    def holds_due(self, *, now: int) -> bool:
        """Whether a sweep at *now* would find anything."""
        due_at = self.next_due()
        return due_at is not None and due_at <= now

    def next_due(self) -> int | None:
        """Return the second from which on a sweep finds anything. None: nothing is due at any time."""
        shards = self._entries["by_due"].items()
        first = (entries[0][0] for shard, entries in shards if entries and shard not in items.RUNNING_SHARDS)
        return min(map(int, first), default=None)

    def _check_name(self, name: str) -> None:
        if name != self.name:
            raise refusals.no_such_table()

    def _asked_together(self, asked: Sequence[Item]) -> list[Item]:
        """Return what a transaction puts and deletes, which is all that this table knows to do in one. A delete has no
        condition.
        """
        _check_some("TransactItems", asked)
        _check_together("transactItems", asked)
        if others := {kind for one in asked for kind in one} - {"Put", "Delete"}:
            raise NotImplementedError(f"a transaction with {', '.join(others)}, which this table does not know")
        found = [dict(one.get("Put") or one["Delete"]) for one in asked]
        for one in found:
            self._check_name(one.pop("TableName"))
            if "Key" in one and one.keys() != {"Key"}:
                raise NotImplementedError("a delete with a condition, which this table does not know")
        return found

    def _found(self, addresses: Sequence[Address], *, units: float) -> list[Item | None]:
        self._count(addresses, units=units)
        return [copied(row) if (row := self.rows.get(address)) else None for address in addresses]

    def _fitting(self, addresses: list[Address], most_bytes: int, index: str = keys.OWN) -> tuple[list[Address], bool]:
        """Return the first of *addresses* whose items have *most_bytes* together, and whether others are left."""
        size = 0
        for number, address in enumerate(addresses):
            size += self._size(address, index)
            if size > most_bytes:
                return addresses[:number], True
        return addresses, False

    def _reason_against(self, row: Item, size: int, guard: Item) -> ClientError | None:
        try:
            _check_fits(row, size)
        except ClientError as refusal:
            return refusal
        return None if self._holds(row, guard) else refusals.condition_failed()

    def _holds(self, row: Item, guard: Item) -> bool:
        if unknown := guard.keys() - {
            "ConditionExpression",
            "ExpressionAttributeNames",
            "ExpressionAttributeValues",
        }:
            raise NotImplementedError(f"a write with {', '.join(unknown)}, which this table does not know")
        placeholders = Placeholders(
            guard.get("ExpressionAttributeNames", {}), guard.get("ExpressionAttributeValues", {})
        )
        return holds(guard.get("ConditionExpression"), placeholders, self.rows.get(keys.address(row), {}))

    def _write(self, row: Item, size: int, *, units: float) -> None:
        self.consumed += units * max(1, -(-size // 1024))
        self._lay(row, size, keys.address(row))

    def _delete(self, address: Address, *, units: float) -> None:
        self.consumed += units * max(1, -(-self._sizes.get(address, 0) // 1024))
        if address not in self.rows:
            return
        self._unlist(address)
        entries = self._entries[keys.OWN][address[0]]
        del entries[bisect_left(entries, (address[1], address))]
        del self.rows[address], self._sizes[address]

    def _unlist(self, address: Address) -> None:
        """Take the row at *address*, if there is one, out of the indexes."""
        for index, names in keys.KEYS.items():
            old = self.rows.get(address)
            if index != keys.OWN and old and (before := keys.place(old, names)):
                entries = self._entries[index][before[0]]
                del entries[bisect_left(entries, (before[1], address))]

    def _lay(self, row: Item, size: int, address: Address) -> None:
        if address not in self.rows:
            insort(self._entries[keys.OWN].setdefault(address[0], []), (address[1], address))
        self._unlist(address)
        for index, names in keys.KEYS.items():
            if index != keys.OWN and (now := keys.place(row, names)):
                insort(self._entries[index].setdefault(now[0], []), (now[1], address))
        self.rows[address] = row
        self._sizes[address] = size

    def _size(self, address: Address, index: str) -> int:
        """Return the bytes of the item at *address*, as the table or an index holds it."""
        if index == keys.OWN:
            return self._sizes.get(address, 0)
        return stored(keys.projected(self.rows[address], index))[1]

    def _count(
        self, addresses: Sequence[Address], *, units: float, index: str = keys.OWN, together: bool = False
    ) -> None:
        sizes = [self._size(address, index) for address in addresses]
        read = [sum(sizes)] if together else sizes
        self.consumed += sum(units * max(1, -(-size // 4096)) for size in read)


def _done(after: Callable[[], None] | None) -> None:
    if after:
        after()


def _check_fits(row: Item, size: int) -> None:
    keys.check_indexed(row)
    if size > MOST_BYTES_ITEM:
        raise invalid("Item size has exceeded the maximum allowed size")


def _check_once(addresses: Sequence[Address]) -> None:
    if len(set(addresses)) < len(addresses):
        raise invalid("Transaction request cannot include multiple operations on one item")


def _check_together(where: str, asked: Sequence[Any]) -> None:
    if len(asked) > MOST_TOGETHER:
        most = f"Member must have length less than or equal to {MOST_TOGETHER}"
        raise invalid(f"1 validation error detected: Value at '{where}' failed to satisfy constraint: {most}")


def _check_some(name: str, asked: Sequence[Any]) -> None:
    """Refuse an empty list before it is sent, as botocore does."""
    if not asked:
        raise ParamValidationError(report=f"Invalid length for parameter {name}, value: 0, valid min length: 1")
