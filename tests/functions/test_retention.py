"""Retention: whatever is long over is purged, each kind of row in its own time, and what still counts never is."""

import os
from collections import defaultdict
from typing import Any

import boto3
import pytest
from paidup.outside.dynamo.items import deserialize

from tests.functions.door import give_up, hear
from tests.world import World

DAY = 86_400

KEPT_DAYS: dict[str, set[int | None]] = {
    "account": {None},
    "offer": {None},
    "purchase": {None},
    "checkout open": {None},
    "checkout completed": {None},
    "checkout invalidated": {7},
    "checkout expired": {7},
    "key": {7},
    "booking waiting": {None},
    "booking expired": {90},
    "whose booking waiting": {None},
    "whose booking expired": {90},
    "timeline": {400},
    "event settled": {90},
    "event ignored": {90},
    "event failed": {90},
    "case": {None},  # somebody must decide about money
    "sweep": {None},  # the read budget: one row a provider
}


def everything() -> list[dict[str, Any]]:
    """Return all rows of the table."""
    pages = boto3.client("dynamodb").get_paginator("scan").paginate(TableName=os.environ["PAIDUP_TABLE"])
    return [deserialize(row) for page in pages for row in page["Items"]]


def kept() -> dict[str, set[int | None]]:
    """Return for how many days each kind of row is kept (None: for ever), from when it was over or came in."""
    found: dict[str, set[int | None]] = defaultdict(set)
    table = everything()
    bookings = {row["booking_id"]: row for row in table if row["sk"].startswith("BOOKING#")}
    for row in table:
        kind, _, an_id = row["pk"].partition("#")
        name, told = kind.lower(), row
        if kind == "CUSTOMER":
            name = row["sk"].partition("#")[0].lower()
        elif kind == "BOOKING":
            name, told = "whose booking", bookings[an_id]
        elif kind == "OFFERS":
            name = "offer"
        if "status" in told:
            name += f" {told['status']}"
        since = [told[one] for one in ("ended_at", "settled_at", "received_at", "at") if told.get(one)]
        found[name].add((row["purge_at"] - since[0]) / DAY if "purge_at" in row else None)
    return dict(found)


def page_by_hand(world: World, of: str | None = None) -> str:
    """Let somebody pay one euro on a page that nobody's checkout asked for; *of* is the page whose name it goes by."""
    line = {"price_data": {"currency": "eur", "unit_amount": 100, "product_data": {"name": "x"}}, "quantity": 1}
    asked: Any = {"mode": "payment", "line_items": [line], "success_url": "http://127.0.0.1/"}
    if of:
        page = world.stripe.v1.checkout.sessions.retrieve(of).to_dict()
        asked |= {name: page[name] for name in ("customer", "metadata")}
    made = world.stripe.v1.checkout.sessions.create(asked)
    world.pay(str(made.url))
    return made.id


def about_a_stranger(world: World) -> dict[str, Any]:
    """Return Stripe's event about a subscription whose customer nobody knows."""
    plan: dict[str, Any] = {"id": "sub_strange", "object": "subscription", "customer": "cus_nobody"}
    price = {"id": "price_monthly", "lookup_key": "monthly", "active": True}
    plan |= {"status": "active", "metadata": {}, "items": {"data": [{"id": "si_1", "price": price}]}}
    event = {"id": "evt_strange", "object": "event", "type": "customer.subscription.deleted", "created": world.now()}
    return event | {"data": {"object": plan}}


def test_every_kind_of_row_is_kept_in_its_own_time(fresh_world: World) -> None:
    fresh_world.buy(customer=fresh_world.customer(), headers={"Idempotency-Key": "a-click"})
    fresh_world.pass_time(DAY)
    fresh_world.sweep()

    expired, waits = fresh_world.customer(), fresh_world.customer()
    for buyer in (expired, waits):
        token = fresh_world.buy("live_session", customer=buyer).json
        fresh_world.pay(token["url"])
        hear(fresh_world, token["token"])
        if buyer == expired:
            fresh_world.pass_time(15 * 60)
            fresh_world.sweep()

    short, chooses = fresh_world.customer(), fresh_world.customer()
    hear(fresh_world, page_by_hand(fresh_world, of=fresh_world.buy(customer=short).json["token"]))
    hear(fresh_world, page_by_hand(fresh_world))
    give_up(fresh_world.buy(customer=chooses).json["checkout_id"], customer=chooses)
    fresh_world.buy(customer=chooses)
    assert fresh_world.deliver(about_a_stranger(fresh_world)).status == 200
    assert len(fresh_world.work_queue()) == 1

    assert kept() == KEPT_DAYS


@pytest.mark.parametrize(("setting", "days"), [(None, 90), (35 * DAY, 35)])
def test_an_event_is_kept_for_as_long_as_is_set(
    fresh_world: World, monkeypatch: pytest.MonkeyPatch, setting: int | None, days: int
) -> None:
    """Where nothing is set, for 90 days."""
    if setting is None:
        monkeypatch.delenv("PAIDUP_EVENT_RETENTION_S")
    else:
        monkeypatch.setenv("PAIDUP_EVENT_RETENTION_S", str(setting))
    hear(fresh_world, page_by_hand(fresh_world))
    assert kept()["event ignored"] == {days}
