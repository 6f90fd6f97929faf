"""receive_webhook: only what Stripe signed is heard, and it is answered 2xx only when it cannot be lost any more."""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from paidup.outside import secrets as kept
from paidup.outside.dynamo import table
from paidup.outside.secrets import BadSecret
from paidup.outside.stripe.webhook import HANDLED, URGENT
from stripe import WebhookSignature

from tests.functions.door import of_another_version, written
from tests.functions.wire import Wire, be_down, never_answer, wire_to
from tests.handlers import Answer, request
from tests.world import WEBHOOK_SECRET, World

pytestmark = pytest.mark.ministack

COMPLETED = "checkout.session.completed"
NO_QUEUE = r"QueueDoesNotExist|NonExistentQueue"


def sign(raw: str, world: World, *, secret: str = WEBHOOK_SECRET, at: int | None = None) -> str:
    return str(WebhookSignature.generate_signature_header(raw, secret, world.now() if at is None else at))


def send(world: World, raw: str, signature: str | None, *, base64: bool = False) -> Answer:
    sent = raw.encode() if base64 else raw
    return request("POST /webhooks/stripe", raw=sent, headers={"Stripe-Signature": signature})


def assert_refused(world: World, answer: Answer, event: Mapping[str, Any]) -> None:
    """Check that *answer* refuses the signature, and that nothing of *event* was heard."""
    assert answer.status == 400, answer.text
    problem = answer.json
    assert problem["type"] == "urn:paidup:problem:bad-signature"
    assert "secret" in problem["next"]
    assert WEBHOOK_SECRET not in answer.text
    assert world.account(customer=event["data"]["object"]["metadata"]["customer_id"])["purchases"] == []
    assert world.services.table.event("stripe", event["id"]) is None


class TestASignature:
    def test_of_ours_is_heard(self, world: World, buyer: str, completed: dict[str, Any]) -> None:
        raw = json.dumps(completed)
        answer = send(world, raw, sign(raw, world))
        assert (answer.status, answer.json) == (200, {"received": "settled"})
        assert len(world.account(customer=buyer)["access"]) == 1

    def test_is_over_the_bytes_even_where_the_gateway_encodes_them(
        self, world: World, buyer: str, completed: dict[str, Any]
    ) -> None:
        raw = json.dumps(completed, ensure_ascii=False, indent=3) + "\n"
        assert send(world, raw, sign(raw, world), base64=True).json == {"received": "settled"}
        assert len(world.account(customer=buyer)["access"]) == 1

    def test_may_be_one_of_several(self, world: World, completed: dict[str, Any]) -> None:
        """While its endpoint's secret is rolled, Stripe signs with both; it also adds schemes that are not v1."""
        raw = json.dumps(completed)
        good = sign(raw, world).partition("v1=")[2]
        signature = f"t={world.now()},v1={'0' * 64},v1={good},v0={'1' * 64}"
        assert send(world, raw, signature).json == {"received": "settled"}

    @pytest.mark.parametrize("secret", ["whsec_localstackonly000000000000", "whsec_thenewonethatstripeshowed0"])
    def test_may_be_by_any_active_secret(self, world: World, completed: dict[str, Any], secret: str) -> None:
        with_secrets("whsec_thenewonethatstripeshowed0", "whsec_localstackonly000000000000")
        try:
            raw = json.dumps(completed)
            assert send(world, raw, sign(raw, world, secret=secret)).status == 200
        finally:
            with_secrets("whsec_localstackonly000000000000")

    def test_by_another_secret_is_refused(self, world: World, completed: dict[str, Any]) -> None:
        raw = json.dumps(completed)
        assert_refused(world, send(world, raw, sign(raw, world, secret="whsec_theoldonethatisnotactive00")), completed)

    @pytest.mark.parametrize(
        "tamper",
        [
            lambda raw: raw.replace('"amount_total": 12000', '"amount_total": 1'),
            lambda raw: raw + " ",
            lambda raw: raw[:-1],
            lambda raw: raw.replace("ten_class_pass", "unlimited_pass"),
            lambda raw: "",
        ],
    )
    def test_over_another_body_is_refused(self, world: World, completed: dict[str, Any], tamper: Any) -> None:
        raw = json.dumps(completed)
        assert tamper(raw) != raw
        assert_refused(world, send(world, tamper(raw), sign(raw, world)), completed)

    @pytest.mark.parametrize("age_s", [301, 86_400, -301, -86_400])
    def test_of_another_time_is_refused(self, world: World, completed: dict[str, Any], age_s: int) -> None:
        """A signature of the future would stay good for as long as its sender likes."""
        raw = json.dumps(completed)
        assert_refused(world, send(world, raw, sign(raw, world, at=world.now() - age_s)), completed)

    @pytest.mark.parametrize("age_s", [290, -290])
    def test_of_some_minutes_ago_or_of_a_clock_that_is_ahead_is_heard(
        self, world: World, completed: dict[str, Any], age_s: int
    ) -> None:
        raw = json.dumps(completed)
        assert send(world, raw, sign(raw, world, at=world.now() - age_s)).status == 200

    def test_of_another_time_is_judged_by_its_one_stamp(self, world: World, completed: dict[str, Any]) -> None:
        """An old signature gets no younger by a second time stamp beside it, on whichever side."""
        raw = json.dumps(completed)
        old = sign(raw, world, at=world.now() - 3_600)
        for signature in (f"{old},t={world.now()}", f"t={world.now()},{old}", f"{old}, t={world.now()}"):
            assert_refused(world, send(world, raw, signature), completed)

    @pytest.mark.parametrize(
        "signature",
        [
            None,
            "",
            "garbage",
            "t=",
            "t=abc",
            "t=abc,v1={good}",
            "t={now}",
            "t={now},v1=",
            "v1={good}",
            "t={now},v0={good}",
            "t={now},v1={good}0",
            "t={now}.0,v1={good}",
            "t={now},t={now},v1={good}",
            "t={now},v1=é",
            "t={now},v1={good}é",
            ",,,",
            "=",
            "t==1,v1=={good}",
        ],
    )
    def test_that_is_missing_or_garbage_is_refused(
        self, world: World, completed: dict[str, Any], signature: str | None
    ) -> None:
        raw = json.dumps(completed)
        good = sign(raw, world).partition("v1=")[2]
        given = signature if signature is None else signature.format(good=good, now=world.now())
        assert_refused(world, send(world, raw, given), completed)


