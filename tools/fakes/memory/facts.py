"""What the objects of the provider in memory mean: pages, subscriptions, invoices and charges become facts."""

from dataclasses import dataclass, replace

from paidup.model.checkout import Checkout
from paidup.model.fact import Dispute, Entry, Fact, Payment, PaymentStatus, Price, Refund, Value
from paidup.model.provider import PageStatus

from tools.fakes.memory.bills import Bill
from tools.fakes.memory.charges import Charge
from tools.fakes.memory.plans import Plan

NAME = "memory"


@dataclass(slots=True, kw_only=True, eq=False)
class Sheet:
    """A page of the provider's, and what was paid on it. `plan` is the subscription that it began.

    `customer_ref` is the provider's customer who pays. `delayed`: the money comes days after the page. `paid_on` is
    when the buyer paid (epoch seconds).
    """

    token: str
    checkout: Checkout
    customer_ref: str
    expires_at: int
    created_at: int = 0
    status: PageStatus = PageStatus.OPEN
    payment: PaymentStatus | None = None
    charge: Charge | None = None
    plan: Plan | None = None
    delayed: bool = False
    paid_on: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The provider said it at its second `at`: when it was asked, or by the event number `number`."""

    at: int
    number: int | None = None


def of_payment(sheet: Sheet, observed: Observed) -> Fact | None:
    """Return what a page says of its payment, or None while it is open."""
    status = PaymentStatus.EXPIRED if sheet.status is PageStatus.EXPIRED else sheet.payment
    if status is None:
        return None
    cart, plan = sheet.checkout.cart, sheet.plan
    amount = 0 if cart.trial_days else cart.amount
    intent = f"pi_{sheet.token}" if sheet.payment and not plan else None
    value = Payment(
        status=status,
        amount=amount,
        subtotal=amount,
        currency=cart.currency,
        ref=intent,
        invoice=plan.bills[0].ref if plan else None,
    )
    said = replace(_fact(sheet.checkout, value, sheet.token, observed), provider_ref=_ref(plan.ref if plan else intent))
    if status is not PaymentStatus.PAID:
        return said
    known_at = sheet.charge.at if sheet.charge else sheet.expires_at
    told = observed.number is not None or sheet.delayed
    return replace(said, paid_at=observed.at if told else min(observed.at, known_at))


def of_plan(plan: Plan, observed: Observed) -> Fact:
    """Return what a subscription says of itself."""
    said = _fact(plan.checkout, plan.value(), plan.ref, observed, about=plan.ref)
    return replace(said, provider_ref=_ref(plan.ref))


def of_bill(plan: Plan, bill: Bill, observed: Observed) -> Fact:
    """Return what an invoice of *plan* says of itself."""
    return replace(_fact(plan.checkout, bill.value(), bill.ref, observed, about=bill.ref), paid_at=bill.paid_at)


def of_charge(checkout: Checkout, charge: Charge, value: Refund | Dispute, observed: Observed) -> Fact:
    """Return what a charge says of its refunds or its dispute. One of a subscription's does not say what was asked."""
    about = charge.ref if isinstance(value, Refund) else f"dp_{charge.ref}"
    said = _fact(checkout, value, f"ch_{charge.ref}", observed, about=about)
    return replace(said, asked=None, valid_days=None) if charge.invoice else said


def nothing_to_refund(plan: Plan, observed: Observed) -> Fact:
    """Return a full refund of 0: nothing was paid for the present period of *plan*."""
    currency = plan.checkout.cart.currency
    value = Refund(amount=0, refunded=0, currency=currency, invoice=plan.newest.ref, period=plan.period_start)
    return _fact(plan.checkout, value, plan.ref, observed, about=plan.ref)


def restated(fact: Fact, value: Value, at: int) -> Fact:
    """Return *fact* with the *value* that the provider says at *at*, when it is asked."""
    entry = Entry(at=at, fetched=True, value=value)
    return replace(fact, entry=entry, fact_id=_fetched_id(fact.source, entry))


def _fact(checkout: Checkout, value: Value, source: str, observed: Observed, *, about: str = "") -> Fact:
    cart = checkout.cart
    entry = Entry(at=observed.at, fetched=observed.number is None, value=value)
    return Fact(
        fact_id=_fetched_id(source, entry) if entry.fetched else f"evt_{observed.number}",
        provider=NAME,
        customer_id=checkout.customer_id,
        purchase_id=checkout.checkout_id,
        offer_id=cart.offer_id,
        kind=cart.kind,
        valid_days=cart.valid_days,
        quantity=cart.quantity,
        asked=Price(amount=cart.amount, currency=cart.currency),
        entry=entry,
        source=source,
        customer_ref=f"{NAME}#customer_{checkout.customer_id}",
        about=about,
    )


def _ref(an_id: str | None) -> str | None:
    return f"{NAME}#{an_id}" if an_id else None


def _fetched_id(source: str, entry: Entry) -> str:
    """Return the id of what was fetched: one object may tell of several registers."""
    return f"{source}@{entry.at}.{entry.value.tag}"
