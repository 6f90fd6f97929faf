"""The keys of paidup's table and its indexes: what may be one, where a row lies, and what a query asks of them."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Any

from tools.fakes.memory.expressions import Term
from tools.fakes.memory.refusals import invalid
from tools.fakes.memory.values import Item, ordered, stored

Address = tuple[str, str]
Entries = list[tuple[Any, Address]]  # by range key: a number or a string, one kind within an index

OWN = ""  # the table's own keys, beside its indexes
KEYS = {OWN: ("pk", "sk"), "by_ref": ("ref", "ref_at"), "by_due": ("due_shard", "due_at")}
PROJECTED = {"by_ref": ("customer_id", "purchase_id"), "by_due": ("customer_id",)}  # beside the keys
KINDS = {"pk": "S", "sk": "S", "ref": "S", "ref_at": "N", "due_shard": "S", "due_at": "N"}
FIRST: Address = ("", "")
LAST: Address = ("\U0010ffff", "")
MOST_BYTES_HASH, MOST_BYTES_RANGE = 2048, 1024


def accepted(item: Item) -> tuple[Item, int]:
    """Return *item* as it is stored, and its size in bytes. Raises what DynamoDB refuses of its keys and values."""
    for name in KEYS[OWN]:
        if name not in item:
            raise invalid(f"One or more parameter values were invalid: Missing the key {name} in the item")
        _check_key(name, item[name])
    for index, name in _indexed(item):
        if "" in item[name].values():
            empty = "The AttributeValue for a key attribute cannot contain an empty string value."
            where = f"IndexName: {index}, IndexKey: {name}"
            message = "One or more parameter values are not valid. A value specified for a secondary index key is not"
            raise invalid(f"{message} supported. {empty} {where}")
    return stored(item)


def check_indexed(row: Item) -> None:
    """Refuse a *row* that an index cannot list. A transaction names it among the reasons for which it is cancelled."""
    for index, name in _indexed(row):
        ((kind, inner),) = row[name].items()
        if kind != KINDS[name]:
            mismatch = f"Type mismatch for Index Key {name} Expected: {KINDS[name]} Actual: {kind} IndexName: {index}"
            raise invalid(f"One or more parameter values were invalid: {mismatch}")
        if kind == "S" and len(inner.encode()) > MOST_BYTES_HASH:
            limit = f"Size of hashkey has exceeded the maximum size limit of {MOST_BYTES_HASH} bytes"
            raise invalid(f"One or more parameter values were invalid: {limit}")


def key_address(key: Item) -> Address:
    """Return where the item under *key* lies. Raises what DynamoDB refuses of the key."""
    if key.keys() != set(KEYS[OWN]):
        raise invalid("The provided key element does not match the schema")
    for name in KEYS[OWN]:
        _check_key(name, key[name])
    return address(key)


def address(row: Item) -> Address:
    """Return where *row* lies in the table."""
    return row["pk"]["S"], row["sk"]["S"]


def place(row: Item, names: tuple[str, str]) -> tuple[str, Any] | None:
    """Return where *row* lies in an index of those two keys: nowhere if one is missing."""
    hash_name, range_name = names
    if hash_name not in row or range_name not in row:
        return None
    return row[hash_name]["S"], ordered(row[range_name])


def projected(row: Item, index: str) -> Item:
    """Return what an index holds of *row*: its keys and a few ids. The table itself holds all of it."""
    if index == OWN:
        return row
    names = (*KEYS[OWN], *KEYS[index], *PROJECTED[index])
    return {name: row[name] for name in names if name in row}


def evaluated(address: Address, row: Item, index: str) -> Item:
    """Return the key after which a query that ended with *row* goes on."""
    own = {"pk": {"S": address[0]}, "sk": {"S": address[1]}}
    return own if index == OWN else own | {name: row[name] for name in KEYS[index]}


def key_condition(parts: list[list[Term]], index: str) -> tuple[str, list[Term]]:
    """Return the partition that a key condition names, and what it says of the range key."""
    if len(parts) > 1:
        raise invalid("Invalid operator used in KeyConditionExpression: OR")
    hash_name, range_name = KEYS[index]
    by_name = {term.name: term for term in parts[0]}
    for name in by_name.keys() | {hash_name}:
        if name not in (hash_name, range_name) or hash_name not in by_name:
            raise invalid(f"Query condition missed key schema element: {hash_name}")
    for name, term in by_name.items():
        _check_bound(name, term)
    partition = by_name[hash_name]
    if partition.how != "=":
        raise invalid("Query key condition not supported")
    assert partition.value
    return partition.value["S"], [term for term in parts[0] if term.name == range_name]


def between(entries: Entries, bounds: list[Term]) -> tuple[int, int]:
    """Return between which two places *entries* are read."""
    first, end = 0, len(entries)
    for term in bounds:
        assert term.value
        bound = ordered(term.value)
        match term.how:
            case "=":
                first, end = bisect_left(entries, (bound, FIRST)), bisect_right(entries, (bound, LAST))
            case "<":
                end = bisect_left(entries, (bound, FIRST))
            case "<=":
                end = bisect_right(entries, (bound, LAST))
            case ">":
                first = bisect_right(entries, (bound, LAST))
            case ">=":
                first = bisect_left(entries, (bound, FIRST))
            case "begins_with":
                first, end = bisect_left(entries, (bound, FIRST)), bisect_left(entries, (bound + LAST[0], FIRST))
            case other:
                raise NotImplementedError(f"a key condition by {other}, which this table does not know")
    return first, end


def start(key: Item, partition: str, index: str) -> tuple[Any, Address]:
    """Return the entry after which a query goes on. Raises what DynamoDB refuses of the start *key*."""
    hash_name, range_name = KEYS[index]
    if key.keys() != {*KEYS[OWN], *KEYS[index]}:
        raise invalid("The provided starting key is invalid")
    if key[hash_name]["S"] != partition:
        raise invalid("The provided starting key does not match the range key predicate")
    return ordered(key[range_name]), address(key)


def _check_key(name: str, value: Item) -> None:
    """Refuse *value* as the table's own key *name*."""
    ((kind, inner),) = value.items()
    if kind != KINDS[name]:
        mismatch = f"Type mismatch for key {name} expected: {KINDS[name]} actual: {kind}"
        raise invalid(f"One or more parameter values were invalid: {mismatch}")
    _check_not_empty(name, inner)
    which, most = ("hash", MOST_BYTES_HASH) if name == KEYS[OWN][0] else ("range", MOST_BYTES_RANGE)
    if len(inner.encode()) > most:
        limit = f"Aggregated size of all {which} keys has exceeded the size limit of {most} bytes"
        raise invalid(f"One or more parameter values were invalid: {limit}")


def _indexed(item: Item) -> Iterator[tuple[str, str]]:
    """Yield what of *item* is a key of an index: the index, and the attribute."""
    for index, names in KEYS.items():
        for name in names:
            if index != OWN and name in item:
                yield index, name


def _check_bound(name: str, term: Term) -> None:
    """Refuse a key condition's *term* of the key *name* whose value is of another type, or empty."""
    ((kind, inner),) = (term.value or {"": ""}).items()
    if kind != KINDS[name]:
        mismatch = "Condition parameter type does not match schema type"
        raise invalid(f"One or more parameter values were invalid: {mismatch}")
    if term.how == "begins_with" and kind == "N":
        operand = "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N"
        raise invalid(f"Invalid KeyConditionExpression: {operand}")
    _check_not_empty(name, inner)


def _check_not_empty(name: str, inner: str) -> None:
    if inner == "":
        empty = f"The AttributeValue for a key attribute cannot contain an empty string value. Key: {name}"
        raise invalid(f"One or more parameter values are not valid. {empty}")
