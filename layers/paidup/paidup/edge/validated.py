"""JSON bodies, read strictly and held against a pydantic model; only functions that read one load pydantic."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from pydantic import BaseModel, ValidationError

from paidup.edge.http import Event, raw_body
from paidup.model.errors import BrokenJson, Malformed, Refusal

PLACES = ("body", "query", "path", "header")


@dataclass(frozen=True, slots=True)
class Body[Model: BaseModel]:
    """The body of a request: a JSON object as `model` describes it. If it is `optional`, no body is an empty object."""

    model: type[Model]
    optional: bool = False

    def read(self, name: str, event: Event) -> Model:  # noqa: ARG002 - every parameter of a route is read so
        """Return the body of *event*. Raises BrokenJson, and Malformed for the first field that is wrong."""
        text = raw_body(event).decode() or ("{}" if self.optional else "")
        if not text:
            raise Malformed("body", "field required")
        try:
            return self.model.model_validate(read_json(text))
        except json.JSONDecodeError:
            raise BrokenJson("The body is not valid JSON.") from None
        except ValidationError as error:
            raise first_fault(error.errors(include_url=False)) from None


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


def first_fault(faults: Sequence[Mapping[str, Any]]) -> Refusal:
    """Return the first of pydantic's *faults* as a refusal, its field named as the caller wrote it."""
    fault = faults[0]
    if fault["type"] == "json_invalid":
        return BrokenJson("The body is not valid JSON.")
    where = [str(part) for part in fault["loc"] if part not in PLACES]
    if fault["type"] == "extra_forbidden":
        return Malformed(".".join(where), "is not a field of this request")
    message = str(fault.get("msg", "is not as it must be"))
    return Malformed(".".join(where) or "body", message[:1].lower() + message[1:])


def _finite(number: str) -> float:
    if math.isinf(found := float(number)):
        raise BrokenJson("The body holds a number that is too large.")
    return found


def _no_json(constant: str) -> NoReturn:
    raise BrokenJson(f"The body is not valid JSON: {constant} is no JSON.")
