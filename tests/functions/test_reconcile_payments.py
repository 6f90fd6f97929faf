"""Every webhook is lost, and nobody asks: the provider's own list of events leads to the same purchase."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from paidup.model.reconciliation import EVERY_S

from tests.functions.door import listening
from tests.functions.merchant import GRACE, paid_with, price
from tests.functions.story import Story
from tests.functions.wire import Exchange, Wire, be_down
from tests.handlers import Context, invoke, sample
from tests.world import World

WEBHOOKS_COME_WITHIN_S = 130
RUN = "events#stripe"


def reconcile(world: World, *time_left_s: float) -> Any:
    """Let EventBridge run reconcile_payments, which has that much time left each time that it looks."""
    return invoke("reconcile_payments", sample("reconcile_payments"), Context(*time_left_s))


@pytest.fixture
def caught_up(story: Story) -> Story:
    """A shop whose reconciler has just read everything of before, objects too: they are not due for an hour."""
    story.world.pass_time(EVERY_S)
    reconcile(story.world)
    return story


def happened(story: Story) -> set[tuple[str, str]]:
    """Return what the buyer's timeline says: what register changed, and by which channel that was heard."""
    entries = story.world.services.table.timeline(story.buyer)
    return {(entry.register.partition("#")[0], entry.channel) for entry in entries}


def test_a_payment_of_which_nobody_told_is_found(caught_up: Story) -> None:
    caught_up.buys("ten_class_pass")
    caught_up.world.pass_time(WEBHOOKS_COME_WITHIN_S)

    report = reconcile(caught_up.world)

    assert set(caught_up.access) == {"ten_class_pass"}
    assert report["found"] >= 1
    assert ("payment", "reconciler") in happened(caught_up)


def test_a_run_has_seconds_left_to_wait_for_its_budget_before_anybody_has_waited_for_six_minutes(
    caught_up: Story,
) -> None:
    runs_apart_s, promised_s, left_s = 300, 360, 15
    caught_up.buys("ten_class_pass")
    caught_up.world.pass_time(promised_s - left_s - runs_apart_s)

    reconcile(caught_up.world)

    assert set(caught_up.access) == {"ten_class_pass"}


def test_a_whole_subscription_is_found_with_its_right_end(caught_up: Story) -> None:
    caught_up.buys("monthly")
    caught_up.world.pass_time(WEBHOOKS_COME_WITHIN_S)

    reconcile(caught_up.world)

    assert caught_up.access == {"monthly": caught_up.period_end() + GRACE}


def test_a_refund_of_which_nobody_told_ends_access(caught_up: Story) -> None:
    caught_up.buys("monthly")
    caught_up.hear()
    caught_up.post("refunds", payment_intent=paid_with(caught_up))
    caught_up.world.pass_time(WEBHOOKS_COME_WITHIN_S)

    reconcile(caught_up.world)

    assert (caught_up.purchase["status"], caught_up.access) == ("refunded", {})


def test_what_has_just_happened_is_left_to_its_webhook(caught_up: Story) -> None:
    caught_up.buys("ten_class_pass")

    reconcile(caught_up.world)

    assert caught_up.access == {}


def test_what_a_webhook_told_is_not_settled_again(caught_up: Story) -> None:
    caught_up.buys("ten_class_pass")
    caught_up.hear()
    caught_up.world.pass_time(WEBHOOKS_COME_WITHIN_S)
    version = caught_up.version

    report = reconcile(caught_up.world)

    assert (report["found"], report["known"] >= 1) == (0, True)
    assert caught_up.version == version
    assert "reconciler" not in {channel for _, channel in happened(caught_up)}


def test_a_webhook_that_comes_after_all_changes_nothing(caught_up: Story) -> None:
    caught_up.buys("ten_class_pass")
    caught_up.world.pass_time(WEBHOOKS_COME_WITHIN_S)
    reconcile(caught_up.world)
    before = caught_up.account

    caught_up.hear()

    assert caught_up.account == before


def test_each_run_goes_on_where_the_last_one_ended(caught_up: Story) -> None:
    caught_up.buys("ten_class_pass")
    caught_up.world.pass_time(WEBHOOKS_COME_WITHIN_S)
    assert reconcile(caught_up.world)["found"] >= 1

    again = reconcile(caught_up.world)

    assert (again["found"], again["known"], again["unfinished"]) == (0, 0, False)


@pytest.fixture
def endpoint_of_nobody(world: World) -> Iterator[None]:
    """An endpoint at Stripe, at an address where nobody is."""
    asked: Any = {"url": "http://127.0.0.1:9/webhooks/stripe", "enabled_events": ["*"]}
    made = world.stripe.v1.webhook_endpoints.create(asked)
    yield
    world.stripe.v1.webhook_endpoints.delete(made.id)


