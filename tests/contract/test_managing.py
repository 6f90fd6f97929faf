"""How customers manage their subscriptions: one contract for Stripe and for the provider in memory."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from paidup.model.fact import Fact, Subscription, SubscriptionStatus
from paidup.model.offer import Cart, Interval
from paidup.model.provider import ChangeOutcome
from paidup.model.purchase import Purchase

from tests.contract.test_provider import MONTHLY, AtStripe, Side, bought, of_kind, paid, side

__all__ = ["side"]

BIG = replace(MONTHLY, offer_id="big", name="Big", unit_amount=9_900)
YEARLY = replace(MONTHLY, offer_id="yearly", name="Yearly", unit_amount=49_000, interval=Interval.YEAR)
RETURN_URL = "https://shop.example/account"


@pytest.fixture
def subscribed(side: Side) -> Purchase:
    """A monthly subscription that runs."""
    return bought(side, paid(side, cart=MONTHLY))


def sold(facts: Sequence[Fact]) -> list[tuple[str | None, int]]:
    return [(one.offer_id, one.quantity) for one in of_kind(Subscription, facts).items]


class TestAChange:
    @pytest.mark.parametrize("cart", [BIG, YEARLY, replace(MONTHLY, quantity=3)], ids=lambda one: one.offer_id)
    def test_lets_the_subscription_sell_the_cart(self, side: Side, subscribed: Purchase, cart: Cart) -> None:
        changed = side.provider.change_plan(subscribed, cart, key=None)

        assert changed.outcome is ChangeOutcome.MADE
        assert sold(changed.facts) == [(cart.offer_id, cart.quantity)]
        assert {fact.purchase_id for fact in changed.facts} == {"co_1"}

    def test_made_again_changes_nothing_more(self, side: Side, subscribed: Purchase) -> None:
        first = side.provider.change_plan(subscribed, BIG, key="click")

        again = side.provider.change_plan(subscribed, BIG, key="click")

        assert again.outcome is ChangeOutcome.MADE
        assert of_kind(Subscription, again.facts) == of_kind(Subscription, first.facts)

    def test_of_what_has_ended_says_that_it_has(self, side: Side, subscribed: Purchase) -> None:
        side.provider.cancel_plan(subscribed, at_once=True)

        changed = side.provider.change_plan(subscribed, BIG, key=None)

        assert of_kind(Subscription, changed.facts).status is SubscriptionStatus.CANCELED

    def test_is_previewed_without_being_made(self, side: Side, subscribed: Purchase) -> None:
        preview = side.provider.preview_change(subscribed, BIG)

        assert (preview.next_amount, preview.currency) == (9_900, "eur")
        assert 0 < preview.due_now <= 9_900
        assert preview.next_at > side.now()
        assert of_kind(Subscription, side.provider.resume_plan(subscribed)) == subscribed.subscription

    def test_to_what_it_is_costs_nothing_now(self, side: Side, subscribed: Purchase) -> None:
        preview = side.provider.preview_change(subscribed, MONTHLY)

        assert (preview.due_now, preview.next_amount) == (0, 4_900)


class TestACancellation:
    def test_ends_it_with_its_period(self, side: Side, subscribed: Purchase) -> None:
        plan = of_kind(Subscription, side.provider.cancel_plan(subscribed, at_once=False))

        assert (plan.status, plan.cancel_at) == (SubscriptionStatus.ACTIVE, plan.period_end)

    def test_made_again_says_the_same(self, side: Side, subscribed: Purchase) -> None:
        first, again = (of_kind(Subscription, side.provider.cancel_plan(subscribed, at_once=False)) for _ in range(2))

        assert first == again

    def test_at_once_ends_it_now(self, side: Side, subscribed: Purchase) -> None:
        for _ in range(2):
            plan = of_kind(Subscription, side.provider.cancel_plan(subscribed, at_once=True))
            assert plan.status is SubscriptionStatus.CANCELED

    def test_is_taken_back(self, side: Side, subscribed: Purchase) -> None:
        side.provider.cancel_plan(subscribed, at_once=False)

        for _ in range(2):
            assert of_kind(Subscription, side.provider.resume_plan(subscribed)).cancel_at is None

    def test_that_has_ended_it_is_not_taken_back(self, side: Side, subscribed: Purchase) -> None:
        side.provider.cancel_plan(subscribed, at_once=True)

        assert of_kind(Subscription, side.provider.resume_plan(subscribed)).status is SubscriptionStatus.CANCELED


def test_the_portal_is_a_page_of_the_providers(side: Side, subscribed: Purchase) -> None:
    if isinstance(side, AtStripe):
        allowed: Any = {"features": {"invoice_history": {"enabled": True}}}
        side.world.stripe.v1.billing_portal.configurations.create(allowed)
    (ref,) = {fact.customer_ref for fact in side.provider.purchase_facts(subscribed)}

    assert side.provider.open_portal(ref or "", return_url=RETURN_URL).startswith("http")
