"""What a stranger could send, and what grows without bound: nothing crashes, nothing goes round for ever."""

import json
import os
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import boto3
import pytest
import stripe
from paidup.flows.settle import settle
from paidup.model.event import EventRecord, EventStatus
from paidup.model.fact import Channel
from paidup.model.purchase import Purchase
from paidup.model.snapshot import ChangeSet, Snapshot
from paidup.outside import secrets
from paidup.outside.dynamo import items
from paidup.outside.secrets import BadSecret

from tests.functions.door import asked_of_the_table
from tests.functions.wire import Exchange, Wire
from tests.handlers import request
from tests.model.test_settlement import a_checkout, a_fact, paid
from tests.world import WEBHOOK_SECRET, World

NEVER_BETTER = "cannot be read, and cannot be fetched by its id"


def offers_of(world: World, buyer: str) -> list[str]:
    return [one["offer_id"] for one in world.account(customer=buyer)["access"]]


def record_of(world: World, event: dict[str, Any]) -> EventRecord | None:
    return world.services.table.event("stripe", event["id"])


class TestASigningSecret:
    @pytest.mark.parametrize("placeholder", ["whsec_…", "whsec_changeme", "whsec_", "whsec_" + "x" * 23, "sk_test_1"])
    def test_that_is_a_placeholder_is_refused_with_one_sentence(
        self, world: World, completed: dict[str, Any], placeholder: str
    ) -> None:
        value = json.dumps({"api_key": "sk_test_local", "webhook_secrets": [placeholder]})
        boto3.client("secretsmanager").put_secret_value(SecretId=os.environ["PAIDUP_STRIPE_SECRET"], SecretString=value)
        secrets.connect.cache_clear()
        try:
            with pytest.raises(BadSecret, match="webhook_secrets") as refused:
                world.deliver(completed, secret=placeholder)
            assert placeholder not in str(refused.value)
        finally:
            value = json.dumps({"api_key": "sk_test_local", "webhook_secrets": [WEBHOOK_SECRET]})
            boto3.client("secretsmanager").put_secret_value(
                SecretId=os.environ["PAIDUP_STRIPE_SECRET"], SecretString=value
            )
            secrets.connect.cache_clear()


class TestAnEventOfSomebodyElse:
    @pytest.mark.parametrize(
        "change",
        [
            {"livemode": True},
            {"account": "acct_1Stranger"},
            {"account": "acct_1Stranger", "livemode": True},
        ],
    )
    def test_is_ignored_and_queued_nowhere(
        self, world: World, buyer: str, completed: dict[str, Any], change: dict[str, Any]
    ) -> None:
        answer = world.deliver(completed | change)

        assert (answer.status, answer.json) == (200, {"received": "ignored"})
        assert world.work_queue() == []
        assert offers_of(world, buyer) == []

    def test_is_ignored_if_it_is_thin(self, world: World) -> None:
        thin = {
            "id": "evt_thin_stranger",
            "object": "v2.core.event",
            "type": "v1.checkout.session.completed",
            "created": "2026-11-21T09:00:00Z",
            "context": "acct_1Stranger",
            "related_object": {"id": "cs_1", "type": "checkout.session", "url": "/v1/checkout/sessions/cs_1"},
        }

        assert world.deliver(thin).json == {"received": "ignored"}


class TestAnEventThatCannotBe:
    @pytest.mark.parametrize(
        "change",
        [
            {"created": 10**12},
            {"created": -1},
            {"created": "soon"},
            {"created": None},
            {"id": None},
            {"id": ""},
            {"id": "evt_" + "x" * 300},
            {"id": "evt_\ud800"},
            {"id": ["evt_1"]},
            {"type": None},
            {"type": ["checkout.session.completed"]},
            {"type": {"a": 1}},
            {"data": None},
            {"data": {"object": None}},
            {"data": {"object": []}},
        ],
        ids=lambda change: json.dumps(change)[:40],
    )
    def test_is_refused(self, world: World, completed: dict[str, Any], change: dict[str, Any]) -> None:
        answer = world.deliver(completed | change)

        assert answer.status == 422, answer.text
        assert answer.json["next"]

    def test_from_further_ahead_than_the_tolerance_is_refused(self, world: World, completed: dict[str, Any]) -> None:
        assert world.deliver(completed | {"created": world.now() + 301}).status == 422
        assert world.deliver(completed | {"created": world.now() + 290}).status == 200


def broken(**changes: Any) -> Callable[[dict[str, Any]], None]:
    def change(thing: dict[str, Any]) -> None:
        thing |= changes

    return change


