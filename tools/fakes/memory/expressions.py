"""DynamoDB's expressions, as far as paidup writes them: conditions joined by AND and OR, without brackets and NOT.

Any other expression is an error here, so that nothing passes that was not understood.
"""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tools.fakes.memory.refusals import invalid
from tools.fakes.memory.values import Item, ordered

TERM = re.compile(
    r"(?P<name>#?\w+) (?P<how>=|<>|<=?|>=?) (?P<value>:\w+)|(?P<does>\w+)\((?P<of>#?\w+)(, (?P<with>:\w+))?\)"
)
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Term:
    """One comparison or function: an attribute's name, how it is looked at, and with what value."""

    name: str
    how: str
    value: Item | None = None

    def holds(self, item: Item) -> bool:
        """Say whether it holds for *item*."""
        there = item.get(self.name)
        match self.how:
            case "attribute_exists":
                return there is not None
            case "attribute_not_exists":
                return there is None
            case "begins_with":
                return there is not None and self.value is not None and _begins(there, self.value)
            case "<>":
                return there is None or not _compared("=", there, self.value)
            case how if how in COMPARISONS:
                return there is not None and _compared(how, there, self.value)
            case other:
                raise NotImplementedError(f"a condition by {other}, which this table does not know")


@dataclass(slots=True)
class Placeholders:
    """What a request's placeholders stand for. Each must be there, and be used."""

    names: Mapping[str, str]
    values: Mapping[str, Item]
    _used: set[str] = field(default_factory=set)

    def terms(self, expression: str) -> list[list[Term]]:
        """Return the terms of *expression*: those of one list must all hold, and those of one of the lists."""
        return [
            [Term(self._name(name), how, self.value(value) if value else None) for name, how, value in part]
            for part in _parsed(expression)
        ]

    def projection(self, expression: str) -> list[str]:
        """Return the attributes that a projection names. Paths into an attribute are not known here."""
        return [self._name(name.strip()) for name in expression.split(",")]

    def check_used(self) -> None:
        """Refuse what no expression used."""
        for what, given in (("Values", self.values), ("Names", self.names)):
            if unused := [name for name in given if name not in self._used]:
                keys = ", ".join(unused)
                message = f"Value provided in ExpressionAttribute{what} unused in expressions: keys: {{{keys}}}"
                raise invalid(message)

    def _name(self, name: str) -> str:
        if not name.startswith("#"):
            return name
        if name not in self.names:
            message = "An expression attribute name used in the document path is not defined; attribute name:"
            raise invalid(f"{message} {name}")
        self._used.add(name)
        return self.names[name]

    def value(self, name: str) -> Item:
        """Return what the placeholder *name* stands for."""
        if name not in self.values:
            message = "An expression attribute value used in expression is not defined; attribute value:"
            raise invalid(f"{message} {name}")
        self._used.add(name)
        return self.values[name]


def holds(expression: str | None, placeholders: Placeholders, item: Item) -> bool:
    """Say whether the condition *expression* (None: there is none) holds for *item*, which is empty if not there."""
    parts = placeholders.terms(expression) if expression else [[]]
    placeholders.check_used()
    return any_holds(parts, item)


def any_holds(parts: list[list[Term]], item: Item) -> bool:
    """Say whether all terms of one of the *parts* hold for *item*."""
    return any(all(term.holds(item) for term in part) for part in parts)


def assigned(expression: str, placeholders: Placeholders) -> Item:
    """Return the attributes that the update *expression* sets: `SET name = :value, …`."""
    verb, _, terms = expression.partition(" ")
    if verb != "SET":
        raise NotImplementedError(f"an update that this table does not know: {expression}")
    pairs = (term.split(" = ") for term in terms.split(", "))
    return {name: placeholders.value(value) for name, value in pairs}


@cache
def _parsed(expression: str) -> list[list[tuple[str, str, str | None]]]:
    """Return the terms of *expression* as they are written: name, comparison or function, value."""
    return [[_read(term) for term in part.split(" AND ")] for part in expression.split(" OR ")]


def _read(term: str) -> tuple[str, str, str | None]:
    found = TERM.fullmatch(term)
    if found is None:
        raise NotImplementedError(f"an expression that this table does not know: {term}")
    return found["name"] or found["of"], found["how"] or found["does"], found["value"] or found["with"]


def _begins(one: Item, beginning: Item) -> bool:
    ((kind, inner),), ((_, begun),) = one.items(), beginning.items()
    return one.keys() == beginning.keys() and kind in ("S", "B") and inner.startswith(begun)


def _compared(how: str, one: Item, other: Item | None) -> bool:
    assert other
    if one.keys() != other.keys():
        return False
    return COMPARISONS[how](ordered(one), ordered(other))
