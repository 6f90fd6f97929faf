"""DynamoDB in memory, as far as paidup's table asks for it, counting the capacity that each call consumes.

Reads and writes are counted as Amazon's documentation says: a strongly consistent read takes one unit per 4 KB, an
eventually consistent one half of it, a transactional one twice; a write takes one unit per 1 KB, a transactional one
twice. A query pays, a page at a time, for all that its key condition reads together. Writes to indexes are not counted.
What paidup does not ask for today, an expression or a parameter, is an error here, so that nothing goes uncounted.
"""

import re
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from botocore.exceptions import ClientError

Item = dict[str, Any]
Address = tuple[str, str]
Entries = list[tuple[Any, Address]]  # by range key: a number or a string, one kind within an index

OWN = ""  # the table's own keys, beside its indexes
KEYS = {OWN: ("pk", "sk"), "by_ref": ("ref", "ref_at"), "by_due": ("due_shard", "due_at")}
LAST = ("\uffff", "")
TERM = re.compile(r"(?P<name>#?\w+) (?P<how>=|<=) (?P<value>:\w+)|begins_with\((?P<begun>\w+), (?P<prefix>:\w+)\)")


class MemoryTable:
    """A DynamoDB client with one table in memory. `before` is called with every operation's name, and may raise."""

    def __init__(self, *, counted: bool = True) -> None:
        """Begin with nothing; what is not *counted* is faster."""
        self.counted = counted
        self.rows: dict[Address, Item] = {}
        self.consumed = 0.0
        self.before: Callable[[str], Callable[[], None] | None] = lambda _: None
        self._entries: dict[str, dict[str, Entries]] = {index: {} for index in KEYS}

    def get_item(self, *, TableName: str, Key: Item, ConsistentRead: bool) -> Item:  # noqa: ARG002, N803 - boto3's own names
        """Return the item under *Key*."""
        after = self.before("get_item")
        row = self.rows.get(_address(Key))
        self._read([row] if row else [], units=1.0 if ConsistentRead else 0.5)
        _done(after)
        return {"Item": row} if row else {}

    def batch_get_item(self, *, RequestItems: Item) -> Item:  # noqa: N803
        """Return the items that are there."""
        after = self.before("batch_get_item")
        ((table, wanted),) = RequestItems.items()
        found = [row for key in wanted["Keys"] if (row := self.rows.get(_address(key)))]
        self._read(found, units=1.0 if wanted["ConsistentRead"] else 0.5)
        _done(after)
        return {"Responses": {table: found}, "UnprocessedKeys": {}}

    def transact_get_items(self, *, TransactItems: list[Item]) -> Item:  # noqa: N803
        """Return the items in the order asked for."""
        after = self.before("transact_get_items")
        found = [self.rows.get(_address(one["Get"]["Key"])) for one in TransactItems]
        self._read([row for row in found if row], units=2.0)
        _done(after)
        return {"Responses": [{"Item": row} if row else {} for row in found]}

    def put_item(self, *, TableName: str, Item: Item) -> Item:  # noqa: ARG002, N803
        """Write an item."""
        after = self.before("put_item")
        self._write(Item, units=1.0)
        _done(after)
        return {}

    def transact_write_items(self, *, TransactItems: list[Item]) -> Item:  # noqa: N803
        """Write all items, or none where a condition fails."""
        after = self.before("transact_write_items")
        puts = [one["Put"] for one in TransactItems]
        if len({_address(put["Item"]) for put in puts}) < len(puts):
            raise ValueError("a transaction that writes one item twice")
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
        TableName: str,  # noqa: ARG002, N803
        KeyConditionExpression: str,  # noqa: N803
        ExpressionAttributeValues: Item,  # noqa: N803
        Limit: int,  # noqa: N803
        ExpressionAttributeNames: Mapping[str, str] | None = None,  # noqa: N803
        IndexName: str = OWN,  # noqa: N803
        ConsistentRead: bool = False,  # noqa: N803
        ScanIndexForward: bool = True,  # noqa: N803
        ExclusiveStartKey: Item | None = None,  # noqa: N803
    ) -> Item:
        """Return a page of the items that the key condition names, of the table or of an index."""
        self.before(f"query {IndexName}".strip())
        if IndexName and ConsistentRead:
            raise ValueError("an index is never read consistently")
        asked = _terms(KeyConditionExpression, ExpressionAttributeNames or {}, ExpressionAttributeValues)
        entries, first, end = self._between(IndexName, asked)
        if ExclusiveStartKey:
            there = (_plain(ExclusiveStartKey[KEYS[IndexName][1]]), _address(ExclusiveStartKey))
            first = max(first, bisect_right(entries, there)) if ScanIndexForward else first
            end = end if ScanIndexForward else min(end, bisect_left(entries, there))
        read = entries[first : min(end, first + Limit)] if ScanIndexForward else entries[max(first, end - Limit) : end]
        addresses = [address for _, address in (read if ScanIndexForward else reversed(read))]
        page = [self.rows[address] for address in addresses]
        self._read(page, units=1.0 if ConsistentRead else 0.5, together=True)
        more = {"LastEvaluatedKey": _key(addresses[-1], page[-1], IndexName)} if len(page) == Limit else {}
        return {"Items": page, **more}

    def fill(self, row: Item, addresses: Iterable[Address]) -> None:
        """Let the one *row* lie under every address, uncounted, as if each were a row of its own that cost as much."""
        for address in addresses:
            self._lay(row, address)

    def holds_due(self, *, now: int) -> bool:
        """Whether a sweep at *now* would find anything."""
        return any(entries and entries[0][0] <= now for entries in self._entries["by_due"].values())

    def _between(self, index: str, asked: dict[str, tuple[str, Any]]) -> tuple[Entries, int, int]:
        """Return the entries of the one partition that is *asked* for, and between which two of them it is read."""
        hash_name, range_name = KEYS[index]
        how, partition = asked.pop(hash_name, ("", None))
        order, bound = asked.pop(range_name, ("", None))
        if how != "=" or asked:
            raise ValueError(f"a key condition that this table does not know: {hash_name} {how}, {list(asked)}")
        entries = self._entries[index].get(partition, [])
        match order:
            case "":
                return entries, 0, len(entries)
            case "<=":
                return entries, 0, bisect_right(entries, (bound, LAST))
            case "begins_with":
                return entries, bisect_left(entries, (bound,)), bisect_left(entries, (bound + "\uffff",))
            case other:
                raise ValueError(f"a key condition that this table does not know: {range_name} {other}")

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

    def _write(self, row: Item, *, units: float) -> None:
        if self.counted:
            self.consumed += units * -(-_size(row) // 1024)
        self._lay(row, _address(row))

    def _lay(self, row: Item, address: Address) -> None:
        old = self.rows.get(address)
        for index, (hash_name, range_name) in KEYS.items():
            if index == OWN:
                if old is None:
                    insort(self._entries[OWN].setdefault(address[0], []), (address[1], address))
                continue
            if old and hash_name in old:
                entries = self._entries[index][old[hash_name]["S"]]
                del entries[bisect_left(entries, (_plain(old[range_name]), address))]
            if hash_name in row:
                entries = self._entries[index].setdefault(row[hash_name]["S"], [])
                insort(entries, (_plain(row[range_name]), address))
        self.rows[address] = row

    def _read(self, found: list[Item], *, units: float, together: bool = False) -> None:
        if not self.counted:
            return
        sizes = [sum(map(_size, found))] if together else [_size(row) for row in found]
        self.consumed += sum(units * max(1, -(-size // 4096)) for size in sizes or [0])


def _done(after: Callable[[], None] | None) -> None:
    if after:
        after()


def _terms(expression: str, names: Mapping[str, str], values: Item) -> dict[str, tuple[str, Any]]:
    """Return what *expression* asks of each attribute: how, and the value. Raises ValueError for one unknown here."""
    found: dict[str, tuple[str, Any]] = {}
    for term in expression.split(" AND "):
        said = TERM.fullmatch(term)
        if said is None:
            raise ValueError(f"a key condition that this table does not know: {term}")
        name, value = said["name"] or said["begun"], values[said["value"] or said["prefix"]]
        found[names[name] if name.startswith("#") else name] = (said["how"] or "begins_with", _plain(value))
    return found


def _address(row: Item) -> Address:
    return row["pk"]["S"], row["sk"]["S"]


def _key(address: Address, row: Item, index: str) -> Item:
    own = {"pk": {"S": address[0]}, "sk": {"S": address[1]}}
    return own if index == OWN else own | {name: row[name] for name in KEYS[index]}


def _plain(value: Item) -> Any:
    ((kind, inner),) = value.items()
    return float(inner) if kind == "N" else inner


def _size(value: Any) -> int:
    """Return how many bytes DynamoDB counts, near enough: names and values, numbers at half their digits."""
    if isinstance(value, dict):
        return sum(len(str(name)) + _size(inner) for name, inner in value.items())
    return sum(_size(inner) for inner in value) if isinstance(value, list) else len(str(value))
