"""Many deliveries at once: each event has its effect once, and the order in which they come decides nothing."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import batched
from typing import Any

import pytest
from paidup.outside.dynamo import items
from paidup.outside.stripe.webhook import HANDLED, URGENT

from tests.concurrency.crowd import Crowd, Place, batch, look, webhook
from tests.world import World, opened
from tools.local import ministack

pytestmark = pytest.mark.ministack

type Event = Mapping[str, Any]
CUSTOMERS, DELIVERIES = 100, 1_000


def rows_of(world: World, buyer: str) -> list[str]:
    """Return where each row of *buyer*'s lies, but for the time in a timeline entry's place."""
    table, found = world.services.table, list[str]()
    for pk in (f"CUSTOMER#{buyer}", f"TIMELINE#{buyer}"):
        asked = {":pk": {"S": pk}}
        answer = table.client.query(
            TableName=table.name,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=asked,
            ConsistentRead=True,
        )
        found += [items.deserialize(row)["sk"] for row in answer["Items"]]
    return found


class TestTheSameEventAHundredTimesAtOnce:
    def test_has_one_effect_when_the_buyer_waits_for_it(
        self, world: World, crowd: Crowd, here: Place, buyer: str
    ) -> None:
        token = world.buy("day_pass", customer=buyer).json
        world.pay(token["url"])
        event = world.events(types=["checkout.session.completed"])[-1]
        version = world.services.table.account(buyer).version

        answers = crowd.request(here, [webhook(event, at=world.now())] * 100)

        received = [(answer.status, answer.json["received"]) for answer in answers]
        assert set(received) <= {(200, "settled"), (200, "queued")}  # queued: what a slow machine leaves no time for
        assert world.work_queue(100) == []
        self.assert_one_effect(world, buyer, token["checkout_id"], event, version)

    def test_has_one_effect_when_it_is_queued(self, world: World, crowd: Crowd, here: Place, buyer: str) -> None:
        token = world.buy("monthly", customer=buyer).json
        world.pay(token["url"])
        event = world.events(types=["invoice.paid"])[-1]
        version = world.services.table.account(buyer).version

        answers = crowd.invoke(here, [batch([event] * 4)] * 25)

        assert answers == [{"batchItemFailures": []}] * 25
        self.assert_one_effect(world, buyer, token["checkout_id"], event, version)

    def assert_one_effect(self, world: World, buyer: str, purchase_id: str, event: Event, version: int) -> None:
        """Check every row: the account moved once, and there is one pass, one line in the log, and one entry."""
        account = world.services.table.account(buyer)
        assert (account.version, account.billing_version) == (version + 1, 1)
        assert [access.purchase_id for access in account.access] == [purchase_id]
        found = rows_of(world, buyer)
        own = ["ACCOUNT", f"CHECKOUT#{purchase_id}", f"PURCHASE#{purchase_id}"]
        assert found[:3] == own
        assert f"{event['created']:010d}#{event['id']}" in found
        about = [place.partition("#")[2].partition("@")[0] for place in found[3:]]
        assert about == [event["id"]]
        row = world.services.table.event("stripe", event["id"])
        assert row
        assert (row.status, row.attempts, row.purchase_id) == ("settled", 1, purchase_id)


def test_many_changes_of_one_customer_at_once_are_all_kept_and_whoever_looks_sees_a_whole_account(
    world: World, crowd: Crowd, here: Place, buyer: str
) -> None:
    """The slower of two writers merges again; nobody waits for them, and nobody sees half of it."""
    token = world.buy("ten_class_pass", customer=buyer).json
    world.pay(token["url"])
    session = world.stripe.v1.checkout.sessions.retrieve(token["token"])
    for _ in range(24):
        world.stripe.v1.refunds.create({"payment_intent": str(session.payment_intent), "amount": 100})
    world.pass_time(2)
    told = [event for event in world.events(types=["charge.refunded"]) if event["data"]["object"]["customer"]]
    mine = [event for event in told if event["data"]["object"]["metadata"]["customer_id"] == buyer]
    seconds = [event | {"created": event["created"] - n} for n, event in enumerate(reversed(mine))]
    completed = world.events(types=["checkout.session.completed"])[-1]
    work = [batch([event]) for event in seconds] + [webhook(completed, at=world.now())]
    random.Random(7).shuffle(work)  # noqa: S311 - the same shuffle every time

    answers = crowd.invoke(here, [one for step in work for one in (step, look(buyer), look(buyer))])

    looks = [answer for n, answer in enumerate(answers) if n % 3]
    assert {look["statusCode"] for look in looks} == {200}
    assert all(answer["batchItemFailures"] == [] for answer in answers[::3] if "batchItemFailures" in answer)
    assert world.work_queue(100) == []  # a webhook that had to wait for others for two seconds is queued
    (purchase,) = world.account(customer=buyer)["purchases"]
    assert (purchase["status"], purchase["refunded"]) == ("active", 2_400)
    entries = [place for place in rows_of(world, buyer) if "#evt_" in place]
    assert len(entries) == len(set(entries)) >= 2


@dataclass(slots=True)
class Town:
    """A hundred customers at Stripe, of whom paidup knows nothing: what they bought, and what became of it."""

    world: World
    expected: dict[str, dict[str, Any]] = field(default_factory=dict)
    _then: list[Callable[[], object]] = field(default_factory=list)

    def populate(self) -> list[Event]:
        """Let the customers buy, and return the events that Stripe makes of it, in order."""
        stories = (self._refunded, self._disputed, self._resumed, self._cancelled, self._failed)
        began = self.world.now()
        known = {event["id"] for event in self.world.events(began)}
        for n in range(CUSTOMERS):
            stories[n % len(stories)](f"townsman-{n:02d}")
        self.world.pass_time(4)
        for then in self._then:
            then()
        self.world.pass_time(2)
        fresh = [event for event in self.world.events(began) if event["id"] not in known]
        return [event for event in fresh if event["type"] in HANDLED]

    def _buys(self, customer: str, offer_id: str, card: str = "4242424242424242") -> Any:
        """Buy without paidup, with the metadata that it would have sent."""
        v1, offer = self.world.stripe.v1, self.world.services.table.offer(offer_id)
        assert offer
        buyer = v1.customers.create({"email": f"{customer}@example.com", "metadata": {"customer_id": customer}})
        kind = offer.kind.value
        metadata = {"customer_id": customer, "checkout_id": f"co_{customer}", "offer_id": offer_id, "kind": kind}
        metadata |= {"asked": f"{offer.amount} {offer.currency}", "quantity": "1"}
        price: Any = {"currency": offer.currency, "unit_amount": offer.amount, "product_data": {"name": offer.name}}
        params: Any = {"customer": buyer.id, "success_url": "http://127.0.0.1/", "metadata": metadata}
        if offer.interval:
            price["recurring"] = {"interval": offer.interval.value}
            params |= {"mode": "subscription", "subscription_data": {"metadata": metadata}}
        else:
            params |= {"mode": "payment", "payment_intent_data": {"metadata": metadata}}
        page = v1.checkout.sessions.create(params | {"line_items": [{"price_data": price, "quantity": 1}]})
        self.world.pay(str(page.url), card)
        return v1.checkout.sessions.retrieve(page.id)

    def _refunded(self, customer: str) -> None:
        intent = str(self._buys(customer, "ten_class_pass").payment_intent)
        self.world.stripe.v1.refunds.create({"payment_intent": intent, "amount": 2_000})
        self._then.append(lambda: self.world.stripe.v1.refunds.create({"payment_intent": intent}))
        self.expected[customer] = {"status": "refunded", "refunded": 12_000}

    def _disputed(self, customer: str) -> None:
        intent = str(self._buys(customer, "day_pass", "delayed_success").payment_intent)
        self._then.append(lambda: self._win(intent))
        self.expected[customer] = {"status": "active"}

    def _win(self, intent: str) -> None:
        url = f"{self.world.fakes.url}/dev/stripe/disputes"
        dispute = self.world.http.post(url, json={"payment_intent": intent}).json()["id"]
        self.world.http.post(f"{url}/{dispute}/close", json={"status": "won"}).raise_for_status()

    def _resumed(self, customer: str) -> None:
        """In one second it was to end, and goes on: by finality the wrong one of the two would win."""
        page = self._buys(customer, "monthly")
        plan = str(page.subscription)
        for ends in (True, False, True, False):
            self.world.stripe.v1.subscriptions.update(plan, {"cancel_at_period_end": ends})
        self.expected[customer] = {"status": "active", "cancel_at": None}

    def _cancelled(self, customer: str) -> None:
        plan = str(self._buys(customer, "yearly").subscription)
        self.world.stripe.v1.subscriptions.update(plan, {"cancel_at_period_end": True})
        self._then.append(lambda: self.world.stripe.v1.subscriptions.cancel(plan))
        self.expected[customer] = {"status": "canceled"}

    def _failed(self, customer: str) -> None:
        self._buys(customer, "day_pass", "delayed_failure")
        self.expected[customer] = {"status": "failed"}


def deliver(world: World, crowd: Crowd, here: Place, events: Sequence[Event], *, at_a_time: int = 10) -> None:
    """Deliver *events* as Stripe and the queue do, which hands *at_a_time* out to one function; what fails is delivered
    again, as both do.
    """
    at = world.now()
    while events:
        at_once = [event for event in events if event["type"] in URGENT]
        rest = [event for event in events if event["type"] not in URGENT]
        queued = list(batched(rest, at_a_time, strict=False))
        work = [webhook(event, at=at) for event in at_once] + [batch(events) for events in queued]
        answers = crowd.invoke(here, work)
        received, worked = answers[: len(at_once)], answers[len(at_once) :]
        assert {one["statusCode"] for one in received} <= {200}
        failed = [{int(one["itemIdentifier"]) for one in answer["batchItemFailures"]} for answer in worked]
        events = [events[n] for events, bad in zip(queued, failed, strict=True) for n in bad]
        world.pass_time(2)  # a tie comes back when its second is over
        at = world.now()
    assert world.work_queue(200) == []  # those that could not be settled while Stripe waited


def test_a_thousand_events_in_any_order_and_number_end_like_each_once_in_order(
    world: World, crowd: Crowd, here: Place, aws: ministack.Running
) -> None:
    town = Town(world)
    events = town.populate()
    assert {event["type"] for event in events} >= {"charge.refunded", "customer.subscription.updated"}
    dice = random.Random(20_261_121)  # noqa: S311 - the same throw every time
    copies = [*events, *dice.choices(events, k=DELIVERIES - len(events))]
    dice.shuffle(copies)

    half = len(copies) // 2
    deliver(world, crowd, here, copies[:half])
    # those of one customer side by side, each to a function of its own: as many as can be write one account at once
    deliver(world, crowd, here, sorted(copies[half:], key=customer_of), at_a_time=1)
    ended = {customer: everything(world, customer) for customer in town.expected}

    with opened(aws.account(), world.fakes) as elsewhere:
        for event in events:
            assert elsewhere.deliver(event).status == 200
        assert elsewhere.work_queue(200) == []
        in_order = {customer: everything(elsewhere, customer) for customer in town.expected}
        assert log(world, events) == log(elsewhere, events)

    assert len(in_order) == CUSTOMERS
    for customer, expected in town.expected.items():
        (purchase,) = in_order[customer]["account"]["purchases"]
        assert purchase.items() >= {"purchase_id": f"co_{customer}", **expected}.items()
        assert ended[customer] == in_order[customer]


def customer_of(event: Event) -> str:
    """Return the Stripe customer that *event* is about, where it says so."""
    return str(event["data"]["object"].get("customer"))


def log(world: World, events: Sequence[Event]) -> dict[str, Any]:
    """Return how each event stands in the log, and what it was about."""
    found = {event["id"]: world.services.table.event("stripe", event["id"]) for event in events}
    return {an_id: row and (row.status, row.purchase_id) for an_id, row in found.items()}


def everything(world: World, customer: str) -> dict[str, Any]:
    """Return what *customer* sees, and what each register says.

    How often their access changed on the way is the one thing that order may decide.
    """
    purchase = world.services.table.purchase(customer, f"co_{customer}")
    assert purchase
    return {
        "account": {name: said for name, said in world.account(customer=customer).items() if name != "billing_version"},
        "registers": {name: entry.value for name, entry in purchase.registers.items()},
    }
