"""Groups, tested on literals: what is in the way of a purchase, which trial is given, and which of two is kept."""

from dataclasses import replace
from typing import Any

import pytest
from paidup.model.account import Account
from paidup.model.checkout import Checkout, CheckoutStatus
from paidup.model.fact import Subscription, SubscriptionStatus
from paidup.model.group import AlreadySubscribed, Running, exclusive_group, group_of, running
from paidup.model.merging import Named
from paidup.model.offer import SUBSCRIPTIONS, Interval, Kind, Offer
from paidup.model.order import Order, Situation, choose
from paidup.model.policy import Policy
from paidup.model.purchase import Purchase
from paidup.model.settlement import needs_running
from paidup.model.snapshot import ChangeSet, Snapshot

from .test_settlement import MONTHLY, NOW, PASS, PLAN, POLICY, a_checkout, a_fact, a_purchase, an_account, paid, settled

TRIAL = replace(MONTHLY, offer_id="try", trial_days=14)
ADA = Order(customer_id="ada", email=None, offer_id="try", quantity=1, provider=None, success_url="s", cancel_url="c")


def subscribed(purchase_id: str = "co_1", *, at: int = NOW - 50, plan: Subscription = PLAN, **more: Any) -> Purchase:
    """Return a purchase of MONTHLY that was paid at *at*, and runs as *plan*."""
    fact = a_fact(replace(plan, ref=f"plan_{purchase_id}"), cart=MONTHLY, purchase_id=purchase_id, about=purchase_id)
    return replace(a_purchase(purchase_id, MONTHLY, at=at).merge(fact), **{"group": SUBSCRIPTIONS, **more})


def chosen(cart: Any, *there: Running, order: Order = ADA, **more: Any) -> Checkout:
    """Return the checkout with which a buyer of *cart* goes on while *there* runs."""
    account = more.pop("account", an_account())
    snapshot = Snapshot(account=account, checkout=more.pop("open_checkout", None))
    situation = Situation(snapshot=snapshot, running=there, **more)
    return choose(order, cart, "memory", None, situation, "co_9", POLICY, now=NOW).checkout


class TestAGroup:
    def test_of_a_cart_is_the_default_one_only_for_subscriptions(self) -> None:
        assert (group_of(MONTHLY), group_of(PASS)) == (SUBSCRIPTIONS, None)
        assert group_of(replace(PASS, group="gym")) == "gym"

    def test_excludes_nothing_if_several_are_allowed(self) -> None:
        assert exclusive_group(replace(MONTHLY, allow_several=True)) is None

    def test_holds_only_what_runs(self) -> None:
        ended = subscribed("co_2", plan=replace(PLAN, status=SubscriptionStatus.CANCELED, ended_at=NOW))

        found = running([ended, subscribed("co_1")], [])

        assert [one.purchase.purchase_id for one in found] == ["co_1"]

    def test_holds_the_first_paid_first(self) -> None:
        found = running([subscribed("co_1", at=NOW - 5), subscribed("co_2", at=NOW - 9)], [])

        assert [one.purchase.purchase_id for one in found] == ["co_2", "co_1"]

    @pytest.mark.parametrize(
        ("offers", "group"),
        [
            ((), SUBSCRIPTIONS),
            (("gym", False), "gym"),
            ((None, False), SUBSCRIPTIONS),
            (("gym", True), None),
        ],
    )
    def test_of_a_changed_plan_is_that_of_the_offer_it_sells_now(self, offers: Any, group: str | None) -> None:
        sold = Offer(
            offer_id="new", name="New", kind=Kind.SUBSCRIPTION, amount=100, currency="eur", interval=Interval.MONTH
        )
        known = [replace(sold, group=offers[0], allow_several=offers[1])] if offers else []
        changed = subscribed(names={"price_1": Named(offer_id="new", at=NOW)})

        (found,) = running([changed], known)

        assert found.group == group

    def test_of_an_unchanged_plan_is_that_of_its_cart(self) -> None:
        moved = Offer(
            offer_id="monthly",
            name="Monthly",
            kind=Kind.SUBSCRIPTION,
            amount=100,
            currency="eur",
            interval=Interval.MONTH,
            group="elsewhere",
        )

        (found,) = running([subscribed()], [moved])

        assert found.group == SUBSCRIPTIONS