@pytest.mark.usefixtures("endpoint_of_nobody")
class TestAnEventThatStripeListsLate:
    """Its own second lies before that of the event up to which everything is dealt with."""

    @pytest.fixture
    def passed(self, caught_up: Story, wire: Wire) -> Story:
        """A story of a payment whose events were not listed yet when a run passed their second."""
        another = caught_up.world.customer()
        caught_up.buys("ten_class_pass")
        late = {event["id"] for event in caught_up.news()}
        caught_up.world.pass_time(1)
        caught_up.world.pay(caught_up.world.buy("day_pass", customer=another).json["url"])
        caught_up.world.pass_time(WEBHOOKS_COME_WITHIN_S)

        def leave_out(exchange: Exchange) -> None:
            status, headers, text = exchange.forward()
            found = json.loads(text)
            found["data"] = [one for one in found["data"] if one["id"] not in late]
            exchange.answer(status, headers, json.dumps(found).encode())

        wire.inject("GET /v1/events", leave_out)
        reconcile(caught_up.world)
        wire.mend()
        assert caught_up.access == {}
        assert caught_up.world.account(customer=another)["access"]
        caught_up.world.pass_time(EVERY_S - caught_up.world.now() % EVERY_S)
        return caught_up

    def test_is_found_within_the_hour_if_it_was_not_delivered(self, passed: Story) -> None:
        report = reconcile(passed.world)

        assert set(passed.access) == {"ten_class_pass"}
        assert report["found"] >= 1
        assert ("payment", "reconciler") in happened(passed)

    def test_is_asked_for_in_the_first_minutes_of_an_hour(self, passed: Story, wire: Wire) -> None:
        passed.world.pass_time(EVERY_S // 2)
        wire.asked.clear()

        assert reconcile(passed.world)["found"] == 0

        assert not [one for one in wire.asked if "delivery_success" in one]

    def test_is_found_once(self, passed: Story) -> None:
        reconcile(passed.world)

        again = reconcile(passed.world)

        assert (again["found"], again["known"], again["queued"]) == (0, 0, 0)

    def test_is_not_queued_again_while_the_queue_tries_it(self, passed: Story, wire: Wire) -> None:
        def away(**_: Any) -> None:
            raise EndpointConnectionError(endpoint_url="the table's")

        with listening(passed.world, "before-parameter-build.dynamodb.TransactWriteItems", away):
            first = reconcile(passed.world)
            second = reconcile(passed.world)

        assert (first["queued"] >= 1, second["queued"]) == (True, 0)
        assert passed.world.work_queue(100) == []
        assert set(passed.access) == {"ten_class_pass"}


def test_a_run_without_time_is_finished_by_the_next(caught_up: Story) -> None:
    caught_up.buys("monthly")
    caught_up.world.pass_time(WEBHOOKS_COME_WITHIN_S)

    first = reconcile(caught_up.world, 200, 200, 200, 5)
    second = reconcile(caught_up.world)

    assert first["unfinished"] is True
    assert second["unfinished"] is False
    assert caught_up.access == {"monthly": caught_up.period_end() + GRACE}


class TestOneRunAtATime:
    def test_another_one_leaves_it_alone(self, caught_up: Story) -> None:
        table, now = caught_up.world.services.table, caught_up.world.now()
        assert table.claim_run(RUN, "another", until=now + 300, now=now)
        caught_up.buys("ten_class_pass")
        caught_up.world.pass_time(WEBHOOKS_COME_WITHIN_S)

        report = reconcile(caught_up.world)
        table.release_run(RUN, "another", now=caught_up.world.now())

        assert report["taken"] is True
        assert caught_up.access == {}

    def test_a_run_that_died_hinders_none_after_its_time(self, caught_up: Story) -> None:
        now = caught_up.world.now()
        caught_up.world.services.table.claim_run(RUN, "dead", until=now + 240, now=now)
        caught_up.buys("ten_class_pass")
        caught_up.world.pass_time(300)

        report = reconcile(caught_up.world)

        assert report["taken"] is False
        assert set(caught_up.access) == {"ten_class_pass"}


def test_without_the_provider_the_run_ends_and_the_next_one_goes_on(caught_up: Story, wire: Wire) -> None:
    caught_up.buys("ten_class_pass")
    caught_up.world.pass_time(WEBHOOKS_COME_WITHIN_S)
    wire.inject("GET /v1/events", be_down)

    down = reconcile(caught_up.world)
    wire.mend()
    up = reconcile(caught_up.world)

    assert (down["unfinished"], up["unfinished"]) == (True, False)
    assert set(caught_up.access) == {"ten_class_pass"}


def test_an_event_that_fails_is_shown_goes_to_the_queue_and_holds_up_no_other(caught_up: Story) -> None:
    stranger = str(caught_up.post("customers", email="eve@example.com")["id"])
    plan = price(caught_up, 4_900, lookup_key="monthly")
    fields = {"customer": stranger, "items[0][price]": plan, "default_payment_method": "pm_card_visa"}
    sold = str(caught_up.post("subscriptions", **fields)["id"])
    caught_up.buys("ten_class_pass")
    caught_up.world.pass_time(WEBHOOKS_COME_WITHIN_S)

    report = reconcile(caught_up.world)

    assert set(caught_up.access) == {"ten_class_pass"}
    assert report["queued"] >= 1
    failed = [one for one in caught_up.world.services.table.failed_events() if sold in one.body]
    assert failed
    assert all(one.error and one.error.startswith("NotYetKnown") for one in failed)
    assert len(caught_up.world.work_queue()) == report["queued"]
