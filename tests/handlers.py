"""How tests invoke the functions, whatever triggers them: a route, a queue, a stream, a socket, a schedule.

There is no other way.
"""

import importlib
import json
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode

from tests import declared
from tools.local import template

FAR_OFF = 4_102_444_800  # when tokens end, unless a test says otherwise
EVENTS = Path(__file__).parents[1] / "events"

type Invocation = tuple[str, dict[str, Any]]
"""A function's name, and the event that it gets."""


class Context:
    """Lambda's context, as far as a function sees it. *time_left_s* is what it says each time; the last word stays."""

    function_name = "paidup"
    memory_limit_in_mb = 1024
    invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:paidup"
    aws_request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"

    def __init__(self, *time_left_s: float) -> None:
        self._time_left_s = list(time_left_s or (60.0,))

    def get_remaining_time_in_millis(self) -> int:
        left = self._time_left_s.pop(0) if len(self._time_left_s) > 1 else self._time_left_s[0]
        return int(left * 1000)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer of a function; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def invoke(name: str, event: Mapping[str, Any], context: Context | None = None) -> Any:
    """Return what the handler of functions/<name>/app.py returns for *event*: nothing but what its routes declare."""
    answer = importlib.import_module(f"functions.{name}.app").handler(event, context or Context())
    declared.hold(event, answer)
    return answer


def request(route: str, **what: Any) -> Answer:
    """Request a route, like `POST /payment-tokens`, and return the answer; *what* is as in `http_event`."""
    return answered(*http_event(route, **what))


def answered(name: str, event: Mapping[str, Any]) -> Answer:
    """Return the answer of the function *name* to the request in *event*."""
    return answer_of(invoke(name, event))


def answer_of(found: Mapping[str, Any]) -> Answer:
    """Return what API Gateway makes of what a function returned."""
    many = {key: values[0] for key, values in found.get("multiValueHeaders", {}).items()}
    headers = {**many, **found.get("headers", {})}
    return Answer(found["statusCode"], {key.lower(): str(value) for key, value in headers.items()}, found["body"])


def sample(name: str) -> dict[str, Any]:
    """Return the event events/<name>.json."""
    found: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return found


def http_event(
    route: str,
    *,
    customer: str | None = None,
    roles: str = "customer",
    caller: Mapping[str, Any] | None = None,
    query: Mapping[str, Any] | None = None,
    body: Any = None,
    raw: str | bytes | None = None,
    headers: Mapping[str, str | None] | None = None,
    function: str = "",
) -> Invocation:
    """Return the function that template.yaml has for *route*, and API Gateway's event, made from the route's sample.

    The authorizer has let *customer* in, with *roles* (commas between them), or said of the *caller* whatever it says;
    without either, nobody is signed in. *body* is sent as JSON, *raw* as it is, and bytes in base64, as the gateway
    hands on what is no text. A header that is None is left out. *function* gets a request that the template has no
    route for.
    """
    method, _, path = route.partition(" ")
    known = None if function else _route(method, path)
    name, key = (known.function, known.key) if known else (function, "$default")
    event = addressed(_sample_of(name, key), method, path, key=key)
    event["rawQueryString"] = urlencode(query or {})
    if query:
        event["queryStringParameters"] = {name: str(value) for name, value in query.items()}
    event["requestContext"].pop("authorizer", None)
    if customer is not None:
        caller = {"customer_id": customer, "email": f"{customer}@example.com", "roles": roles.split(",")}
    if caller is not None:
        event["requestContext"]["authorizer"] = {"lambda": {"token_ends_at": FAR_OFF, **caller}}
    if raw is not None or body is not None:
        sent = json.dumps(body) if raw is None else raw
        encoded = isinstance(sent, bytes)
        event |= {"body": b64encode(sent).decode() if isinstance(sent, bytes) else sent, "isBase64Encoded": encoded}
    given = event["headers"] | {name.lower(): value for name, value in (headers or {}).items()}
    event["headers"] = {name: value for name, value in given.items() if value is not None}
    return name, event


def addressed(event: Mapping[str, Any], method: str, path: str, *, key: str = "") -> dict[str, Any]:
    """Return *event* as API Gateway makes it of a request to *path*, with the ids in it, and the route's *key*: the
    template's, if none is given, or `$default` if it has none.
    """
    route = next((one for one in _routes() if one.method == method and _matched(one.path, path) is not None), None)
    key = key or (route.key if route else "$default")
    ids = (_matched(route.path, path) if route and key == route.key else None) or {}
    http = {**event["requestContext"]["http"], "method": method, "path": path}
    context = {**event["requestContext"], "http": http, "routeKey": key}
    return {**event, "routeKey": key, "rawPath": path, "pathParameters": ids, "requestContext": context}


def event_for(route: template.Route, caller: Mapping[str, Any] | None, **fields: Any) -> dict[str, Any]:
    """Return the event of a request to *route*; every id in its path is `x`, and a provider is `stripe`.

    *caller* is as in `http_event`. *fields* replace those of the event.
    """
    path = re.sub(r"\{[^}]+\}", "x", route.path.replace("{provider}", "stripe"))
    return http_event(f"{route.method} {path}", caller=caller)[1] | fields


def queue_event(*records: Mapping[str, Any]) -> Invocation:
    """Return the batch that SQS hands process_webhook: the sample's record as often as there are *records*, each with
    what one of them says in its place.
    """
    batch = sample("process_webhook")
    (usual,) = batch["Records"]
    batch["Records"] = [usual | record for record in records]
    return "process_webhook", batch


def socket_event(kind: str, connection_id: str, **fields: Any) -> Invocation:
    """Return the event of the WebSocket API of this *kind* (`connect`, `message`, `disconnect`) for the connection.

    *fields* replace those of the sample.
    """
    event = sample({"connect": "realtime"}.get(kind, f"realtime_{kind}"))
    context = event["requestContext"] | {"connectionId": connection_id}
    return "realtime", event | {"requestContext": context} | fields


def stream_event(*records: Mapping[str, Any]) -> Invocation:
    """Return the batch that the table's stream hands push_billing_changes."""
    return "push_billing_changes", {"Records": list(records)}


@cache
def _routes() -> list[template.Route]:
    """Return the template's routes; those with fewer gaps are more exact, and come first."""
    return sorted(template.read().routes, key=lambda route: route.path.count("{"))


def _route(method: str, path: str) -> template.Route:
    for route in _routes():
        if route.method == method and _matched(route.path, path) is not None:
            return route
    raise LookupError(f"template.yaml has no route {method} {path}")


def _matched(pattern: str, path: str) -> dict[str, str] | None:
    """Return what *path* has in the gaps of *pattern*, or None if they do not match."""
    gaps = re.sub(
        r"\\\{(\w+)(\\\+)?\\\}", lambda gap: f"(?P<{gap[1]}>{'.*' if gap[2] else '[^/]+'})", re.escape(pattern)
    )
    found = re.fullmatch(gaps, path, re.DOTALL)
    return None if found is None else {name: unquote(value) for name, value in found.groupdict().items()}


def _sample_of(function: str, key: str) -> dict[str, Any]:
    """Return the sample of the route *key*, or the *function*'s first if the route has none of its own."""
    samples = [sample(file.stem) for file in EVENTS.glob(f"{function}*.json")]
    return next((one for one in samples if one.get("routeKey") == key), sample(function))
