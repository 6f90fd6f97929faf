"""DynamoDB's values: what may be stored, how many bytes it counts, and how keys are ordered."""

from decimal import Context, Decimal, InvalidOperation
from typing import Any

from tools.fakes.memory.refusals import invalid

Item = dict[str, Any]

MOST_DIGITS = 38
LARGEST, SMALLEST = 125, -130  # powers of ten
EXACT = Context(prec=10_000)


def stored(item: Item) -> tuple[Item, int]:
    """Return *item* as DynamoDB keeps it, which shares nothing with the caller's, and how many bytes it counts."""
    size = 0
    kept = {}
    for name, value in item.items():
        kept[name], taken = _stored(value)
        size += _bytes(name) + taken
    return kept, size


def copied(item: Item) -> Item:
    """Return *item* for a caller, who may do with it what it likes."""
    return {name: _copied(value) for name, value in item.items()}


def ordered(value: Item) -> Any:
    """Return what orders keys of *value*'s kind: strings as their UTF-8 bytes are ordered, numbers by their size."""
    ((kind, inner),) = value.items()
    if kind != "N":
        return inner
    return int(inner) if inner.removeprefix("-").isdecimal() else Decimal(inner)


def _stored(value: Item) -> tuple[Item, int]:
    ((kind, inner),) = value.items()
    match kind:
        case "S":
            return {"S": inner}, _bytes(inner)
        case "N":
            number = _number(inner)
            digits = len(number.lstrip("-").replace(".", "").strip("0"))
            return {"N": number}, (digits + 1) // 2 + 1 + number.startswith("-")
        case "B":
            content = bytes(inner)
            return {"B": content}, len(content)
        case "BOOL" | "NULL":
            return {kind: inner}, 1
        case "M":
            kept, size = stored(inner)
            return {"M": kept}, 3 + size + len(kept)
        case "L":
            found = [_stored(one) for one in inner]
            return {"L": [one for one, _ in found]}, 3 + sum(size for _, size in found) + len(found)
        case other:
            raise NotImplementedError(f"a value of the type {other}, which this table does not know")


def _copied(value: Item) -> Item:
    ((kind, inner),) = value.items()
    if kind == "M":
        return {"M": copied(inner)}
    if kind == "L":
        return {"L": [_copied(one) for one in inner]}
    return {kind: inner}


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _number(text: str) -> str:
    """Return a number as DynamoDB writes it: no needless zeros, no exponent."""
    if text.isdecimal() and len(text) <= MOST_DIGITS and not text.startswith("0"):
        return text
    try:
        number = EXACT.normalize(Decimal(text))
    except InvalidOperation:
        raise invalid(f"The parameter cannot be converted to a numeric value: {text}") from None
    if not number.is_finite():
        raise invalid(f"The parameter cannot be converted to a numeric value: {text}")
    if len(number.as_tuple().digits) > MOST_DIGITS:
        raise invalid("Attempting to store more than 38 significant digits in a Number")
    if number and not SMALLEST <= number.adjusted() <= LARGEST:
        raise invalid("Number overflow. Attempting to store a number with magnitude outside of the supported range")
    return f"{number:f}" if number else "0"