def with_secrets(*webhook_secrets: str) -> None:
    """Let these be the active secrets, and the functions read them anew, as they do after five minutes."""
    value = json.dumps({"api_key": "sk_test_local", "webhook_secrets": webhook_secrets})
    boto3.client("secretsmanager").put_secret_value(SecretId=os.environ["PAIDUP_STRIPE_SECRET"], SecretString=value)
    kept.connect.cache_clear()


class TestABody:
    def test_that_is_not_utf_8_is_refused(self, world: World) -> None:
        found = request("POST /webhooks/stripe", raw=b'{"id": "evt_\xff"}')
        assert 400 <= found.status < 500
        assert found.json["next"]

    @pytest.mark.parametrize(
        "raw",
        [
            "{}",
            "[]",
            "null",
            "5",
            "not json",
            '{"object": "event"}',
            '{"object": "event", "id": "evt_1", "type": "checkout.session.completed", "created": 1, "data": {}}',
            '{"object": "event", "id": "evt_1", "type": "x", "created": "soon", "data": {"object": {}}}',
            '{"object": "event", "id": "evt_1", "type": "x", "created": 1, "data": {"object": []}}',
            '{"object": "v2.core.event", "id": "evt_1", "type": "v1.x", "created": "soon"}',
        ],
    )
    def test_that_is_no_event_is_refused_though_signed(self, world: World, raw: str) -> None:
        answer = send(world, raw, sign(raw, world))
        assert answer.status == 422
        assert answer.json["type"] == "urn:paidup:problem:broken-json"

    def test_over_1_mb_is_refused(self, world: World, completed: dict[str, Any]) -> None:
        raw = json.dumps(completed | {"padding": "x" * 1_100_000})
        answer = send(world, raw, sign(raw, world))
        assert answer.status == 413
        assert answer.json["type"] == "urn:paidup:problem:too-large"

    def test_of_almost_1_mb_is_heard(self, world: World, completed: dict[str, Any]) -> None:
        raw = json.dumps(completed | {"padding": "x" * 990_000})
        assert send(world, raw, sign(raw, world)).status == 200


