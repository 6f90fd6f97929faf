"""Each kind of drift between a purchase here and what the provider says, on plain values."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from paidup.model.access import Access
from paidup.model.account import Account
from paidup.model.checkout import reserved
from paidup.model.drift import Drift, access_differences, differences, sale_differences
from paidup.model.fact import (
    Dispute,
    DisputeStatus,
    Entry,
    Fact,
    Invoice,
    InvoiceStatus,
    Item,
    Line,
    Payment,
    PaymentStatus,
    Price,
    Refund,
    Subscription,
    SubscriptionStatus,
    Value,
)
from paidup.model.offer import Cart, Kind
from paidup.model.policy import DAY_S, Policy
from paidup.model.purchase import Purchase

NOON = 1_795_251_600
MONTH = 30 * DAY_S
ITEM = Item(price="price_month", quantity=1, amount=9_900, period_start=NOON, period_end=NOON + MONTH, offer_id="month")
PLAN = Subscription(status=SubscriptionStatus.ACTIVE, ref="sub_1", items=(ITEM,), currency="eur", invoice="in_1")
LINE = Line(price="price_month", quantity=1, start=NOON, end=NOON + MONTH)
BILL = Invoice(
    status=InvoiceStatus.PAID,
    subscription="sub_1",
    amount=9_900,
    subtotal=9_900,
    currency="eur",
    made_at=NOON,
    due_at=NOON,
    lines=(LINE,),
    first=True,
)
PAID = Payment(status=PaymentStatus.PAID, amount=9_900, subtotal=9_900, currency="eur", invoice="in_1")
REFUND = Refund(amount=9_900, refunded=0, currency="eur", invoice="in_1", period=NOON)
DISPUTE = Dispute(status=DisputeStatus.OPEN, amount=9_900, currency="eur", payment="pi_1")
ABOUT = {Subscription: "sub_1", Invoice: "in_1", Refund: "pi_1", Dispute: "dp_1", Payment: ""}


def fact(value: Value, *, at: int = NOON, about: str | None = None) -> Fact:
    return Fact(
        fact_id=f"fact-{at}",
        provider="memory",
        customer_id="ada",
        purchase_id="co_1",
        offer_id="month",
        kind=Kind.SUBSCRIPTION,
        entry=Entry(at=at, fetched=True, value=value),
        source="thing",
        about=ABOUT[type(value)] if about is None else about,
    )


def bought(*values: Value) -> Purchase:
    purchase = Purchase.of(fact(PAID))
    for value in values or (PLAN, BILL, PAID):
        purchase = purchase.merge(fact(value))
    return purchase


def kinds(here: Purchase | None, *told: Fact) -> list[Drift]:
    return [one.drift for one in differences(here, told)]


def test_what_is_said_as_it_is_known_is_no_difference() -> None:
    assert differences(bought(), [fact(one, at=NOON + 60) for one in (PLAN, BILL, PAID, REFUND)]) == []


def test_a_purchase_that_is_not_here_is_missing() -> None:
    (one,) = differences(None, [fact(PLAN), fact(PAID)])

    assert (one.drift, one.here, one.there) == (
        Drift.MISSING_PURCHASE,
        "nothing",
        "payment paid 9900 eur, subscription active",
    )


def test_a_page_that_expired_is_no_purchase() -> None:
    assert differences(None, [fact(replace(PAID, status=PaymentStatus.EXPIRED))]) == []


@pytest.mark.parametrize(
    ("value", "drift"),
    [
        (replace(PLAN, status=SubscriptionStatus.PAST_DUE), Drift.WRONG_STATUS),
        (replace(PLAN, paused=True), Drift.WRONG_STATUS),
        (replace(PLAN, status=SubscriptionStatus.CANCELED), Drift.CANCELLED_BUT_RUNNING),
        (replace(PLAN, items=(replace(ITEM, quantity=2),)), Drift.WRONG_QUANTITY),
        (replace(PLAN, items=(replace(ITEM, price="price_gold"),)), Drift.WRONG_OFFER),
        (replace(PLAN, items=(replace(ITEM, period_end=NOON + 2 * MONTH),)), Drift.WRONG_PERIOD_END),
        (replace(PLAN, cancel_at=NOON + MONTH), Drift.CANCELLATION_UNSEEN),
        (replace(PLAN, invoice="in_2"), Drift.OTHER),
        (replace(BILL, status=InvoiceStatus.OPEN), Drift.WRONG_STATUS),
        (replace(BILL, amount=100), Drift.WRONG_AMOUNT),
        (replace(BILL, url="https://pay"), Drift.OTHER),
        (replace(PAID, status=PaymentStatus.FAILED), Drift.WRONG_STATUS),
        (replace(PAID, amount=100), Drift.WRONG_AMOUNT),
        (replace(REFUND, refunded=100), Drift.REFUND_UNSEEN),
        (DISPUTE, Drift.DISPUTE_UNSEEN),
    ],
)
def test_each_other_value_is_drift_of_one_kind(value: Value, drift: Drift) -> None:
    assert kinds(bought(), fact(value, at=NOON + 60)) == [drift]


@pytest.mark.parametrize(
    ("known", "value", "drift"),
    [
        (PLAN, replace(PLAN, ref="sub_2"), Drift.SECOND_SUBSCRIPTION),
        (PAID, PLAN, Drift.PAYMENT_UNSEEN),
        (PLAN, PAID, Drift.PAYMENT_UNSEEN),
        (PLAN, BILL, Drift.BILL_UNSEEN),
    ],
)
def test_each_object_that_is_not_known_is_drift_of_one_kind(known: Value, value: Value, drift: Drift) -> None:
    about = value.ref if isinstance(value, Subscription) else None

    assert kinds(bought(known), fact(value, at=NOON + 60, about=about)) == [drift]


def test_several_things_that_differ_are_several_differences() -> None:
    other = replace(PLAN, status=SubscriptionStatus.PAST_DUE, items=(replace(ITEM, quantity=2),))

    assert kinds(bought(), fact(other)) == [Drift.WRONG_STATUS, Drift.WRONG_QUANTITY]


def test_a_bill_of_a_period_that_is_over_is_no_difference() -> None:
    past = replace(BILL, lines=(replace(LINE, start=NOON - MONTH, end=NOON),), made_at=NOON - MONTH, first=False)

    assert differences(bought(), [fact(past, about="in_0")]) == []


@pytest.mark.parametrize(
    ("fields", "drift"),
    [({"offer_id": "gold"}, Drift.WRONG_OFFER), ({"quantity": 3}, Drift.WRONG_QUANTITY), ({}, None)],
)
def test_what_was_sold_is_what_the_checkout_asked_for(fields: dict[str, object], drift: Drift | None) -> None:
    cart = Cart(offer_id="month", name="x", kind=Kind.SUBSCRIPTION, unit_amount=9_900, currency="eur", quantity=1)
    checkout = reserved(
        checkout_id="co_1",
        customer_id="ada",
        cart=cart,
        provider="memory",
        success_url="",
        cancel_url="",
        lifetime_s=86_400,
        now=NOON,
    )
    asked = replace(bought(), asked=fact_price(cart))

    found = [one.drift for one in sale_differences(replace(asked, **fields), checkout)]  # type: ignore[arg-type]

    assert found == ([drift] if drift else [])


def fact_price(cart: Cart) -> Price:
    return Price(amount=cart.amount, currency=cart.currency)


class TestTheAccessOfAnAccount:
    def found(self, account: Account, purchases: Sequence[Purchase]) -> list[tuple[Drift, str]]:
        told = access_differences(account, purchases, now=NOON, policy=Policy())
        return [(one.drift, one.purchase_id) for one in told]

    def account(self, *purchases: Purchase) -> Account:
        return Account(customer_id="ada").derived(purchases, now=NOON, policy=Policy())

    def test_is_what_its_purchases_grant(self) -> None:
        assert self.found(self.account(bought()), [bought()]) == []

    def test_is_a_ghost_if_no_purchase_grants_it(self) -> None:
        assert self.found(self.account(bought()), []) == [(Drift.GHOST_ACCESS, "co_1")]

    def test_is_missing_if_a_purchase_grants_it(self) -> None:
        assert self.found(Account(customer_id="ada"), [bought()]) == [(Drift.MISSING_ACCESS, "co_1")]

    def test_is_both_if_another_quantity_is_listed(self) -> None:
        account = self.account(bought())
        wrong: Access = replace(account.access[0], quantity=2)

        found = self.found(replace(account, access=(wrong,)), [bought()])

        assert found == [(Drift.GHOST_ACCESS, "co_1"), (Drift.MISSING_ACCESS, "co_1")]

    def test_that_does_not_fit_into_the_account_is_not_missing(self) -> None:
        assert self.found(Account(customer_id="ada", access_cut=True), [bought()]) == []
