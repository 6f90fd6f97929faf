"""JSON bodies held against a pydantic model; only functions that read one so load pydantic."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from paidup.edge.body import json_in
from paidup.edge.http import Event
from paidup.model.errors import BrokenJson, Malformed, Refusal

PLACES = ("body", "query", "path", "header")


@dataclass(frozen=True, slots=True)
class Body[Model: BaseModel]:
    """The body of a request: a JSON object as `model` describes it. If it is `optional`, no body is an empty object."""

    model: type[Model]
    optional: bool = False

    def read(self, name: str, event: Event) -> Model:  # noqa: ARG002 - every parameter of a route is read so
        """Return the body of *event*. Raises BrokenJson, and Malformed for the first field that is wrong."""
        try:
            return self.model.model_validate(json_in(event, optional=self.optional))
        except ValidationError as error:
            raise first_fault(error.errors(include_url=False)) from None


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