class TestAnEvent:
    @pytest.mark.parametrize("type_", ["customer.created", "invoice.finalized", "payment_intent.succeeded", "x", ""])
    def test_of_no_concern_is_answered_and_ignored(self, world: World, completed: dict[str, Any], type_: str) -> None:
        answer = world.deliver(completed | {"type": type_})
        assert (answer.status, answer.json) == (200, {"received": "ignored"})
        assert queued() == 0

    @pytest.mark.parametrize("type_", sorted(HANDLED - URGENT))
    def test_that_is_not_urgent_is_queued_as_it_came(self, world: World, completed: dict[str, Any], type_: str) -> None:
        event = completed | {"type": type_, "id": f"evt_{type_}"}
        raw = json.dumps(event, indent=2)
        assert send(world, raw, sign(raw, world)).json == {"received": "queued"}
        assert taken_from_the_queue() == [raw]

    @pytest.mark.parametrize("type_", sorted(URGENT))
    def test_that_the_buyer_waits_for_is_settled_before_it_is_answered(
        self, world: World, completed: dict[str, Any], type_: str
    ) -> None:
        assert world.deliver(completed | {"type": type_}).json == {"received": "settled"}
        assert queued() == 0

    def test_about_nothing_of_ours_is_answered(self, world: World, completed: dict[str, Any]) -> None:
        event = json.loads(json.dumps(completed))
        event["data"]["object"] |= {"id": "cs_1", "metadata": {}, "customer": "cus_1", "client_reference_id": None}
        assert world.deliver(event).status == 200
        row = world.services.table.event("stripe", event["id"])
        assert row
        assert row.status == "ignored"

    def test_that_was_dealt_with_before_changes_nothing(
        self, world: World, buyer: str, completed: dict[str, Any]
    ) -> None:
        for _ in range(3):
            assert world.deliver(completed).json == {"received": "settled"}
        assert world.account(customer=buyer)["billing_version"] == 1
        assert len(world.services.table.timeline(buyer)) == 1

    def test_is_settled_in_one_transaction_with_the_timeline_and_then_noted_in_the_log(
        self, world: World, buyer: str, completed: dict[str, Any]
    ) -> None:
        with written(world) as calls:
            assert world.deliver(completed).json == {"received": "settled"}
        bought = completed["data"]["object"]["metadata"]["checkout_id"]
        rows = {f"CHECKOUT#{bought}", f"PURCHASE#{bought}", f"TIMELINE#{buyer}"}
        log = ("PutItem", {f"EVENT#stripe#{completed['id']}"})
        assert calls == [("TransactWriteItems", {"ACCOUNT", *rows}), log]
        with written(world) as calls:
            assert world.deliver(completed).json == {"received": "settled"}
        assert calls == []

    def test_can_be_thin(self, world: World, buyer: str, completed: dict[str, Any]) -> None:
        """It names type and object alone; what became of the object is fetched."""
        session = completed["data"]["object"]
        thin = {
            "id": "evt_thin_" + session["id"],
            "object": "v2.core.event",
            "type": f"v1.{COMPLETED}",
            "livemode": False,
            "created": datetime.fromtimestamp(completed["created"], UTC).isoformat().replace("+00:00", "Z"),
            "related_object": {"id": session["id"], "type": "checkout.session", "url": "/v1/checkout/sessions/x"},
        }
        assert world.deliver(thin).json == {"received": "settled"}
        found = world.status(session["metadata"]["checkout_id"], customer=buyer)
        assert found["state"] == "active"
        assert found["purchase"]["amount"] == 12_000

    @pytest.mark.parametrize("type_", ["v1.product.created", "v2.core.account.updated"])
    def test_can_be_thin_and_of_no_concern(self, world: World, type_: str) -> None:
        thin = {"id": "evt_thin", "object": "v2.core.event", "type": type_, "created": "2026-11-21T09:00:00.000Z"}
        assert world.deliver(thin).json == {"received": "ignored"}


