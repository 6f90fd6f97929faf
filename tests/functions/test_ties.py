"""Ties and order: what Stripe said later counts, and where two things were said in one second, Stripe is asked."""

import json
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any

import pytest

from tests.functions.merchant import PLAN
from tests.functions.story import Story
from tests.functions.wire import Exchange, Wire, be_down

ASK = "GET /v1/"


def twin(event: Mapping[str, Any], **changed: Any) -> dict[str, Any]:
    """Return another event of the same second and object, which says *changed* of it."""
    copy: dict[str, Any] = json.loads(json.dumps(event))
    copy["id"] += "_twin"
    copy["data"]["object"] |= changed
    return copy


def deliver(story: Story, *events: Mapping[str, Any]) -> list[str]:
    """Deliver *events* one after the other, and return the messages that failed."""
    failed: list[str] = []
    for event in events:
        assert story.world.deliver(event).status == 200
        failed += story.world.work_queue()
    return failed


@pytest.fixture
def resumed(story: Story, wire: Wire) -> dict[str, Any]:
    """The event of a subscription that was to end and now goes on; a second has passed since."""
    story.buys("monthly")
    story.world.pass_time(2)
    plan = story.plan()["id"]
    story.post(f"subscriptions/{plan}", cancel_at_period_end="true")
    story.hear()
    story.world.pass_time(2)
    story.post(f"subscriptions/{plan}", cancel_at_period_end="false")
    (event,) = story.news(f"{PLAN}.updated")
    story.world.pass_time(2)
    wire.asked.clear()
    return event


def test_a_slow_answer_does_not_undo_what_happened_while_it_was_under_way(story: Story, wire: Wire) -> None:
    """Stripe read the subscription in one second, it was cancelled in the same, and the answer is of the next."""
    story.buys("monthly")
    story.hear()
    story.world.pass_time(2)

    def over_the_border(exchange: Exchange) -> None:
        status, headers, body = exchange.forward()
        story.cancel()
        later = formatdate(story.world.now() + 1, usegmt=True)
        exchange.answer(status, [(name, later if name.lower() == "date" else text) for name, text in headers], body)

    wire.inject(f"{ASK}subscriptions?", over_the_border)
    story.world.sync(customer=story.buyer)
    wire.mend()
    assert list(story.access) == ["monthly"]
    story.hear(f"{PLAN}.deleted")
    assert story.plan()["status"] == "canceled"
    assert story.access == {}