class TestAnObjectThatCannotBeRead:
    @pytest.mark.parametrize(
        "spoil",
        [
            broken(metadata="none"),
            broken(metadata=[1, 2]),
            broken(amount_total="1e400"),
            broken(amount_subtotal=-12_000),
            broken(amount_total=-1),
            broken(amount_subtotal=10**30),
            broken(currency=5),
            broken(status=None),
            broken(status={}),
            broken(payment_intent=7),
            broken(subscription=["sub_1"]),
        ],
    )
    def test_is_fetched_by_its_id(
        self, world: World, buyer: str, completed: dict[str, Any], spoil: Callable[[dict[str, Any]], None]
    ) -> None:
        spoil(completed["data"]["object"])

        assert world.deliver(completed).status == 200
        world.work_queue()

        assert offers_of(world, buyer) in (["ten_class_pass"], [])
        record = record_of(world, completed)
        assert record
        assert record.status in (EventStatus.SETTLED, EventStatus.IGNORED)

    @pytest.mark.parametrize(
        "metadata",
        [
            {"customer_id": "x" * 256, "checkout_id": "co_1"},
            {"customer_id": "ada", "checkout_id": "x" * 256},
            {"customer_id": "ada\ud800", "checkout_id": "co_1"},
            {"customer_id": "ada", "checkout_id": "co_1", "offer_id": "x" * 500},
        ],
        ids=["long customer", "long checkout", "half a pair", "long offer"],
    )
    def test_and_cannot_be_fetched_fails_once_and_for_all(
        self, world: World, completed: dict[str, Any], metadata: dict[str, Any]
    ) -> None:
        completed["id"] += f"_{random.randrange(10**9)}"  # noqa: S311 - a name
        completed["data"]["object"] |= {"id": "cs_test_nobody", "metadata": metadata}

        answer = world.deliver(completed)

        assert answer.status in (200, 422), answer.text
        assert world.work_queue() == []  # not handed out again
        if answer.status == 200:
            record = record_of(world, completed)
            assert record
            assert record.status is EventStatus.FAILED
            assert NEVER_BETTER in (record.error or "")

    @pytest.mark.parametrize(
        "raw", ["[" * 100_000, '{"a":' * 100_000, '{"object": 1e400}', '{"object": NaN}', "9" * 10_000]
    )
    def test_because_it_is_no_json_is_refused(self, world: World, raw: str) -> None:
        signature = stripe.WebhookSignature.generate_signature_header(raw, WEBHOOK_SECRET, world.now())
        answer = request("POST /webhooks/stripe", raw=raw, headers={"Stripe-Signature": signature})

        assert answer.status == 422


class TestABodyThatIsLarge:
    def large(self, completed: dict[str, Any], *, type_: str, size: int) -> dict[str, Any]:
        noise = random.Random(7)  # noqa: S311 - bytes that do not compress
        return completed | {
            "id": f"{completed['id']}_{type_}_{size}",
            "type": type_,
            "padding": "".join(noise.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=size)),
        }

    def test_is_settled_from_the_queue(self, world: World, buyer: str, completed: dict[str, Any]) -> None:
        event = self.large(completed, type_="checkout.session.expired", size=900_000)

        assert world.deliver(event).json == {"received": "queued"}
        assert world.work_queue() == []

        record = record_of(world, event)
        assert record
        assert record.status is EventStatus.SETTLED
        assert offers_of(world, buyer) == ["ten_class_pass"]

    def test_is_no_reason_not_to_record_that_it_failed(self, world: World, completed: dict[str, Any]) -> None:
        event = self.large(completed, type_="checkout.session.expired", size=900_000)
        event["data"]["object"] |= {"id": "cs_test_nobody", "metadata": {"customer_id": 5, "checkout_id": 5}}

        assert world.deliver(event).status == 200
        assert world.work_queue() == []

        record = record_of(world, event)
        assert record
        assert (record.status, record.body) == (EventStatus.FAILED, "")

    @pytest.mark.parametrize("character", ["\uffff", "\ufffe", "\x7f", "€", "𝄞"])
    def test_of_rare_characters_is_kept_as_it_is(self, world: World, completed: dict[str, Any], character: str) -> None:
        event = completed | {"id": f"{completed['id']}_{ord(character)}", "type": "checkout.session.expired"}
        raw = json.dumps(event | {"note": f"a{character}b"}, ensure_ascii=False)

        world.services.webhooks().put("stripe", raw, channel="webhook", heard_at=world.now())

        assert world.work_queue() == []
        record = record_of(world, event)
        assert record
        assert json.loads(record.body)["note"] == f"a{character}b"