class TestInTrouble:
    def test_what_cannot_be_settled_in_time_is_queued(
        self, world: World, buyer: str, completed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as broken:
            broken.setenv("PAIDUP_TABLE", "a-table-that-is-away")
            assert world.deliver(completed).json == {"received": "queued"}
        assert world.account(customer=buyer)["access"] == []
        assert world.work_queue() == []
        assert len(world.account(customer=buyer)["access"]) == 1

    def test_what_a_silent_table_holds_up_is_queued_without_asking_it_twice(
        self, world: World, buyer: str, completed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The buyer waits on Stripe's page for the answer: after two seconds nothing is asked any more."""
        with wire_to(os.environ["AWS_ENDPOINT_URL"]) as silent, monkeypatch.context() as broken:
            silent.inject("POST /", never_answer)
            broken.setenv("AWS_ENDPOINT_URL_DYNAMODB", silent.url)
            table.connect.cache_clear()
            try:
                assert world.deliver(completed).json == {"received": "queued"}
            finally:
                table.connect.cache_clear()
        assert silent.count("POST /") <= 1  # none, if even that came too late
        assert world.work_queue() == []
        assert len(world.account(customer=buyer)["access"]) == 1

    def test_what_a_silent_stripe_holds_up_is_queued_without_asking_it_twice(
        self, world: World, buyer: str, wire: Wire
    ) -> None:
        token = world.buy("monthly", customer=buyer).json
        world.pay(token["url"])
        event = of_another_version(world.events(types=[COMPLETED])[-1])
        wire.inject("GET /v1/checkout/sessions", never_answer)
        assert world.deliver(event).json == {"received": "queued"}
        assert wire.count("GET /v1/checkout/sessions") <= 1  # none, if even that came too late
        wire.mend()
        assert world.work_queue() == []
        assert world.status(token["checkout_id"], customer=buyer)["state"] == "active"

    def test_what_stripe_itself_keeps_us_from_settling_is_queued(self, world: World, buyer: str, wire: Wire) -> None:
        token = world.buy("monthly", customer=buyer).json
        world.pay(token["url"])
        event = of_another_version(world.events(types=[COMPLETED])[-1])
        wire.inject("GET /v1/checkout/sessions", be_down)
        assert world.deliver(event).json == {"received": "queued"}
        assert world.account(customer=buyer)["purchases"] == []
        wire.mend()
        assert world.work_queue() == []
        assert world.status(token["checkout_id"], customer=buyer)["state"] == "active"

    def test_what_cannot_be_queued_either_is_not_acknowledged(
        self, world: World, completed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An error of the function is a 500 of the gateway, after which Stripe sends the event again."""
        monkeypatch.setenv("PAIDUP_TABLE", "a-table-that-is-away")
        monkeypatch.setenv("PAIDUP_WEBHOOK_QUEUE_URL", os.environ["PAIDUP_WEBHOOK_QUEUE_URL"] + "-that-is-away")
        with pytest.raises(Exception, match=NO_QUEUE):
            world.deliver(completed)

    def test_what_is_not_urgent_is_not_acknowledged_without_a_queue(
        self, world: World, completed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PAIDUP_WEBHOOK_QUEUE_URL", os.environ["PAIDUP_WEBHOOK_QUEUE_URL"] + "-that-is-away")
        with pytest.raises(Exception, match=NO_QUEUE):
            world.deliver(completed | {"type": "customer.subscription.updated"})

    def test_what_cannot_be_verified_for_want_of_the_secret_is_not_acknowledged(
        self, world: World, completed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PAIDUP_STRIPE_SECRET", "a-secret-that-is-away")
        with pytest.raises(Exception, match="ResourceNotFound"):
            world.deliver(completed)


def queued() -> int:
    url = os.environ["PAIDUP_WEBHOOK_QUEUE_URL"]
    found = boto3.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    return int(found["Attributes"]["ApproximateNumberOfMessages"])


def taken_from_the_queue() -> list[str]:
    sqs, url = boto3.client("sqs"), os.environ["PAIDUP_WEBHOOK_QUEUE_URL"]
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    for message in found:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return [message["Body"] for message in found]


def test_signing_secrets_that_are_no_list_of_secrets_make_nothing_forgeable(world: World) -> None:
    """Of a single text each letter would count as a secret."""
    secrets = boto3.client("secretsmanager")
    secrets.put_secret_value(
        SecretId=os.environ["PAIDUP_STRIPE_SECRET"],
        SecretString=json.dumps({"api_key": "sk_test_local", "webhook_secrets": "whsec_localstackonly000000000000"}),
    )
    kept.connect.cache_clear()
    with pytest.raises(BadSecret, match="webhook_secrets"):
        world.deliver({"id": "evt_1", "object": "event"}, secret="w")
