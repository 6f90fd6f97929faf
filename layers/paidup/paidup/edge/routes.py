"""Routes of functions that read no body: API Gateway has found the route already, so that no resolver is loaded."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from paidup.edge.http import JSON, Event
from paidup.model.errors import Malformed, NotFound

# Returns a dataclass, the body of the answer; takes the event, and the parameters of path and query by name.
type Endpoint = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A whole number in the query, from `least` to `most`, or `default`."""

    least: int
    most: int
    default: int

    def read(self, name: str, value: str | None) -> int:
        """Return the number that *value* says. Raises Malformed."""
        if value is None:
            return self.default
        if not (value.isdecimal() and len(value) <= len(str(self.most)) and self.least <= int(value) <= self.most):
            raise Malformed(name, f"must be a whole number from {self.least} to {self.most}")
        return int(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text in the query of at most `most` characters, or none."""

    most: int

    def read(self, name: str, value: str | None) -> str | None:
        """Return *value*. Raises Malformed."""
        if value is not None and len(value) > self.most:
            raise Malformed(name, f"must be at most {self.most} characters long")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route: who answers it, the responses that the API's description gives it, and the parameters of its query."""

    endpoint: Endpoint
    responses: Mapping[int, Any]
    query: Mapping[str, Whole | Text]


class Routes:
    """The routes of one function, by API Gateway's keys (`GET /checkouts/{checkout_id}`). Each answers 200 and JSON."""

    def __init__(self) -> None:
        """Begin without a route."""
        self.by_key: dict[str, Route] = {}

    def route(self, key: str, *, responses: Mapping[int, Any], **query: Whole | Text) -> Callable[[Endpoint], Endpoint]:
        """Let the decorated endpoint answer the route *key*, with these *responses* (see `edge.refusals`).

        *query* declares the parameters of its query.
        """

        def register(endpoint: Endpoint) -> Endpoint:
            self.by_key[key] = Route(endpoint=endpoint, responses=responses, query=query)
            return endpoint

        return register

    def __call__(self, event: Event, context: LambdaContext) -> dict[str, Any]:  # noqa: ARG002 - Lambda's signature
        """Return the answer to *event*. Raises NotFound for another route, and Malformed for a wrong parameter."""
        if (route := self.by_key.get(event.get("routeKey", ""))) is None:
            raise NotFound("route", f"{event['requestContext']['http']['method']} {event['rawPath']}")
        given = event.get("queryStringParameters") or {}
        query = {name: parameter.read(name, given.get(name)) for name, parameter in route.query.items()}
        body = route.endpoint(event, **(event.get("pathParameters") or {}), **query)
        return {
            "statusCode": 200,
            "headers": {"Content-Type": JSON, "Cache-Control": "no-store"},
            "body": json.dumps(asdict(body)),
            "isBase64Encoded": False,
        }
