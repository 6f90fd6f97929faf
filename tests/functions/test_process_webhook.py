"""process_webhook: works the queue, fails for each message alone, and keeps a log of what became of every event."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from tests.functions.door import listening, of_another_version, written
from tests.functions.story import Story
from tests.functions.wire import Wire, be_down
from tests.handlers import invoke, queue_event
from tests.world import World


@pytest.fixture(autouse=True)
def empty_queue(world: World) -> None:
    """No message of another test is in the queue."""
    boto3.client("sqs").purge_queue(QueueUrl=os.environ["PAIDUP_WEBHOOK_QUEUE_URL"])


def work_on(*bodies: str, attempt: int = 1) -> list[str]:
    """Hand *bodies* to the function as one batch of messages m0, m1…, and return those that it names as failed."""
    attributes = {"ApproximateReceiveCount": str(attempt)}
    messages = [{"messageId": f"m{n}", "body": body, "attributes": attributes} for n, body in enumerate(bodies)]
    return [one["itemIdentifier"] for one in invoke(*queue_event(*messages))["batchItemFailures"]]


def bought(story: Story, offer: str = "day_pass") -> str:
    """Let the buyer pay, and return the event that says so, as Stripe sends it."""
    story.buys(offer)
    news = story.news("checkout.session.completed")
    (event,) = [event for event in news if event["data"]["object"]["id"] == story.token["token"]]
    return json.dumps(event)


@contextmanager
def no_row_in_the_log(story: Story) -> Iterator[None]:
    """Let the table be away whenever an event is noted, while the block runs."""

    def away(params: Any, **_: Any) -> None:
        if params["Item"]["pk"]["S"].startswith("EVENT#"):
            raise EndpointConnectionError(endpoint_url="the table's")

    with listening(story.world, "before-parameter-build.dynamodb.PutItem", away):
        yield


def of_a_stranger(body: str) -> str:
    """Return the event in *body* as one of a subscription to an offer of ours, whose customer nobody knows."""
    event = json.loads(body)
    plan: dict[str, Any] = {"id": "sub_strange", "object": "subscription", "customer": "cus_nobody"}
    price = {"id": "price_monthly", "lookup_key": "monthly", "active": True}
    plan |= {"status": "active", "metadata": {}, "items": {"data": [{"id": "si_1", "price": price}]}}
    event |= {"id": event["id"] + "_strange", "type": "customer.subscription.updated", "data": {"object": plan}}
    return json.dumps(event)


class TestABatch:
    @pytest.fixture
    def another(self, world: World) -> Story:
        return Story(world, world.customer())

    def test_is_settled(self, story: Story, another: Story) -> None:
        assert work_on(bought(story), bought(another)) == []
        assert (len(story.access), len(another.access)) == (1, 1)

    def test_fails_for_each_message_alone(self, story: Story, another: Story) -> None:
        first, last = bought(story), bought(another)
        assert work_on(first, of_a_stranger(first), "not json", last) == ["m1", "m2"]
        assert (len(story.access), len(another.access)) == (1, 1)

    def test_can_fail_as_a_whole(self, story: Story) -> None:
        """The messages are named one by one then too, so that a batch of one is no special case."""
        assert work_on("{}", of_a_stranger(bought(story))) == ["m0", "m1"]

    def test_can_hold_an_event_twice(self, story: Story) -> None:
        event = bought(story)
        assert work_on(event, event, event) == []
        assert story.version == 1
        assert len(story.world.services.table.timeline(story.buyer)) == 1

    def test_settles_each_event_in_one_transaction_with_the_timeline_and_then_notes_it_in_the_log(
        self, story: Story
    ) -> None:
        story.buys("day_pass")
        story.world.pass_time(1)
        story.post("refunds", payment_intent=story.session()["payment_intent"]["id"])
        events = story.news("checkout.session.completed", "charge.refunded")
        with written(story.world) as calls:
            assert work_on(*map(json.dumps, events)) == []
        rows = {"ACCOUNT", f"PURCHASE#{story.token['checkout_id']}", f"TIMELINE#{story.buyer}"}
        bought = rows | {f"CHECKOUT#{story.token['checkout_id']}"}
        paid, refunded = (("PutItem", {f"EVENT#stripe#{event['id']}"}) for event in events)
        assert calls == [("TransactWriteItems", bought), paid, ("TransactWriteItems", rows), refunded]

    @pytest.mark.parametrize("sequence", [(0, 1), (1, 0)])
    def test_is_settled_in_whatever_order(self, story: Story, sequence: Sequence[int]) -> None:
        story.buys("day_pass")
        story.world.pass_time(1)
        story.post("refunds", payment_intent=story.session()["payment_intent"]["id"])
        events = [json.dumps(one) for one in story.news("checkout.session.completed", "charge.refunded")]
        assert work_on(*(events[n] for n in sequence)) == []
        assert story.purchase["status"] == "refunded"
        assert story.access == {}


class TestAnEventThatTakesEffectButIsNotNoted:
    """The function died, or the table was away, between the transaction and the row in the log."""

    def test_comes_again_and_changes_nothing_more(self, story: Story) -> None:
        event = bought(story)
        with no_row_in_the_log(story):
            assert work_on(event) == ["m0"]
        assert list(story.access) == ["day_pass"]
        with written(story.world) as calls:
            assert work_on(event, attempt=2) == []
        assert calls == [("PutItem", {f"EVENT#stripe#{json.loads(event)['id']}"})]
        assert story.version == 1
        assert len(story.world.services.table.timeline(story.buyer)) == 1

    def test_is_noted_as_settled_when_it_comes_again(self, story: Story) -> None:
        event = bought(story)
        with no_row_in_the_log(story):
            work_on(event)
        assert work_on(event, attempt=2) == []
        row = story.world.services.table.event("stripe", json.loads(event)["id"])
        assert row
        assert (row.status, row.attempts, row.purchase_id) == ("settled", 2, story.token["checkout_id"])

    def test_does_not_undo_what_was_said_meanwhile(self, story: Story) -> None:
        story.buys("day_pass")
        story.world.pass_time(1)
        story.post("refunds", payment_intent=story.session()["payment_intent"]["id"])
        paid, refunded = map(json.dumps, story.news("checkout.session.completed", "charge.refunded"))
        with no_row_in_the_log(story):
            assert work_on(paid) == ["m0"]
        assert work_on(refunded, paid) == []
        assert story.purchase["status"] == "refunded"
        assert len(story.world.services.table.timeline(story.buyer)) == 2

    def test_is_queued_if_the_buyer_waits_for_it(self, story: Story) -> None:
        event = json.loads(bought(story))
        with no_row_in_the_log(story):
            assert story.world.deliver(event).json == {"received": "queued"}
        assert list(story.access) == ["day_pass"]
        assert story.world.work_queue() == []
        row = story.world.services.table.event("stripe", event["id"])
        assert row
        assert row.status == "settled"


@pytest.mark.parametrize("junk", ["null", "[]", "{}"])
def test_an_answer_that_nobody_can_read_is_an_outage_and_loses_no_event(story: Story, wire: Wire, junk: str) -> None:
    story.buys("monthly")
    (event,) = [json.dumps(of_another_version(one)) for one in story.news("checkout.session.completed")]
    wire.inject(
        "GET /v1/checkout/sessions",
        lambda exchange: exchange.answer(200, [("Content-Type", "application/json")], junk.encode()),
    )

    assert work_on(event) == ["m0"]  # handed out again
    wire.mend()
    assert work_on(event, attempt=2) == []

    assert list(story.access) == ["monthly"]


class TestTheLog:
    def test_tells_what_became_of_an_event(self, story: Story) -> None:
        event = bought(story)
        work_on(event)
        told = json.loads(event)
        row = story.world.services.table.event("stripe", told["id"])
        assert row
        assert (row.status, row.type, row.attempts, row.error) == ("settled", told["type"], 1, None)
        assert row.purchase_id == story.token["checkout_id"]
        assert row.received_at >= told["created"]
        assert row.body == event

    def test_tells_that_nothing_of_ours_was_in_it(self, story: Story) -> None:
        event = bought(story)
        told = json.loads(event)
        told["data"]["object"] |= {"id": "cs_1", "metadata": {}, "customer": "cus_1", "client_reference_id": None}
        assert work_on(json.dumps(told)) == []
        row = story.world.services.table.event("stripe", told["id"])
        assert row
        assert row.status == "ignored"

    def test_tells_why_an_event_failed_until_it_is_settled(self, story: Story, wire: Wire) -> None:
        story.buys("monthly")
        (event,) = [json.dumps(of_another_version(one)) for one in story.news("checkout.session.completed")]
        told = json.loads(event)
        wire.inject("GET /v1/checkout/sessions", be_down)
        assert work_on(event, attempt=1) == ["m0"]
        assert work_on(event, attempt=2) == ["m0"]
        row = story.world.services.table.event("stripe", told["id"])
        assert row
        assert (row.status, row.attempts, row.body) == ("failed", 2, event)
        assert (
            row.error
            == "IdempotencyKeySpent: stripe did not answer: it was asked about checkout.session.completed (503)."
        )
        assert told["id"] in {one.event_id for one in story.world.services.table.failed_events()}
        assert story.account["purchases"] == []

        wire.mend()
        assert work_on(event, attempt=3) == []
        row = story.world.services.table.event("stripe", told["id"])
        assert row
        assert (row.status, row.attempts, row.error) == ("settled", 3, None)
        assert told["id"] not in {one.event_id for one in story.world.services.table.failed_events()}
        assert list(story.access) == ["monthly"]

    def test_keeps_an_event_that_is_settled_settled(self, story: Story, wire: Wire) -> None:
        """A copy of it in the queue asks nobody any more, and so cannot fail."""
        story.buys("monthly")
        (event,) = [json.dumps(one) for one in story.news("invoice.paid")]
        assert work_on(event) == []
        wire.inject("", be_down)
        wire.asked.clear()
        assert work_on(event, attempt=2) == []
        assert wire.asked == []
        row = story.world.services.table.event("stripe", json.loads(event)["id"])
        assert row
        assert (row.status, row.attempts) == ("settled", 1)


def test_what_fails_for_three_hours_is_a_dead_letter(story: Story) -> None:
    event = bought(story)
    strange = json.loads(of_a_stranger(event))
    story.world.deliver(strange)
    sqs, url = boto3.client("sqs"), os.environ["PAIDUP_WEBHOOK_QUEUE_URL"]
    failures = 0
    for _ in range(91):
        found = sqs.receive_message(
            QueueUrl=url, MessageSystemAttributeNames=["All"], MessageAttributeNames=["All"]
        ).get("Messages")
        if not found:
            break
        (record,) = found
        batch = queue_event({"body": record["Body"], "attributes": record["Attributes"]})
        failures += len(invoke(*batch)["batchItemFailures"])
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=record["ReceiptHandle"], VisibilityTimeout=0)
    assert failures == 90
    policy = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]["RedrivePolicy"]
    name = json.loads(policy)["deadLetterTargetArn"].rpartition(":")[2]
    dead = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    (letter,) = sqs.receive_message(QueueUrl=dead)["Messages"]
    assert json.loads(letter["Body"]) == strange
    row = story.world.services.table.event("stripe", strange["id"])
    assert row
    assert (row.status, row.attempts) == ("failed", 90)
