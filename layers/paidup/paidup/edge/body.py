"""JSON bodies, read strictly. `edge.fields` reads what is in one, and so does pydantic for `edge.validated`."""

import json
import math
from typing import Any, NoReturn

from paidup.edge.http import Event, raw_body
from paidup.model.errors import BrokenJson, Malformed


def json_in(event: Event, *, optional: bool = False) -> Any:
    """Return the JSON in the body of *event*; none is an empty object, if it is *optional*. Raises BrokenJson."""
    text = raw_body(event).decode() or ("{}" if optional else "")
    if not text:
        raise Malformed("body", "field required")
    try:
        return read_json(text)
    except json.JSONDecodeError:
        raise BrokenJson("The body is not valid JSON.") from None


def read_json(text: str) -> Any:
    """Return the JSON in *text*; refuses what Python reads and others do not: NaN, infinities, bottomless nesting."""
    try:
        return json.loads(text, parse_constant=_no_json, parse_float=_finite)
    except RecursionError:
        raise BrokenJson("The body is nested too deeply.") from None
    except json.JSONDecodeError:
        raise
    except ValueError:  # Python's limit
        raise BrokenJson("The body holds a number of too many digits.") from None


def _finite(number: str) -> float:
    if math.isinf(found := float(number)):
        raise BrokenJson("The body holds a number that is too large.")
    return found


def _no_json(constant: str) -> NoReturn:
    raise BrokenJson(f"The body is not valid JSON: {constant} is no JSON.")
