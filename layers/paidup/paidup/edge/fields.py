"""The fields of a JSON body: each knows what it takes, and says so in its refusal."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from paidup.edge.body import json_in
from paidup.edge.http import Event
from paidup.model.errors import Malformed


class Field(Protocol):
    """What a body says under one name."""

    def read(self, name: str, given: Mapping[str, Any], /) -> Any:
        """Return what *given* says as *name*. Raises Malformed."""


class Fields[Made]:
    """The body of a request: a JSON object of these *fields* and no others, of which `make` makes what it means."""

    def __init__(self, make: Callable[..., Made], **fields: Field) -> None:
        """Read *fields*, each under its name."""
        self.make = make
        self.fields: Mapping[str, Field] = fields

    def read(self, name: str, event: Event) -> Made:  # noqa: ARG002 - every parameter of a route is read so
        """Return the body of *event*. Raises BrokenJson, and Malformed for the first field that is wrong."""
        given = json_in(event)
        if not isinstance(given, dict):
            raise Malformed("body", "must be a JSON object")
        read = {name: field.read(name, given) for name, field in self.fields.items()}
        if unknown := [name for name in given if name not in self.fields]:
            raise Malformed(unknown[0], "is not a field of this request")
        return self.make(**read)


@dataclass(frozen=True, slots=True, kw_only=True)
class String:
    """A text of `least` to `most` characters; without it, or with `null`, None, unless it is `required`."""

    most: int
    least: int = 0
    required: bool = False

    def read(self, name: str, given: Mapping[str, Any]) -> str | None:
        """Return the text that *given* holds as *name*. Raises Malformed."""
        value = given.get(name)
        if value is None and not self.required:
            return None
        if name not in given:
            raise Malformed(name, "field required")
        if not isinstance(value, str) or not self.least <= len(value) <= self.most:
            raise Malformed(name, f"must be a text of {self.least} to {self.most} characters")
        if _has_lone_surrogates(value):
            raise Malformed(name, "must be Unicode text without lone surrogates")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Integer:
    """A whole number from `least` to `most`; without it, `default`."""

    least: int
    most: int
    default: int

    def read(self, name: str, given: Mapping[str, Any]) -> int:
        """Return the number that *given* holds as *name*. Raises Malformed."""
        value = given.get(name, self.default)
        if type(value) is not int or not self.least <= value <= self.most:
            raise Malformed(name, f"must be a whole number from {self.least} to {self.most}")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """A JSON object of at most `most` bytes, nested at most `deepest` levels; without it, or with `null`, None."""

    most: int
    deepest: int

    def read(self, name: str, given: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the object that *given* holds as *name*. Raises Malformed."""
        value = given.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise Malformed(name, "must be a JSON object")
        if _depth(value) > self.deepest:
            raise Malformed(name, f"must be nested at most {self.deepest} levels deep")
        text = json.dumps(value, ensure_ascii=False)
        if _has_lone_surrogates(text):
            raise Malformed(name, "must be Unicode text without lone surrogates")
        if len(text.encode()) > self.most:
            raise Malformed(name, f"must be at most {self.most} bytes of JSON")
        return value


def _has_lone_surrogates(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _depth(value: Any) -> int:
    """Return how many maps and lists lie in one another at most."""
    depth, level = 0, [value]
    while level := [one for one in level if isinstance(one, dict | list)]:
        depth += 1
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)]
    return depth