class TestASecondOfTheGroup:
    def test_is_refused(self) -> None:
        with pytest.raises(AlreadySubscribed) as refused:
            chosen(MONTHLY, Running(purchase=subscribed(), group=SUBSCRIPTIONS))

        assert refused.value.members == {"purchase_id": "co_1", "purchase_status": "active", "offer_id": "monthly"}
        assert refused.value.next_step == "Change its plan by POST /purchases/co_1/change."

    def test_is_told_to_take_the_end_back(self) -> None:
        ending = subscribed(plan=replace(PLAN, cancel_at=NOW + 86_400))

        with pytest.raises(AlreadySubscribed, match="co_1") as refused:
            chosen(MONTHLY, Running(purchase=ending, group=SUBSCRIPTIONS))

        assert refused.value.next_step.startswith("Take its end back by POST /purchases/co_1/resume, or change")

    def test_is_told_to_mend_the_card(self) -> None:
        failing = subscribed(plan=replace(PLAN, status=SubscriptionStatus.UNPAID))

        with pytest.raises(AlreadySubscribed) as refused:
            chosen(MONTHLY, Running(purchase=failing, group=SUBSCRIPTIONS))

        assert refused.value.next_step.startswith("Mend the card by POST /billing-portal, or change")

    @pytest.mark.parametrize("group", [None, "gym"])
    def test_is_none_if_the_groups_differ(self, group: str | None) -> None:
        checkout = chosen(MONTHLY, Running(purchase=subscribed(), group=group))

        assert (checkout.checkout_id, checkout.status) == ("co_9", CheckoutStatus.OPENING)

    def test_is_none_if_the_cart_allows_several(self) -> None:
        cart = replace(MONTHLY, allow_several=True)

        assert chosen(cart, Running(purchase=subscribed(), group=SUBSCRIPTIONS)).cart == cart

    def test_is_refused_on_its_own_open_page_too(self) -> None:
        page = a_checkout(cart=MONTHLY)

        with pytest.raises(AlreadySubscribed):
            chosen(MONTHLY, Running(purchase=subscribed("co_2"), group=SUBSCRIPTIONS), open_checkout=page)

    def test_that_was_paid_already_is_what_the_buyer_gets(self) -> None:
        done = a_checkout(cart=MONTHLY, status=CheckoutStatus.COMPLETED)
        there = Running(purchase=subscribed(), group=SUBSCRIPTIONS)

        assert chosen(MONTHLY, there, previous=done, previous_paid=True).checkout_id == "co_1"


class TestATrial:
    def test_is_given_and_carries_whose_address_it_is_for(self) -> None:
        checkout = chosen(TRIAL, order=replace(ADA, email_digest="d1"))

        assert (checkout.cart.trial_days, checkout.trial_email) == (14, "d1")

    def test_is_not_given_twice_to_a_customer(self) -> None:
        checkout = chosen(TRIAL, account=an_account(trials=(SUBSCRIPTIONS,)), order=replace(ADA, email_digest="d1"))

        assert (checkout.cart.trial_days, checkout.trial_email) == (None, None)

    def test_is_given_in_another_group(self) -> None:
        assert chosen(TRIAL, account=an_account(trials=("gym",))).cart.trial_days == 14

    def test_is_not_given_to_an_address_that_had_it(self) -> None:
        assert chosen(TRIAL, email_had_trial=True).cart.trial_days is None

    def test_that_was_used_replaces_the_open_page_with_it(self) -> None:
        page = a_checkout(cart=TRIAL)

        checkout = chosen(TRIAL, open_checkout=page, account=an_account(trials=(SUBSCRIPTIONS,)))

        assert (checkout.replaces, checkout.cart.trial_days) == ("co_1", None)

    def test_is_remembered_when_it_begins(self) -> None:
        page = a_checkout(cart=TRIAL, trial_email="d1")
        begun = replace(PLAN, status=SubscriptionStatus.TRIALING, trial_end=NOW + 86_400)

        change = settled(Snapshot(account=an_account(), checkout=page), a_fact(begun, cart=TRIAL, about="plan_1"))

        assert change.account.trials == (SUBSCRIPTIONS,)
        assert change.trial_record
        assert (change.trial_record.email_hash, change.trial_record.group) == ("d1", SUBSCRIPTIONS)

    def test_is_remembered_once(self) -> None:
        page = a_checkout(cart=TRIAL, trial_email="d1")
        begun = replace(PLAN, status=SubscriptionStatus.TRIALING, trial_end=NOW + 86_400)
        snapshot = Snapshot(account=an_account(trials=(SUBSCRIPTIONS,)), checkout=page)

        assert settled(snapshot, a_fact(begun, cart=TRIAL, about="plan_1")).trial_record is None

    def test_that_no_subscription_had_is_not_remembered(self) -> None:
        snapshot = Snapshot(account=an_account(), checkout=a_checkout(cart=MONTHLY))

        assert settled(snapshot, a_fact(PLAN, cart=MONTHLY, about="plan_1")).account.trials == ()


