"""Whether an answer is what stripe-python's typed resources say: every field known, none missing, types right."""

import types
import typing
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, ForwardRef, Literal, TypeVar, get_args, get_origin

from stripe import ListObject, StripeObject
from stripe._object_classes import get_object_class
from stripe._stripe_object import UntypedStripeObject

SCALARS: dict[type, tuple[type, ...]] = {int: (int,), str: (str,), bool: (bool,), float: (int, float), Decimal: (str,)}


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
