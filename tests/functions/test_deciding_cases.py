"""What a person decides about an open case closes it, and no later news of the same opens it again."""

from collections.abc import Callable

import pytest
from paidup.flows.support import Decision, review

from tests.functions.merchant import DAY, cases, change, paid_with, pay_after_end, price
from tests.functions.story import Story


def decide(story: Story, *, grant: bool) -> None:
    """Let support decide about what the buyer bought."""
    services, now = story.world.services, story.world.now()
    decision = Decision(by="sam", reason="we talked on the telephone", now=now)
    review(story.buyer, story.token["checkout_id"], services, decision, grant=grant)


def paid_after_its_end(story: Story) -> None:
    pay_after_end(story)
    story.hear()


def refunded_in_part(story: Story) -> None:
    story.buys("monthly")
    story.hear()
    story.post("refunds", payment_intent=paid_with(story), amount=900)
    story.hear()


def at_a_price_that_names_nothing(story: Story) -> None:
    story.buys("yearly")
    story.hear()
    story.world.pass_time(DAY)
    change(story, to=price(story, 100))
    story.hear()


def renewed_with_something_added(story: Story) -> None:
    story.buys("monthly")
    story.hear()
    story.post("invoiceitems", customer=story.customer(), **{"pricing[price]": price(story, 2_500, every=None)})
    story.world.pass_time(32 * DAY)
    story.hear()


OPENED = {
    "paid-after-end": paid_after_its_end,
    "partly-taken-back": refunded_in_part,
    "unknown-price": at_a_price_that_names_nothing,
    "billed-beside": renewed_with_something_added,
}


@pytest.mark.parametrize(("reason", "happens"), OPENED.items())
def test_what_support_lets_go_on_is_decided_for_good(
    story: Story, reason: str, happens: Callable[[Story], None]
) -> None:
    happens(story)
    assert list(cases(story)) == [reason]

    decide(story, grant=True)
    story.post(f"subscriptions/{story.plan()['id']}", **{"metadata[seen]": "yes"})
    story.hear()
    story.world.sync(customer=story.buyer)

    assert cases(story) == {}
    case = story.world.services.table.case(f"{reason}-{story.token['checkout_id']}")
    assert case
    assert (case.decided_by, case.decision) == ("sam", "granted by support")


@pytest.mark.parametrize("happens", OPENED.values())
def test_what_support_refunds_goes_back_whole(story: Story, happens: Callable[[Story], None]) -> None:
    happens(story)

    decide(story, grant=False)
    story.hear()

    assert cases(story) == {}
    assert (story.purchase["status"], story.access) == ("refunded", {})


def test_one_more_part_that_goes_back_opens_the_case_again(story: Story) -> None:
    refunded_in_part(story)
    decide(story, grant=True)

    story.post("refunds", payment_intent=paid_with(story), amount=100)
    story.hear()

    assert list(cases(story)) == ["partly-taken-back"]
