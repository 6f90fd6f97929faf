"""The API's door for routes with a method, a query and a role, and how Stripe fails behind it."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any
from urllib.parse import urlencode

from tests.functions.wire import Exchange
from tests.world import Answer, Context, World, addressed, function, sample
from tools.local import template


def request(
    name: str, route: str, *, customer: str | None, roles: str = "customer", query: Mapping[str, Any] | None = None
) -> Answer:
    """Ask the function *name* for *route* (`DELETE /checkouts/co_1`), as API Gateway hands the request on."""
    method, path = route.split(" ")
    request = addressed(deepcopy(sample(name)), method, path) | {"rawQueryString": urlencode(query or {})}
    if query:
        request["queryStringParameters"] = {key: str(value) for key, value in query.items()}
    caller = {"customer_id": customer, "email": f"{customer}@example.com", "roles": roles.split(",")}
    request["requestContext"]["authorizer"]["lambda"] = caller
    if customer is None:
        del request["requestContext"]["authorizer"]
    return answered(name, request)


def event_for(route: template.Route, caller: Mapping[str, Any] | None, **more: Any) -> dict[str, Any]:
    """Return the event of a request to *route*; every id in its path is `x`, and a provider is `stripe`.

    *caller* is what the authorizer passes on; None: no authorizer stands before the route. *more* replaces fields.
    """
    path = re.sub(r"\{[^}]+\}", "x", route.path.replace("{provider}", "stripe"))
    event = addressed(deepcopy(sample(route.function)), route.method, path)
    event["requestContext"].pop("authorizer", None)
    if caller is not None:
        event["requestContext"]["authorizer"] = {"lambda": dict(caller)}
    return event | more


def answered(name: str, event: Mapping[str, Any]) -> Answer:
    """Return the answer of the function *name* to *event*."""
    found = function(name)(event, Context())
    many = {key: values[0] for key, values in found.get("multiValueHeaders", {}).items()}
    headers = {key.lower(): str(value) for key, value in {**many, **found.get("headers", {})}.items()}
    return Answer(found["statusCode"], headers, found["body"])


def look(checkout_id: str, *, customer: str) -> Any:
    """Return how a checkout stands."""
    found = request("manage_checkout", f"GET /checkouts/{checkout_id}", customer=customer)
    assert found.status == 200, found.text
    return found.json


def give_up(checkout_id: str, *, customer: str) -> Any:
    """Cancel a checkout."""
    found = request("manage_checkout", f"DELETE /checkouts/{checkout_id}", customer=customer)
    assert found.status == 200, found.text
    return found.json


def recover(checkout_id: str, *, customer: str) -> Answer:
    """Recover a checkout."""
    return request("manage_checkout", f"POST /checkouts/{checkout_id}/recover", customer=customer)


def pages_of(world: World, buyer: str) -> list[Any]:
    """Return every page that Stripe ever opened for *buyer*, the newest first."""
    found: Any = world.stripe.v1.checkout.sessions.list({"limit": 100}).auto_paging_iter()
    return [page for page in found if page.client_reference_id == buyer]


def told(world: World, token: str) -> list[dict[str, Any]]:
    """Return Stripe's events about the page *token* and what was paid there, the oldest first."""
    page = world.stripe.v1.checkout.sessions.retrieve(token)
    about = {token, page.payment_intent, page.subscription} - {None}
    events = world.events()
    return [event for event in events if about & {event["data"]["object"].get(key) for key in ("id", "payment_intent")}]


def hear(world: World, *tokens: str) -> None:
    """Deliver what Stripe has to say of the pages *tokens*, and work the queue."""
    for event in (event for token in tokens for event in told(world, token)):
        assert world.deliver(event).status == 200
    assert world.work_queue() == []


@contextmanager
def written(world: World) -> Iterator[list[tuple[str, set[str]]]]:
    """Write down each call that writes to the table while the block runs: its name, and the rows that it writes."""
    calls: list[tuple[str, set[str]]] = []

    def name(key: Any) -> str:
        pk, sk = key["pk"]["S"], key["sk"]["S"]
        return str(sk if pk.startswith("CUSTOMER#") else pk)

    def note(params: Any, model: Any, **_: Any) -> None:
        if model.name.startswith("TransactWrite"):
            rows = [one for item in params["TransactItems"] for one in item.values()]
        elif model.name.startswith(("Put", "Update", "Delete", "BatchWrite")):
            rows = [params]
        else:
            return
        calls.append((model.name, {name(row.get("Item") or row.get("Key")) for row in rows}))

    events = world.services.table.client.meta.events
    events.register("before-parameter-build.dynamodb", note)
    try:
        yield calls
    finally:
        events.unregister("before-parameter-build.dynamodb", note)


def outage(exchange: Exchange) -> None:
    """Answer like a Stripe that is down."""
    exchange.answer(500, [("Stripe-Should-Retry", "false")], b"{}")


def gone(exchange: Exchange) -> None:
    """Answer that there is no such thing."""
    exchange.answer(404, [], b'{"error": {"type": "invalid_request_error", "code": "resource_missing"}}')


def forbidden(exchange: Exchange) -> None:
    """Answer that the key may not do this."""
    exchange.answer(403, [], b'{"error": {"type": "invalid_request_error", "message": "The key may not do this."}}')