class TestTwoSubscriptionsOfAGroup:
    def begun(
        self, first: Purchase, *, at: int = NOW, policy: Policy = POLICY, group: str | None = SUBSCRIPTIONS, **more: Any
    ) -> ChangeSet:
        """Settle a payment of co_2 at *at* while *first* runs."""
        there = (Running(purchase=first, group=group),)
        seen: dict[str, Any] = {"running": there, "checkout": a_checkout("co_2", MONTHLY), **more}
        snapshot = Snapshot(account=an_account(first), **seen)
        return settled(snapshot, a_fact(paid(MONTHLY), at=at, cart=MONTHLY, purchase_id="co_2"), policy=policy)

    def decided(self, change: ChangeSet) -> list[str]:
        return [one.purchase_id for one in change.purchases.values() if one.refund_decision]

    def test_keep_the_first(self) -> None:
        change = self.begun(subscribed(at=NOW - 50))

        assert self.decided(change) == ["co_2"]
        assert [one.purchase_id for one in change.account.access] == ["co_1"]

    def test_keep_the_first_whichever_is_heard_of_first(self) -> None:
        assert self.decided(self.begun(subscribed(at=NOW), at=NOW - 50)) == ["co_1"]

    def test_of_the_same_second_keep_the_lower_id(self) -> None:
        assert self.decided(self.begun(subscribed(at=NOW))) == ["co_2"]

    def test_are_both_kept_if_the_shop_says_so(self) -> None:
        change = self.begun(subscribed(), policy=Policy(refund_duplicate_payments=False))

        assert self.decided(change) == []

    def test_are_none_if_there_is_only_one(self) -> None:
        """The subscription was heard of before its payment, so the purchase runs already."""
        own = Purchase.of(a_fact(PLAN, cart=MONTHLY, purchase_id="co_2")).merge(
            a_fact(PLAN, cart=MONTHLY, purchase_id="co_2", about="plan_2")
        )

        change = self.begun(own, purchase=own, open_checkout=a_checkout("co_3", PASS))

        assert change.purchases["co_2"].is_effective
        assert self.decided(change) == []

    @pytest.mark.parametrize("provider", ["memory", "another"])
    def test_through_whatever_provider_keep_the_first(self, provider: str) -> None:
        assert self.decided(self.begun(subscribed(provider=provider))) == ["co_2"]

    @pytest.mark.parametrize("group", [None, "gym"])
    def test_of_different_groups_are_both_kept(self, group: str | None) -> None:
        assert self.decided(self.begun(subscribed(), group=group)) == []

    def test_are_both_kept_if_one_is_not_from_a_page_of_ours(self) -> None:
        assert self.decided(self.begun(subscribed(asked=None))) == []

    def test_are_both_kept_if_the_first_goes_back_anyway(self) -> None:
        assert self.decided(self.begun(subscribed().to_refund("support decided", now=NOW))) == []

    def test_end_the_open_page_of_the_group(self) -> None:
        page = a_checkout("co_3", replace(MONTHLY, offer_id="yearly"))

        change = self.begun(subscribed(group="gym"), group="gym", open_checkout=page)

        assert change.checkouts["co_3"].status is CheckoutStatus.INVALIDATED

    def test_leave_the_open_page_of_another_group(self) -> None:
        change = self.begun(subscribed(group="gym"), group="gym", open_checkout=a_checkout("co_3", PASS))

        assert "co_3" not in change.checkouts

    def test_are_looked_for_only_when_one_begins_beside_something(self) -> None:
        fact = a_fact(paid(MONTHLY), cart=MONTHLY, purchase_id="co_2")
        alone, page = an_account(), a_checkout("co_2", MONTHLY)
        beside = an_account(subscribed())

        def needed(account: Account, purchase: Purchase | None = None) -> bool:
            return needs_running(Snapshot(account=account, checkout=page, purchase=purchase), [fact], now=NOW)

        assert needed(beside)
        assert needed(replace(alone, open_checkout_id="co_3"))
        assert not needed(alone)
        assert not needed(replace(alone, open_checkout_id="co_2", running=("co_2",)))
        assert not needed(beside, a_purchase("co_2", MONTHLY))
