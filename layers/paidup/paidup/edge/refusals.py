"""Which refusals a route can answer, declared where the route is, so that the API's description tells each client."""

from collections.abc import Sequence
from typing import Any

from paidup.edge import caller
from paidup.model.errors import BrokenJson, Malformed, Refusal, TooLarge

ANYWHERE = (Malformed, BrokenJson, TooLarge)  # what `lambda_handler` says no to, on any route


def refusals(*kinds: type[Refusal], public: bool = False) -> dict[int, Any]:
    """Return the responses of a route that answers 200, or refuses by one of *kinds* or as every route does.

    A *public* route asks nobody to sign in.

        @app.post("/bookings/<booking_id>/accept", responses=refusals(Forbidden, NotFound, BookingClosed, Contended))
    """
    by_status: dict[int, list[type[Refusal]]] = {}
    for kind in (*kinds, *ANYWHERE, *(() if public else caller.REFUSALS.values())):
        by_status.setdefault(kind.status, []).append(kind)
    return {200: {"description": "Done."}} | {status: _refused(alike) for status, alike in by_status.items()}


def schema_name(kind: type[Refusal]) -> str:
    """Return what the description calls the schema of *kind*, of which clients make a type: `NotFound`."""
    return kind.slug.title().replace("-", "")


def _refused(kinds: Sequence[type[Refusal]]) -> dict[str, Any]:
    """Return the one response of a status that *kinds* share."""
    schemas = [{"$ref": f"#/components/schemas/{schema_name(kind)}"} for kind in kinds]
    response: dict[str, Any] = {
        "description": "; ".join(kind.title for kind in kinds) + ".",
        "content": {"application/problem+json": {"schema": {"oneOf": schemas} if len(schemas) > 1 else schemas[0]}},
    }
    if any(kind.retryable for kind in kinds):
        response["headers"] = {"Retry-After": {"description": "In seconds.", "schema": {"type": "integer"}}}
    return response
