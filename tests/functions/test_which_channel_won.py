"""Which channel won: each settlement says by whom it was brought and when, and how long the buyer waited."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.emf import Sample, samples, values
from tests.functions.merchant import paid_with, price
from tests.functions.story import MOMENT_S, Story
from tests.handlers import Context, invoke, sample

LOST_S = 130  # the reconciler leaves what is younger to its webhook
type Measured = Callable[[], list[Sample]]


@pytest.fixture
def heard(story: Story, capsys: pytest.CaptureFixture[str]) -> Measured:
    """What was measured since the last look. Nothing of other tests waits for the reconciler."""
    story.world.pass_time(LOST_S)
    run_reconciler()
    capsys.readouterr()
    return lambda: samples(capsys.readouterr().out)


def run_reconciler() -> Any:
    return invoke("reconcile_payments", sample("reconcile_payments"), Context())


def by_webhook(story: Story) -> None:
    story.world.pass_time(LOST_S - MOMENT_S)
    story.hear()


def by_poll(story: Story) -> None:
    story.world.pass_time(LOST_S)
    story.world.status(story.token["checkout_id"], customer=story.buyer)


def by_sync(story: Story) -> None:
    story.world.pass_time(LOST_S)
    assert story.world.sync(customer=story.buyer).status == 200


def by_sweep(story: Story) -> None:
    story.is_swept(LOST_S)


def by_reconciler(story: Story) -> None:
    story.world.pass_time(LOST_S)
    run_reconciler()


CHANNELS = {
    "webhook": by_webhook,
    "poll": by_poll,
    "sync": by_sync,
    "sweep": by_sweep,
    "reconciler": by_reconciler,
}


@pytest.mark.parametrize("channel", CHANNELS)
def test_the_first_channel_is_named_with_the_times_of_payment_hearing_and_settling(
    story: Story, heard: Measured, channel: str
) -> None:
    story.buys("ten_class_pass")
    paid_at = story.world.now()

    CHANNELS[channel](story)

    found = heard()
    (waited_ms,) = values(found, "ChargeToAccess", channel=channel)
    assert LOST_S * 1000 <= waited_ms < (LOST_S + 1) * 1000
    assert values(found, "ChargeToAccess") == [waited_ms]
    assert values(found, "Settlement", channel=channel) == [1.0]
    missed = values(found, "WebhookMissed", channel=channel)
    assert missed == ([1.0] if channel in ("sweep", "reconciler") else [])
    (entry,) = story.world.services.table.timeline(story.buyer)
    settled_at = paid_at + LOST_S
    assert entry.channel == channel
    assert (entry.provider_paid_at, entry.heard_at, entry.settled_at) == (paid_at, settled_at, settled_at)


def test_who_comes_second_is_not_measured(story: Story, heard: Measured) -> None:
    story.buys("ten_class_pass")
    by_poll(story)
    heard()

    story.hear()
    by_reconciler(story)
    by_sync(story)

    assert not values(heard(), "Settlement")


def test_an_event_that_waited_in_the_queue_was_heard_when_it_came(story: Story, heard: Measured) -> None:
    story.buys("monthly")
    (event,) = story.news("invoice.paid")
    heard_at = story.world.now()
    story.world.deliver(event)
    story.world.pass_time(45)

    story.world.work_queue()

    (entry,) = story.world.services.table.timeline(story.buyer)
    assert (entry.register.partition("#")[0], entry.channel) == ("invoice", "webhook")
    assert (entry.heard_at, entry.settled_at) == (heard_at, heard_at + 45)
    (waited_ms,) = values(heard(), "ChargeToAccess", channel="webhook")
    assert waited_ms >= 45_000


def test_what_the_reconciler_gave_to_the_queue_is_still_its_find(story: Story, heard: Measured) -> None:
    story.opens("day_pass")
    stranger = str(story.post("customers", email="eve@example.com")["id"])
    plan = price(story, 4_900, lookup_key="monthly")
    fields = {"customer": stranger, "items[0][price]": plan, "default_payment_method": "pm_card_visa"}
    story.post("subscriptions", **fields)
    story.world.pass_time(LOST_S)
    assert run_reconciler()["queued"]
    story.post(f"customers/{stranger}", **{"metadata[customer_id]": story.buyer})

    story.world.pass_time(60)
    story.world.work_queue()

    assert set(story.access) == {"monthly"}
    entries = story.world.services.table.timeline(story.buyer)
    assert {(entry.channel, entry.settled_at - (entry.heard_at or 0)) for entry in entries} == {("reconciler", 60)}
    assert values(heard(), "WebhookMissed", channel="reconciler")


@pytest.mark.parametrize("times", [1, 2])
def test_a_purchase_begins_once_however_much_is_heard_of_it(story: Story, heard: Measured, times: int) -> None:
    story.buys("monthly")
    events = story.news()
    for event in events * times:
        assert story.world.deliver(event).status == 200
        story.world.work_queue()

    assert set(story.access) == {"monthly"}
    assert len(values(heard(), "ChargeToAccess")) == 1


def test_a_refund_is_settled_and_begins_nothing(story: Story, heard: Measured) -> None:
    story.buys("monthly")
    story.hear()
    heard()

    story.post("refunds", payment_intent=paid_with(story))
    story.hear()

    found = heard()
    assert values(found, "Settlement", channel="webhook")
    assert not values(found, "ChargeToAccess")