class TestTwoStatesInOneSecond:
    """By the order of finality the cancelled one would win; Stripe says that the subscription goes on."""

    @pytest.mark.parametrize("stale_first", [True, False])
    def test_are_decided_by_asking_stripe_once(
        self, story: Story, wire: Wire, resumed: dict[str, Any], stale_first: bool
    ) -> None:
        stale = twin(resumed, cancel_at=story.period_end(), cancel_at_period_end=True)
        events = (stale, resumed) if stale_first else (resumed, stale)
        assert deliver(story, *events) == []
        assert story.purchase["cancel_at"] is None
        assert [one.partition("?")[0] for one in wire.asked] == [f"{ASK}subscriptions/{story.plan()['id']}"]

    def test_are_not_asked_about_again_by_duplicates(self, story: Story, wire: Wire, resumed: dict[str, Any]) -> None:
        stale = twin(resumed, cancel_at=story.period_end(), cancel_at_period_end=True)
        deliver(story, resumed, stale)
        wire.asked.clear()
        copies = [event | {"id": f"{event['id']}_{n}"} for event in (stale, resumed) for n in range(3)]
        assert deliver(story, *copies, stale, resumed) == []
        assert wire.asked == []
        assert story.purchase["cancel_at"] is None

    def test_that_say_the_same_are_not_asked_about(self, story: Story, wire: Wire, resumed: dict[str, Any]) -> None:
        """One change may come as two events."""
        assert deliver(story, resumed, twin(resumed)) == []
        assert wire.asked == []
        assert story.purchase["cancel_at"] is None

    def test_stay_undecided_while_stripe_is_away(self, story: Story, wire: Wire, resumed: dict[str, Any]) -> None:
        stale = twin(resumed, cancel_at=story.period_end(), cancel_at_period_end=True)
        deliver(story, stale)
        wire.inject(f"{ASK}subscriptions", be_down)
        assert len(deliver(story, resumed)) == 1
        assert story.purchase["cancel_at"] is not None
        wire.mend()
        assert deliver(story, resumed) == []
        assert story.purchase["cancel_at"] is None

    def test_of_this_very_second_come_back_when_it_is_over(
        self, story: Story, wire: Wire, resumed: dict[str, Any]
    ) -> None:
        """What Stripe answers within the second could itself be changed before the second is over."""
        at = story.world.now()
        now = resumed | {"created": at}
        stale = twin(now, cancel_at=story.period_end(), cancel_at_period_end=True)
        assert len(deliver(story, now, stale)) == 1
        assert story.world.services.table.event("stripe", stale["id"]) is None, "a wait is no failure"

        story.world.pass_time(2)
        assert story.world.work_queue(wait_s=20) == []
        purchase = story.world.services.table.purchase(story.buyer, story.token["checkout_id"])
        assert purchase
        assert purchase.registers[f"subscription#{story.plan()['id']}"].at > at
        assert purchase.registers[f"subscription#{story.plan()['id']}"].fetched
        assert story.purchase["cancel_at"] is None

    def test_of_this_very_second_do_not_hold_up_the_buyers_redirect(self, story: Story, wire: Wire) -> None:
        story.buys("day_pass", "delayed_success")
        story.world.pass_time(2 * 86_400 + 4)
        _, succeeded = story.news("checkout.session.completed", "checkout.session.async_payment_succeeded")
        succeeded |= {"created": story.world.now()}
        failed = twin(succeeded, payment_status="unpaid") | {"type": "checkout.session.async_payment_failed"}
        assert story.world.deliver(succeeded).json == {"received": "settled"}
        assert story.world.deliver(failed).json == {"received": "queued"}

        story.world.pass_time(2)
        assert story.world.work_queue(wait_s=20) == []
        assert story.purchase["status"] == "active"

    def test_of_a_payment_are_decided_by_its_page(self, story: Story, wire: Wire) -> None:
        story.buys("day_pass", "delayed_success")
        story.world.pass_time(4)
        _, succeeded = story.news("checkout.session.completed", "checkout.session.async_payment_succeeded")
        story.world.pass_time(2)
        failed = twin(succeeded, payment_status="unpaid") | {"type": "checkout.session.async_payment_failed"}
        for event in (succeeded, failed):
            assert story.world.deliver(event).json == {"received": "settled"}
        assert story.purchase["status"] == "active"
        assert wire.count(f"{ASK}checkout/sessions/{story.token['token']}") == 1

    def test_of_a_refund_are_decided_by_its_charge(self, story: Story, wire: Wire) -> None:
        """A refund of all failed in the second in which it was made."""
        story.buys("day_pass")
        story.world.pass_time(2)
        refund = story.post("refunds", payment_intent=story.session()["payment_intent"]["id"])
        story.trigger(f"refunds/{refund['id']}/fail")
        story.hear("checkout.session.completed")
        (refunded,) = [event for event in story.world.events(story.began) if event["type"] == "charge.refunded"][-1:]
        story.world.pass_time(2)
        wire.asked.clear()
        assert deliver(story, twin(refunded, amount_refunded=0, refunded=False), refunded) == []
        assert story.purchase["status"] == "active"
        assert wire.asked == [f"{ASK}charges/{refunded['data']['object']['id']}"]

    def test_of_a_dispute_are_decided_by_itself(self, story: Story, wire: Wire) -> None:
        story.buys("day_pass")
        story.world.pass_time(2)
        intent = story.session()["payment_intent"]["id"]
        dispute = story.trigger("disputes", payment_intent=intent)
        story.trigger(f"disputes/{dispute['id']}/close", status="won")
        created, closed = [e for e in story.news() if e["type"] in ("charge.dispute.created", "charge.dispute.closed")]
        story.world.pass_time(2)
        lost = twin(closed, status="lost")
        assert deliver(story, created, lost | {"created": created["created"]}) == []
        purchase = story.world.services.table.purchase(story.buyer, story.token["checkout_id"])
        assert purchase
        assert purchase.registers[f"dispute#{dispute['id']}"].value.status == "won"  # type: ignore[union-attr]  # a dispute
        assert wire.count(f"{ASK}disputes/{dispute['id']}") == 1


class TestOutOfOrder:
    def test_what_was_said_earlier_changes_nothing(self, story: Story, wire: Wire) -> None:
        story.buys("monthly")
        plan = story.plan()["id"]
        for ends in ("true", "false", "true"):
            story.world.pass_time(2)
            story.post(f"subscriptions/{plan}", cancel_at_period_end=ends)
        events = story.news("checkout.session.completed", f"{PLAN}.created", f"{PLAN}.updated")
        wire.asked.clear()
        assert deliver(story, *[event for event in events[::-1] if event["type"] != "checkout.session.completed"]) == []
        assert story.purchase["cancel_at"] == story.period_end()
        assert wire.asked == []

    def test_the_end_may_be_heard_of_first(self, story: Story) -> None:
        story.buys("monthly")
        story.world.pass_time(2)
        story.cancel()
        events = story.news()
        assert deliver(story, *events[::-1]) == []
        assert story.purchase["status"] == "canceled"
        assert story.access == {}

    def test_a_refund_may_be_heard_of_before_its_payment(self, story: Story) -> None:
        story.buys("day_pass")
        story.world.pass_time(2)
        story.post("refunds", payment_intent=story.session()["payment_intent"]["id"])
        deliver(story, *story.news("checkout.session.completed", "charge.refunded")[::-1])
        assert story.purchase["status"] == "refunded"
        assert story.version == 0

    def test_a_dispute_may_be_heard_of_before_its_payment(self, story: Story) -> None:
        story.buys("day_pass")
        story.world.pass_time(2)
        dispute = story.trigger("disputes", payment_intent=story.session()["payment_intent"]["id"])
        story.world.pass_time(2)
        story.trigger(f"disputes/{dispute['id']}/close", status="won")
        deliver(story, *story.news()[::-1])
        assert story.purchase["status"] == "active"
        assert story.access == {"day_pass": None}

    def test_a_failure_of_the_first_attempt_does_not_undo_the_second(self, story: Story) -> None:
        """A late "failed" of what was paid since reopens nothing."""
        story.buys("day_pass", "delayed_success")
        story.world.pass_time(4)
        completed, succeeded = story.news("checkout.session.completed", "checkout.session.async_payment_succeeded")
        deliver(story, succeeded, completed | {"type": "checkout.session.async_payment_failed"})
        assert story.purchase["status"] == "active"
