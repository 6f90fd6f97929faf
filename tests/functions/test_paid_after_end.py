"""Money that comes after its subscription ended grants nothing, so a person must see it."""

import itertools

import pytest

from tests.functions.merchant import DAY, PLAN, cases, intent_of, invoice, pay_after_end
from tests.functions.story import CARD, DECLINED_LATER, MOMENT_S, Story


@pytest.fixture
def paid_late(story: Story) -> Story:
    """A buyer whose debit succeeded after the end. paidup has not heard of that."""
    pay_after_end(story)
    return story


def test_a_debit_that_succeeds_after_the_shop_ended_its_subscription_opens_a_case(paid_late: Story) -> None:
    paid_late.hear()
    paid_late.is_swept()

    assert paid_late.access == {}
    assert cases(paid_late) == {"paid-after-end": paid_late.token["checkout_id"]}


@pytest.mark.parametrize("order", list(itertools.permutations(("invoice.paid", f"{PLAN}.deleted"))))
def test_the_case_opens_in_any_order_of_the_news(paid_late: Story, order: tuple[str, str]) -> None:
    news = {event["type"]: event for event in paid_late.news(*order)}
    for event_type in order:
        paid_late.world.pass_time(MOMENT_S)
        assert paid_late.world.deliver(news[event_type]).status == 200
        assert paid_late.world.work_queue() == []

    assert cases(paid_late) == {"paid-after-end": paid_late.token["checkout_id"]}


def test_the_case_closes_when_the_money_went_back(paid_late: Story) -> None:
    paid_late.hear()

    paid_late.post("refunds", payment_intent=intent_of(paid_late, paid_late.plan()["latest_invoice"]))
    paid_late.hear()

    assert cases(paid_late) == {}
    assert paid_late.purchase["refunded"] == 4_900


def test_a_bill_that_is_paid_after_the_provider_gave_up_opens_a_case(story: Story) -> None:
    story.buys("monthly", DECLINED_LATER)
    story.hear()
    story.world.pass_time(60 * DAY)
    story.hear()
    assert story.plan()["status"] == "canceled"

    story.trigger(f"invoices/{invoice(story)['id']}/pay", card=CARD)
    story.hear()

    assert cases(story) == {"paid-after-end": story.token["checkout_id"]}


def test_what_was_paid_before_the_end_opens_none(story: Story) -> None:
    story.buys("monthly")
    story.hear()
    story.world.pass_time(DAY)

    story.world.stripe.v1.subscriptions.cancel(story.plan()["id"])
    story.hear()

    assert cases(story) == {}
