"""Accounts are compared with the objects at Stripe, item by item, and mended through settling."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from paidup.model.access import Access, PurchaseStatus
from paidup.model.account import Account
from paidup.model.drift import Drift
from paidup.model.fact import Entry, Payment, Subscription, SubscriptionStatus
from paidup.model.offer import Kind
from paidup.model.purchase import Purchase
from paidup.outside.dynamo import items

from tests.functions.merchant import change, paid_with, price
from tests.functions.story import Story
from tests.functions.wire import Wire, be_down
from tests.world import World
from tools.verify import Verification, compare, mend

DAY = 86_400


def compared(world: World, *only: str, days: int = 30) -> Verification:
    now = world.now()
    return compare(world.services, since=now - days * DAY, now=now, only=only, tell=lambda _: None)


def mended(world: World, found: Verification) -> Verification:
    return mend(found, world.services, tell=lambda _: None)


def kinds(found: Verification) -> dict[str, set[Drift]]:
    """Return the kinds of drift of each customer."""
    return {one.customer_id: {each.drift for each in one.differences} for one in found.drifted}


def edit_purchase(story: Story, edit: Callable[[Purchase], Purchase]) -> None:
    """Edit the buyer's purchase in the table by hand."""
    table = story.world.services.table
    (there,) = table.purchases_of(story.buyer)
    table.client.put_item(TableName=table.name, Item=items.purchase_item(edit(there), due_at=None))


def edit_account(story: Story, edit: Callable[[Account], Account]) -> None:
    """Edit the buyer's account in the table by hand."""
    table = story.world.services.table
    account = edit(table.account(story.buyer))
    table.client.put_item(TableName=table.name, Item=items.account_item(account))


def rewritten(kind: type[Any], **fields: Any) -> Callable[[Purchase], Purchase]:
    """Return the edit that gives the register of *kind* other *fields*."""

    def edit(purchase: Purchase) -> Purchase:
        registers = dict(purchase.registers)
        ((name, entry),) = [(name, one) for name, one in registers.items() if isinstance(one.value, kind)]
        value: Any = replace(entry.value, **fields)
        registers[name] = Entry(at=entry.at, fetched=entry.fetched, value=value)
        return replace(purchase, registers=registers)

    return edit


def edit_items(story: Story, **fields: Any) -> None:
    """Give the item of the buyer's subscription other *fields*."""
    (purchase,) = story.world.services.table.purchases_of(story.buyer)
    assert purchase.subscription
    wrong = tuple(replace(one, **fields) for one in purchase.subscription.items)
    edit_purchase(story, rewritten(Subscription, items=wrong))


def buys(world: World, offer_id: str) -> Story:
    """Let a customer whom nobody else has buy, and let paidup know."""
    story = Story(world, world.customer())
    story.buys(offer_id)
    assert world.sync(customer=story.buyer).status == 200
    return story


def ghost(story: Story) -> Access:
    return Access(purchase_id="co_ghost", offer_id="yearly", kind=Kind.PASS, status=PurchaseStatus.ACTIVE)


def test_ten_kinds_of_drift_are_found_mended_and_gone(world: World) -> None:
    stories = {kind: buys(world, offer) for kind, offer in OFFER_OF.items()}
    lost = Story(world, world.customer())
    lost.buys("ten_class_pass")
    world.pass_time(60)
    for kind, bring_about in DRIFTS.items():
        bring_about(stories[kind])

    found = compared(world)

    assert [kind for kind, story in stories.items() if kind not in kinds(found)[story.buyer]] == []
    assert kinds(found)[lost.buyer] == {Drift.MISSING_PURCHASE}
    world.pass_time(5)
    assert mended(world, found).good
    again = compared(world)
    assert (again.differences, again.problems) == ([], [])
    assert set(lost.access) == {"ten_class_pass"}
    assert stories[Drift.CANCELLED_BUT_RUNNING].access == {}
    assert set(stories[Drift.GHOST_ACCESS].access) == {"day_pass"}


OFFER_OF = {
    Drift.GHOST_ACCESS: "day_pass",
    Drift.MISSING_ACCESS: "day_pass",
    Drift.WRONG_STATUS: "monthly",
    Drift.WRONG_QUANTITY: "monthly",
    Drift.WRONG_OFFER: "day_pass",
    Drift.WRONG_PERIOD_END: "monthly",
    Drift.WRONG_AMOUNT: "day_pass",
    Drift.REFUND_UNSEEN: "monthly",
    Drift.DISPUTE_UNSEEN: "day_pass",
    Drift.CANCELLED_BUT_RUNNING: "monthly",
    Drift.CANCELLATION_UNSEEN: "yearly",
}


def without_access(account: Account) -> Account:
    return replace(account, access=())


