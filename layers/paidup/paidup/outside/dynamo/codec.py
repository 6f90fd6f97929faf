"""Codec: turns frozen dataclasses into plain values for DynamoDB and back, by their type hints."""

import json
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

JSON = Mapping[str, Any] | None


def to_plain(value: Any) -> Any:
    """Return *value* as maps, lists, strings, ints and bools. Fields that are None are left out.

    In a field whose type is a union of dataclasses, the value becomes `{"<tag>": {…}}` with its class's literal `tag`.
    """
    if is_dataclass(value) and not isinstance(value, type):
        hints = _hints(type(value))
        return {name: _field(hint, item) for name, hint in hints.items() if (item := getattr(value, name)) is not None}
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {name: to_plain(item) for name, item in value.items()}
    return value


def from_plain[T](kind: type[T], plain: Mapping[str, Any]) -> T:
    """Return the *kind* that *plain* holds. Unknown keys are ignored. Missing keys take the field's default."""
    hints = _hints(cast("Any", kind))
    return kind(**{name: _read(hint, plain[name]) for name, hint in hints.items() if name in plain})


def _field(hint: Any, item: Any) -> Any:
    if hint == JSON:
        return json.dumps(item)
    if _variants(hint):
        return {item.tag: to_plain(item)}
    return to_plain(item)


def _read(hint: Any, plain: Any) -> Any:
    if hint == JSON:
        return json.loads(plain)
    if variants := _variants(hint):
        ((name, inner),) = plain.items()
        return from_plain(variants[name], inner)
    hint, origin, args = _shape(hint)
    if origin is tuple:
        return tuple(_read(args[0], item) for item in plain)
    if origin is Mapping:
        return {name: _read(args[1], item) for name, item in plain.items()}
    if is_dataclass(hint):
        return from_plain(cast("type[Any]", hint), plain)
    return hint(plain) if isinstance(hint, type) and issubclass(hint, StrEnum) else plain


@cache
def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {one.name: hints[one.name] for one in fields(cast("Any", kind))}


@cache
def _shape(hint: Any) -> tuple[Any, Any, tuple[Any, ...]]:
    """Return *hint* without `None`, its origin and its arguments."""
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = [one for one in get_args(hint) if one is not type(None)]
    return hint, get_origin(hint), get_args(hint)


@cache
def _variants(hint: Any) -> dict[str, type[Any]]:
    """If *hint* is a union of several dataclasses, return them by tag. Else return an empty map."""
    if get_origin(hint) not in (Union, types.UnionType):
        return {}
    kinds: list[Any] = [one for one in get_args(hint) if is_dataclass(one)]
    return {one.tag: one for one in kinds} if len(kinds) > 1 else {}
