"""What tests ask of a checkout at the API, and what they look at behind it: at Stripe, and in the table."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3
from paidup.outside.dynamo import items

from tests.handlers import Answer, request
from tests.world import World


def of_another_version(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return *event* as an endpoint of another API version sends it: its object must be fetched."""
    return {**event, "api_version": "2024-06-20"}


def look(checkout_id: str, *, customer: str) -> Any:
    """Return how a checkout stands."""
    found = request(f"GET /checkouts/{checkout_id}", customer=customer)
    assert found.status == 200, found.text
    return found.json


def give_up(checkout_id: str, *, customer: str) -> Any:
    """Cancel a checkout."""
    found = request(f"DELETE /checkouts/{checkout_id}", customer=customer)
    assert found.status == 200, found.text
    return found.json


def recover(checkout_id: str, *, customer: str) -> Answer:
    """Recover a checkout."""
    return request(f"POST /checkouts/{checkout_id}/recover", customer=customer)


def pages_of(world: World, *buyers: str) -> list[Any]:
    """Return every page that Stripe ever opened for *buyers*, the newest first."""
    found: Any = world.stripe.v1.checkout.sessions.list({"limit": 100}).auto_paging_iter()
    return [page for page in found if page.client_reference_id in buyers]


def page_status(world: World, token: Any) -> str | None:
    """Return how Stripe's page of the checkout *token* stands."""
    return world.stripe.v1.checkout.sessions.retrieve(token["token"]).status


def told(world: World, token: str) -> list[dict[str, Any]]:
    """Return Stripe's events about the page *token* and what was paid there, the oldest first."""
    page = world.stripe.v1.checkout.sessions.retrieve(token)
    about = {token, page.payment_intent, page.subscription} - {None}
    events = world.events()
    return [event for event in events if about & {event["data"]["object"].get(key) for key in ("id", "payment_intent")}]


def hear(world: World, *tokens: str) -> None:
    """Deliver what Stripe has to say of the pages *tokens*, and work the queue: ties once their second is over."""
    for event in (event for token in tokens for event in told(world, token)):
        assert world.deliver(event).status == 200
    if world.work_queue():
        world.pass_time(2)
        assert world.work_queue(wait_s=20) == []


def paid(world: World, buyer: str, offer_id: str) -> Any:
    """Let *buyer* pay for an offer, and Stripe tell of it; return the payment token."""
    token = world.buy(offer_id, customer=buyer).json
    world.pay(token["url"])
    hear(world, token["token"])
    return token


def refunds(world: World, token: Any) -> list[int]:
    """Return what Stripe gave back of what was paid for a checkout."""
    page = world.stripe.v1.checkout.sessions.retrieve(token["token"], {"expand": ["subscription"]}).to_dict()
    intent = page["payment_intent"]
    if page["subscription"]:
        invoice = page["subscription"]["latest_invoice"]
        (paid,) = world.stripe.v1.invoice_payments.list({"invoice": invoice}).data
        intent = paid.payment.payment_intent
    return [refund.amount for refund in world.stripe.v1.refunds.list({"payment_intent": str(intent)}).data]


def refund_by_hand(world: World, token: Any) -> None:
    """Give everything back in Stripe's dashboard, and let it tell of that."""
    intent = str(world.stripe.v1.checkout.sessions.retrieve(token["token"]).payment_intent)
    world.stripe.v1.refunds.create({"payment_intent": intent})
    hear(world, token["token"])


def row_at(key: Mapping[str, str]) -> dict[str, Any]:
    """Return the row at *key* as the table holds it."""
    found = boto3.client("dynamodb").get_item(TableName=os.environ["PAIDUP_TABLE"], Key=items.serialize(key))
    return items.deserialize(found["Item"])


@contextmanager
def listening(world: World, event: str, listener: Any) -> Iterator[None]:
    """Let *listener* hear botocore's *event* of the table's client while the block runs."""
    events = world.services.table.client.meta.events
    events.register(event, listener)
    try:
        yield
    finally:
        events.unregister(event, listener)


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

    with listening(world, "before-parameter-build.dynamodb", note):
        yield calls


@contextmanager
def asked_of_the_table(world: World) -> Iterator[list[str]]:
    """Write down each call to the table while the block runs."""
    asked: list[str] = []

    def note(model: Any, **_: Any) -> None:
        asked.append(model.name)

    with listening(world, "before-call.dynamodb", note):
        yield asked
