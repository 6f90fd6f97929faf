"""Whether an answer is what Stripe's SDKs say: every field known, none missing, types right.

stripe-python types a field that may be null and one that may be missing alike. stripe-node tells them apart:
always_there.json names the fields, null or not, that are in every answer.
"""

import json
import types
import typing
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, ForwardRef, Literal, TypeVar, get_args, get_origin

from stripe import ListObject, StripeObject
from stripe._object_classes import get_object_class
from stripe._stripe_object import UntypedStripeObject

SCALARS: dict[type, tuple[type, ...]] = {int: (int,), str: (str,), bool: (bool,), float: (int, float), Decimal: (str,)}
ALWAYS_THERE = {
    kind: " ".join(lines).split()
    for kind, lines in json.loads(Path(__file__).with_name("always_there.json").read_text()).items()
    if kind != "_source"
}


def left_out(obj: Any) -> Iterator[str]:
    """Return the fields that Stripe always sends and *obj*, or an object within it, leaves out."""
    if isinstance(obj, list):
        for inner in obj:
            yield from left_out(inner)
    elif isinstance(obj, dict) and not obj.get("deleted"):
        kind = obj.get("object")
        for path in ALWAYS_THERE.get(kind, ()) if isinstance(kind, str) else ():
            *parents, name = path.split(".")
            if any(name not in holder for holder in _reached([obj], parents)):
                yield f"{kind}.{path} is left out"
        for inner in obj.values():
            yield from left_out(inner)


def _reached(holders: list[Any], steps: list[str]) -> list[dict[str, Any]]:
    """Return the objects at the end of *steps*, of which one that ends in `[]` is a list."""
    for step in steps:
        values = [holder.get(step.removesuffix("[]")) for holder in holders]
        if step.endswith("[]"):
            values = [inner for value in values if isinstance(value, list) for inner in value]
        holders = [value for value in values if isinstance(value, dict)]
    return holders


def complaints(obj: Any, path: str = "") -> list[str]:
    """Return what is wrong with *obj*, a Stripe object as JSON, one sentence for each thing."""
    if obj.get("deleted"):
        return []
    cls = get_object_class("V1", obj["object"])
    return list(_fields(obj, cls, path or obj["object"]))


def _fields(obj: dict[str, Any], cls: type[StripeObject], path: str) -> Iterator[str]:
    known = {name: hint for name, hint in cls.__annotations__.items() if not name.startswith("_")}
    known = {name: hint for name, hint in known.items() if name != "OBJECT_NAME"}
    if cls is ListObject:
        known["object"] = Literal["list"]
    for name in obj.keys() - known.keys():
        yield f"{path}.{name} is no field of {cls.__qualname__}"
    for name, hint in known.items():
        if name in obj:
            yield from _value(obj[name], hint, f"{path}.{name}")
        elif type(None) not in get_args(hint):
            yield f"{path}.{name} is missing"


def _value(value: Any, hint: Any, path: str) -> Iterator[str]:
    origin, args = get_origin(hint), get_args(hint)
    if origin in (typing.Union, types.UnionType):
        yield from _union(value, args, path)
    elif origin is Literal:
        if value not in args:
            yield f"{path} is {value!r}, not one of {args}"
    elif origin is list:
        if not isinstance(value, list):
            yield f"{path} is no list"
        else:
            for index, inner in enumerate(value):
                yield from _value(inner, args[0], f"{path}[{index}]")
    elif isinstance(hint, str | ForwardRef | TypeVar) or origin is ListObject:
        yield from complaints(value, path) if isinstance(value, dict) else [f"{path} is no object"]
    elif hint in SCALARS:
        if not isinstance(value, SCALARS[hint]) or (isinstance(value, bool) and hint is not bool):
            yield f"{path} is {value!r}, no {hint.__name__}"
    elif hint is UntypedStripeObject or origin is UntypedStripeObject:
        if not isinstance(value, dict):
            yield f"{path} is no object"
    elif isinstance(value, dict):
        yield from _fields(value, hint, path)
    else:
        yield f"{path} is {value!r}, no {hint}"


def _union(value: Any, members: tuple[Any, ...], path: str) -> Iterator[str]:
    if value is None:
        if type(None) not in members:
            yield f"{path} is null"
        return
    literal = [member for member in members if get_origin(member) is Literal]
    if literal and isinstance(value, str):
        members = tuple(literal)  # the SDK adds `str` for values to come; ours are to be known ones
    tried = [list(_value(value, member, path)) for member in members if member is not type(None)]
    if all(tried):
        yield from min(tried, key=len)