DRIFTS: dict[Drift, Callable[[Story], Any]] = {
    Drift.GHOST_ACCESS: lambda story: edit_account(story, lambda one: replace(one, access=(*one.access, ghost(story)))),
    Drift.MISSING_ACCESS: lambda story: edit_account(story, without_access),
    Drift.WRONG_STATUS: lambda story: edit_purchase(story, rewritten(Subscription, status=SubscriptionStatus.TRIALING)),
    Drift.WRONG_QUANTITY: lambda story: edit_items(story, quantity=5),
    Drift.WRONG_OFFER: lambda story: edit_purchase(story, lambda one: replace(one, offer_id="ten_class_pass")),
    Drift.WRONG_PERIOD_END: lambda story: edit_items(story, period_end=story.world.now() + 900 * DAY),
    Drift.WRONG_AMOUNT: lambda story: edit_purchase(story, rewritten(Payment, amount=1)),
    Drift.REFUND_UNSEEN: lambda story: story.post("refunds", payment_intent=paid_with(story)),
    Drift.DISPUTE_UNSEEN: lambda story: story.trigger("disputes", payment_intent=paid_for(story)),
    Drift.CANCELLED_BUT_RUNNING: lambda story: story.world.stripe.v1.subscriptions.cancel(story.plan()["id"]),
    Drift.CANCELLATION_UNSEEN: lambda story: story.post(
        f"subscriptions/{story.plan()['id']}", cancel_at_period_end="true"
    ),
}


def paid_for(story: Story) -> str:
    return str(story.session()["payment_intent"]["id"])


def test_an_account_without_drift_is_good(story: Story) -> None:
    story.buys("monthly")
    story.hear()

    found = compared(story.world, story.buyer)

    assert (found.good, found.customers) == (True, 1)


def test_a_second_subscription_for_the_same_purchase_is_found_and_settled(story: Story) -> None:
    story.buys("monthly")
    story.hear()
    sold = story.plan()
    metadata = {f"metadata[{name}]": value for name, value in sold["metadata"].items()}
    item = {"items[0][price]": price(story, 4_900, lookup_key="monthly"), "default_payment_method": "pm_card_visa"}
    story.post("subscriptions", customer=story.customer(), **item, **metadata)

    found = compared(story.world, story.buyer)

    assert Drift.SECOND_SUBSCRIPTION in kinds(found)[story.buyer]
    story.world.pass_time(5)
    assert mended(story.world, found).good


def test_what_was_changed_at_stripe_two_months_after_it_was_bought_is_found(story: Story) -> None:
    story.buys("yearly")
    story.hear()
    story.world.pass_time(60 * DAY)
    change(story, quantity=2, proration_behavior="none")

    found = compared(story.world, story.buyer)

    assert kinds(found)[story.buyer] == {Drift.WRONG_QUANTITY}


def test_a_purchase_of_which_stripe_has_nothing_is_left_to_a_person(story: Story) -> None:
    story.buys("day_pass")
    story.hear()
    edit_purchase(
        story,
        lambda one: replace(one, purchase_id="co_made_up", refs=(), registers=made_up(one), customer_id=story.buyer),
    )

    found = compared(story.world, story.buyer)

    assert Drift.NO_OBJECT in kinds(found)[story.buyer]
    left = mended(story.world, found)
    assert kinds(left)[story.buyer] == {Drift.NO_OBJECT}


def made_up(purchase: Purchase) -> dict[str, Entry]:
    entry = purchase.registers["payment"]
    assert isinstance(entry.value, Payment)
    return {"payment": replace(entry, value=replace(entry.value, ref="pi_nobody_made_this"))}


def test_comparing_changes_nothing(story: Story) -> None:
    story.buys("ten_class_pass")
    before = story.world.services.table.account(story.buyer)

    found = compared(story.world, story.buyer)

    assert kinds(found) == {story.buyer: {Drift.MISSING_PURCHASE}}
    assert story.world.services.table.account(story.buyer) == before


def test_what_cannot_be_read_is_a_problem_and_not_good(story: Story, wire: Wire) -> None:
    story.buys("day_pass")
    story.hear()
    wire.inject("GET /v1/charges?", be_down)

    found = compared(story.world, story.buyer)

    assert (found.good, [one.ref for one in found.problems]) == (False, [story.buyer])


@pytest.mark.parametrize("after", range(3))
def test_mending_that_was_interrupted_is_finished_by_the_next(story: Story, after: int) -> None:
    others = [buys(story.world, "day_pass") for _ in range(2)]
    for one in others:
        edit_account(one, without_access)
    found = compared(story.world, *(one.buyer for one in others))
    told: list[str] = []

    def stop(text: str) -> None:
        told.append(text)
        if len(told) > after:
            raise KeyboardInterrupt

    if after < len(others):
        with pytest.raises(KeyboardInterrupt):
            mend(found, story.world.services, tell=stop)

    assert mended(story.world, compared(story.world, *(one.buyer for one in others))).good
    assert [len(one.access) for one in others] == [1, 1]
