"""What stripe-python's own types say: which parameters an operation takes, and what an object is made of.

stripe-python brings two HTTP clients along, a third of a second of imports, so it is loaded by `load`, beside the
first requests, and not before the stand-ins are up.
"""

import importlib
import re
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

from typing_extensions import is_typeddict

from tools.fakes.stripe import wire
from tools.fakes.stripe.wire import Refusal

METADATA_KEYS, METADATA_KEY_LENGTH, METADATA_VALUE_LENGTH = 50, 40, 500


@dataclass(slots=True)
class Shape:
    """What one parameter may be."""

    fields: "dict[str, Shape] | None" = None
    required: frozenset[str] = frozenset()
    items: "Shape | None" = None
    values: "Shape | None" = None
    scalars: set[type] = field(default_factory=set)
    choices: set[str] = field(default_factory=set)


def load(names: Iterable[str]) -> None:
    """Load the shapes of the params called *names*, so that no request waits for them."""
    for name in names:
        params(name)


@cache
def api_version() -> str:
    """Return the version of the API that stripe-python speaks."""
    return str(importlib.import_module("stripe").api_version)


@cache
def params(name: str) -> Shape:
    """Return the shape of the params called *name*, as in `checkout._session_create_params`."""
    module = importlib.import_module(f"stripe.params.{name}")
    stem = name.rpartition(".")[2].strip("_")
    typed_dict = getattr(module, "".join(part.title() for part in stem.split("_")))
    return _shape(typed_dict, {**vars(module), "UntypedStripeObject": _untyped()})


def accept(name: str, raw: dict[str, Any]) -> dict[str, Any]:
    """Return *raw* form values as the typed params *name* want them, or refuse them as Stripe does."""
    taken: dict[str, Any] = _object(params(name), raw, "")
    return taken


@cache
def fields_of(kind: str) -> frozenset[str]:
    """Return the names of the fields that stripe-python knows of an object whose `object` is *kind*."""
    cls = importlib.import_module("stripe._object_classes").get_object_class("V1", kind)
    return frozenset(name for name in cls.__annotations__ if not name.startswith("_"))


@cache
def _untyped() -> Any:
    return importlib.import_module("stripe._stripe_object").UntypedStripeObject


@cache
def _options() -> frozenset[str]:
    return frozenset(importlib.import_module("stripe._request_options").RequestOptions.__annotations__)


def _shape(hint: Any, names: dict[str, Any]) -> Shape:
    if is_typeddict(hint):
        own = {k: v for k, v in hint.__annotations__.items() if k not in _options()}
        holder = type("Holder", (), {"__annotations__": own})
        hints = get_type_hints(holder, globalns=names)
        return Shape(
            fields={key: _shape(value, names) for key, value in hints.items()},
            required=frozenset(hint.__required_keys__) & own.keys(),
        )
    origin, args = get_origin(hint), get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _union([_shape(arg, names) for arg in args])
    if origin is Literal:
        return Shape(choices=set(args))
    if origin is list:
        return Shape(items=_shape(args[0], names))
    if origin in (dict, _untyped()):
        return Shape(values=_shape(args[-1], names))
    if hint in (str, int, float, bool, Decimal):
        return Shape(scalars={hint})
    if origin is typing.NotRequired:
        return _shape(args[0], names)
    raise TypeError(f"stripe-python annotates a parameter in a way not known here: {hint!r}")


def _union(members: list[Shape]) -> Shape:
    merged = Shape()
    for member in members:
        merged.fields = member.fields or merged.fields
        merged.required |= member.required
        merged.items = member.items or merged.items
        merged.values = member.values or merged.values
        merged.scalars |= member.scalars
        merged.choices |= member.choices
    if merged.choices - {""} and str in merged.scalars:
        merged.scalars -= {str}  # the SDK adds `| str` to every enum for values to come; the API does not
    return merged


def _value(shape: Shape, raw: Any, path: str) -> Any:
    if isinstance(raw, dict):
        if shape.items is not None and all(key.isdigit() for key in raw):
            return [_value(shape.items, raw[k], f"{path}[{k}]") for k in sorted(raw, key=int)]
        if shape.fields is not None:
            return _object(shape, raw, path)
        if shape.values is not None:
            return _map(shape.values, raw, path)
        raise Refusal(f"Invalid {_called(shape)}", param=path)
    if raw in shape.choices:
        return raw
    if raw == "":
        raise wire.cannot_be_unset(path)
    return _scalar(shape, raw, path)


def _object(shape: Shape, raw: dict[str, Any], path: str) -> dict[str, Any]:
    fields = shape.fields or {}
    inside = f"{path}[{{}}]" if path else "{}"
    if unknown := [inside.format(key) for key in raw if key not in fields]:
        plural = "s" if len(unknown) > 1 else ""
        message = f"Received unknown parameter{plural}: {', '.join(unknown)}"
        raise Refusal(message, code="parameter_unknown", param=unknown[0])
    for key in shape.fields or ():
        if key in shape.required and key not in raw:
            raise wire.missing(inside.format(key))
    return {key: _value(fields[key], value, inside.format(key)) for key, value in raw.items()}


def _map(values: Shape, raw: dict[str, Any], path: str) -> dict[str, Any]:
    if len(raw) > METADATA_KEYS:
        raise Refusal(f"You can have up to {METADATA_KEYS} {path} keys, but you passed {len(raw)}.", param=path)
    taken = {}
    for key, value in raw.items():
        if values.fields is not None:
            taken[key] = _value(values, value, f"{path}[{key}]")
            continue
        if not isinstance(value, str):
            raise Refusal("Metadata values must be strings, but you passed in a hash.", param=path)
        if len(key) > METADATA_KEY_LENGTH:
            message = f"Metadata keys can have up to {METADATA_KEY_LENGTH} characters, but you passed in a key"
            raise Refusal(f"{message} that is {len(key)} characters. Invalid key: {key}", param=path)
        if len(value) > METADATA_VALUE_LENGTH:
            limit = f"Metadata values can have up to {METADATA_VALUE_LENGTH} characters"
            message = f"{limit}, but you passed in a value that is {len(value)} characters."
            raise Refusal(message, param=f"{path}[{key}]")
        taken[key] = value
    return taken


def _scalar(shape: Shape, raw: str, path: str) -> Any:
    if int in shape.scalars and re.fullmatch(r"-?\d{1,18}", raw):
        return int(raw)
    if bool in shape.scalars and raw in ("true", "false"):
        return raw == "true"
    if float in shape.scalars or Decimal in shape.scalars:
        try:
            number = Decimal(raw)
        except InvalidOperation:
            raise Refusal(f"Invalid decimal: {raw}", code="parameter_invalid_decimal", param=path) from None
        return float(number) if float in shape.scalars else str(number)
    if str in shape.scalars:
        return raw
    if choices := sorted(shape.choices - {""}):
        name = path.rpartition("[")[2].rstrip("]") or path
        listed = ", ".join(choices[:-1]) + f", or {choices[-1]}" if len(choices) > 1 else choices[0]
        raise Refusal(f"Invalid {name}: must be one of {listed}", param=path)
    if int in shape.scalars:
        raise Refusal(f"Invalid integer: {raw}", code="parameter_invalid_integer", param=path)
    raise Refusal(f"Invalid {_called(shape)}{f': {raw}' if bool in shape.scalars else ''}", param=path)


def _called(shape: Shape) -> str:
    if bool in shape.scalars:
        return "boolean"
    if shape.items is not None:
        return "array"
    return "object" if shape.fields is not None or shape.values is not None else "string"