class TestAnAnswerOfStripes:
    @pytest.mark.parametrize("body", ["null", "[]", "5", '"yes"', "{}", '{"id": 5}', "<html>", ""])
    def test_that_cannot_be_read_is_an_outage(self, world: World, buyer: str, wire: Wire, body: str) -> None:
        def answer(exchange: Exchange) -> None:
            exchange.answer(200, [("Content-Type", "application/json")], body.encode())

        wire.inject("POST /v1/checkout/sessions", answer)

        found = world.buy(customer=buyer)

        assert found.status in (502, 503), found.text
        wire.mend()
        assert world.buy(customer=buyer).status in (200, 201)


class TestACustomerWhoClicksOnAndOn:
    def test_gets_ten_new_pages_in_ten_minutes_and_then_must_wait(self, world: World, buyer: str) -> None:
        for n in range(1, 11):
            assert world.buy(customer=buyer, quantity=n).status == 201

        refused = world.buy(customer=buyer, quantity=11)

        assert (refused.status, refused.json["type"]) == (429, "urn:paidup:problem:too-many-requests")
        assert 0 < int(refused.headers["retry-after"]) <= 600
        assert world.buy(customer=buyer, quantity=10).status == 200  # the page that is open stays theirs
        world.pass_time(600)
        assert world.buy(customer=buyer, quantity=11).status == 201


class TestManyPurchases:
    def test_are_all_shown_page_by_page_and_leave_the_account_small(self, world: World, buyer: str) -> None:
        put_purchases(world, buyer, 1_050)
        account = world.services.table.account(buyer)

        shown: list[str] = []
        pages = 0
        following: str | None = None
        while pages == 0 or following:
            found = account_page(world, buyer, following)
            shown += [one["purchase_id"] for one in found["purchases"]]
            following = found.get("next")
            pages += 1

        assert len(shown) == len(set(shown)) == 1_050
        assert pages == 11
        assert len(json.dumps(items.account_item(account), default=str)) < 100_000
        assert account.access_cut

    def test_count_though_the_account_cannot_hold_them(self, world: World, buyer: str) -> None:
        put_purchases(world, buyer, 250)
        table = world.services.table
        for access in table.account(buyer).access:
            snapshot = table.load_for_update(buyer, access.purchase_id)
            change = ChangeSet(snapshot=snapshot, policy=world.services.policy, now=world.now())
            assert snapshot.purchase
            change.put_purchase(replace(snapshot.purchase, used_at=world.now()))
            table.commit(change)

        left = table.account(buyer)
        assert (len(left.access), left.access_cut) == (50, False)


class TestAChainOfReplacedCheckouts:
    def test_of_two_thousand_is_settled_in_few_reads(self, world: World, buyer: str) -> None:
        table = world.services.table
        chain = [
            replace(
                a_checkout(f"co_{n:06}", customer_id=buyer, provider="stripe").invalidated(
                    by=f"co_{n + 1:06}", now=world.now()
                ),
                replaces=f"co_{n - 1:06}" if n else None,
            )
            for n in range(2_000)
        ]
        for checkout in chain:
            table.client.put_item(TableName=table.name, Item=items.checkout_item(checkout))
        fact = replace(a_fact(paid(), at=world.now(), purchase_id="co_001000"), customer_id=buyer, provider="stripe")

        with asked_of_the_table(world) as asked:
            settled = settle([fact], Channel.SYNC, world.services, now=world.now())

        assert settled.granted
        assert len(asked) <= 30
        assert asked.count("TransactWriteItems") == 1


def put_purchases(world: World, buyer: str, count: int) -> None:
    """Give *buyer* as many passes as nobody ever bought, all of different offers' names beyond the first hundred."""
    table = world.services.table
    purchases: list[Purchase] = []
    for n in range(count):
        fact = replace(a_fact(paid(), at=world.now(), purchase_id=f"co_{n:06}"), customer_id=buyer, provider="stripe")
        purchases.append(Purchase.of(replace(fact, offer_id=f"offer_{n % 20}")).merge(fact))
    for start in range(0, count, 50):
        change = ChangeSet(
            snapshot=Snapshot(account=table.account(buyer), all_purchases=tuple(purchases[:start])),
            policy=world.services.policy,
            now=world.now(),
        )
        for purchase in purchases[start : start + 50]:
            change.put_purchase(purchase)
        table.commit(change)


def account_page(world: World, buyer: str, after: str | None) -> Any:
    query = {"after": after} if after else {}
    found = request("GET /subscription-status", customer=buyer, query=query)
    assert found.status == 200, found.text
    return found.json
