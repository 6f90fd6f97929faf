"""What Stripe's objects have alike when they are made: constants/<kind>.json says it, the code only what varies."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from tools.fakes.store import Obj

FOLDER = Path(__file__).with_name("constants")


def made(kind: str, /, **fields: Any) -> Obj:
    """Return a new object, or part of one, of *kind* with *fields*. A map among them is merged with the one there."""
    return _merged(json.loads(_written(kind)), fields)


@cache
def _written(kind: str) -> str:
    return (FOLDER / f"{kind}.json").read_text()


def _merged(there: Obj, fields: Obj) -> Obj:
    for name, value in fields.items():
        both_maps = isinstance(value, dict) and isinstance(there.get(name), dict)
        there[name] = _merged(there[name], value) if both_maps else value
    return there
