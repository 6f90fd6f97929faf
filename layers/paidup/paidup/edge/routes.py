"""Routes without a resolver: API Gateway has found the route already, and each parameter reads itself."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from aws_lambda_powertools.utilities.typing import LambdaContext

from paidup.edge.http import JSON, Event
from paidup.model.errors import Malformed, NotFound

# Returns an Answer, or a dataclass: the body of a 200; takes the event, and the parameters of path and request by name.
type Endpoint = Callable[..., Any]


class Parameter(Protocol):
    """What a route reads from its request; `edge.fields.Fields` and `edge.validated.Body` are two more."""

    def read(self, name: str, event: Event, /) -> Any:
        """Return what *event* says as *name*. Raises a Refusal, most often Malformed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A whole number in the query, from `least` to `most`, or `default`."""

    least: int
    most: int
    default: int

    def read(self, name: str, event: Event) -> int:
        """Return the number that the query gives *name*. Raises Malformed."""
        if (value := _query(event).get(name)) is None:
            return self.default
        if not (value.isdecimal() and len(value) <= len(str(self.most)) and self.least <= int(value) <= self.most):
            raise Malformed(name, f"must be a whole number from {self.least} to {self.most}")
        return int(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text in the query of at most `most` characters, or none."""

    most: int

    def read(self, name: str, event: Event) -> str | None:
        """Return the text that the query gives *name*. Raises Malformed."""
        value = _query(event).get(name)
        if value is not None and len(value) > self.most:
            raise Malformed(name, f"must be at most {self.most} characters long")
        return value


@dataclass(frozen=True, slots=True)
class Flag:
    """`true` or `false` in the query; without it, false."""

    def read(self, name: str, event: Event) -> bool:
        """Return whether the query says that *name* is true. Raises Malformed."""
        value = _query(event).get(name, "false")
        if value not in ("true", "false"):
            raise Malformed(name, "must be true or false")
        return value == "true"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A text of 1 to `most` characters in the header `header`, or none."""

    header: str
    most: int

    def read(self, name: str, event: Event) -> str | None:  # noqa: ARG002 - every parameter of a route is read so
        """Return the header's text. Raises Malformed."""
        value: str | None = event["headers"].get(self.header.lower())
        if value is not None and not 1 <= len(value) <= self.most:
            raise Malformed(self.header, f"must be 1 to {self.most} characters long")
        return value


IDEMPOTENCY_KEY = Header(header="Idempotency-Key", most=255)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer[Body]:
    """An answer with a status of its own, and with headers beside the content type. `body` may be None: no body.

    What is about one customer is kept by no cache, so nothing is unless the headers say so.
    """

    body: Body | None
    status: int
    headers: Mapping[str, str] = field(default_factory=lambda: {"Cache-Control": "no-store"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route: who answers it, the responses that the API's description gives it, and what it reads."""

    endpoint: Endpoint
    responses: Mapping[int, Any]
    parameters: Mapping[str, Parameter]


class Routes:
    """The routes of one function, by API Gateway's keys (`GET /checkouts/{checkout_id}`). Each answers JSON."""

    def __init__(self) -> None:
        """Begin without a route."""
        self.by_key: dict[str, Route] = {}

    def route(
        self, key: str, *, responses: Mapping[int, Any], **parameters: Parameter
    ) -> Callable[[Endpoint], Endpoint]:
        """Let the decorated endpoint answer the route *key*, with these *responses* (see `edge.refusals`).

        *parameters* declares what it reads from the request beside its path.
        """

        def register(endpoint: Endpoint) -> Endpoint:
            self.by_key[key] = Route(endpoint=endpoint, responses=responses, parameters=parameters)
            return endpoint

        return register

    def __call__(self, event: Event, context: LambdaContext) -> dict[str, Any]:  # noqa: ARG002 - Lambda's signature
        """Return the answer to *event*. Raises NotFound for another route, and Malformed for a wrong parameter."""
        if (route := self.by_key.get(event.get("routeKey", ""))) is None:
            raise NotFound("route", f"{event['requestContext']['http']['method']} {event['rawPath']}")
        read = {name: parameter.read(name, event) for name, parameter in route.parameters.items()}
        found = route.endpoint(event, **(event.get("pathParameters") or {}), **read)
        answer = found if isinstance(found, Answer) else Answer(body=found, status=200)
        return {
            "statusCode": answer.status,
            "headers": {"Content-Type": JSON, **answer.headers},
            "body": "" if answer.body is None else json.dumps(asdict(answer.body)),
            "isBase64Encoded": False,
        }


def _query(event: Event) -> Mapping[str, str]:
    return event.get("queryStringParameters") or {}
