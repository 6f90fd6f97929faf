"""What Stripe's objects mean: sessions, subscriptions, charges and disputes become facts. It makes no calls.

Rules from Stripe (API 2026-10-28.endive): the period fields are on a subscription's items. If the payment method is a
delayed one, a completed session has the `payment_status` `unpaid`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from paidup.model.fact import (
    Dispute,
    DisputeStatus,
    Entry,
    Fact,
    Payment,
    PaymentStatus,
    Refund,
    Subscription,
    SubscriptionStatus,
    Value,
)
from paidup.outside.stripe.metadata import NAME, Object, Sale, id_of, offer_of_price, sale_in

DISPUTE_STATUS = {
    "warning_needs_response": DisputeStatus.INQUIRY,
    "warning_under_review": DisputeStatus.INQUIRY,
    "warning_closed": DisputeStatus.WON,
    "needs_response": DisputeStatus.OPEN,
    "under_review": DisputeStatus.OPEN,
    "prevented": DisputeStatus.WON,
    "won": DisputeStatus.WON,
    "lost": DisputeStatus.LOST,
}


# These methods take the money while the buyer waits. With any other, a charge may succeed days after it was made.
PAID_AT_ONCE = frozenset(
    {"amazon_pay", "bancontact", "blik", "card", "cashapp", "eps", "ideal", "klarna", "link", "p24", "paypal"}
    | {"revolut_pay", "twint"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """When Stripe said something (`at`, its epoch second), whether we fetched it, and by which event (`by`, an id)."""

    at: int
    fetched: bool
    by: str


def fact(
    sale: Sale,
    value: Value,
    observed: Observed,
    source: Object,
    *,
    about: str = "",
    provider_ref: str | None = None,
    paid_at: int | None = None,
) -> Fact:
    """Return the fact that a register of *sale* has *value*, as *observed* in the Stripe object *source*."""
    return Fact(
        fact_id=_fetched_id(source["id"], value, observed) if observed.fetched else observed.by,
        provider=NAME,
        customer_id=sale.customer_id,
        purchase_id=sale.purchase_id,
        offer_id=sale.offer_id,
        kind=sale.kind,
        valid_days=sale.valid_days,
        asked=sale.asked,
        entry=Entry(at=observed.at, fetched=observed.fetched, value=value),
        source=source["id"],
        about=about,
        provider_ref=provider_ref,
        customer_ref=_customer_ref(source),
        paid_at=paid_at,
    )


def of_session(session: Object, observed: Observed, *, failed: bool = False) -> Fact | None:
    """Return what a checkout session says about its payment, or None if it is open or not ours.

    *failed*: the event's type is `async_payment_failed`. The session itself does not show that.
    """
    sale = sale_in(session.get("metadata"))
    status = _payment_status(session, failed=failed)
    if sale is None or status is None:
        return None
    ref = id_of(session.get("subscription")) or id_of(session.get("payment_intent"))
    value = Payment(
        status=status,
        amount=session.get("amount_total") or 0,
        subtotal=session.get("amount_subtotal") or 0,
        currency=session.get("currency") or "",
        ref=id_of(session.get("payment_intent")),
    )
    return fact(
        sale,
        value,
        observed,
        session,
        provider_ref=f"{NAME}#{ref}" if ref else None,
        paid_at=_paid_at(session, observed) if status is PaymentStatus.PAID else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """A subscription's invoice: its id, and the epoch second at which its period begins. See `Refund`."""

    invoice: str
    period: int | None


def bill(invoice: Object) -> Bill:
    """Return the bill of *invoice*. Its period is that of its lines. Prorated lines do not count."""
    starts = [line["period"]["start"] for line in invoice["lines"]["data"] if not _prorated(line)]
    return Bill(invoice=invoice["id"], period=max(starts, default=None))


def of_subscription(subscription: Object, observed: Observed, sale: Sale, *, unpaid_since: int | None = None) -> Fact:
    """Return what a subscription says about itself.

    Checkout creates a subscription when it is paid, so `created` is its first payment. A past-due subscription does not
    say since when, so *unpaid_since* does (epoch seconds).
    """
    incomplete = subscription["status"] in ("incomplete", "incomplete_expired")
    return fact(
        sale,
        subscription_value(subscription, ours=sale.purchase_id != subscription["id"], unpaid_since=unpaid_since),
        observed,
        subscription,
        provider_ref=f"{NAME}#{subscription['id']}",
        paid_at=None if incomplete else subscription["created"],
    )


def of_charge(charge: Object, observed: Observed, sale: Sale, *, paid: Bill | None = None) -> Fact:
    """Return what a charge says about its refunds. *paid* is the bill that the charge paid, if any."""
    about = id_of(charge.get("payment_intent")) or charge["id"]
    value = refund_value(charge, paid)
    return fact(sale, value, observed, charge, about=about)


def of_dispute(dispute: Object, observed: Observed, sale: Sale, *, paid: Bill | None = None) -> Fact:
    """Return what a dispute says about itself. *paid* is the bill that the disputed charge paid, if any."""
    return fact(sale, dispute_value(dispute, paid), observed, dispute, about=dispute["id"])


def restated(before: Fact, value: Value, observed: Observed) -> Fact:
    """Return *before* with the *value* that Stripe says now."""
    entry = Entry(at=observed.at, fetched=observed.fetched, value=value)
    return replace(before, entry=entry, fact_id=_fetched_id(before.source, value, observed))


def _fetched_id(source: str, value: Value, observed: Observed) -> str:
    """Return the id of a fetched fact. One answer may report several registers, so the id has the value's tag."""
    return f"{source}@{observed.at}.{value.tag}"


def refund_value(charge: Object, paid: Bill | None) -> Refund:
    """Return the value of the register `refund`. `amount_refunded` is Stripe's total so far."""
    return Refund(
        amount=charge["amount"],
        refunded=charge["amount_refunded"],
        currency=charge["currency"],
        invoice=paid.invoice if paid else None,
        period=paid.period if paid else None,
    )


def dispute_value(dispute: Object, paid: Bill | None) -> Dispute:
    """Return the value of the register `dispute`. An unknown status counts as open."""
    return Dispute(
        status=DISPUTE_STATUS.get(dispute["status"], DisputeStatus.OPEN),
        amount=dispute["amount"],
        currency=dispute["currency"],
        invoice=paid.invoice if paid else None,
        period=paid.period if paid else None,
    )


def nothing_to_refund(plan: Object, observed: Observed, sale: Sale) -> Fact:
    """Return a full refund of 0 for the subscription *plan*: nothing was paid for its present period."""
    period = plan["items"]["data"][0]["current_period_start"]
    invoice = id_of(plan.get("latest_invoice")) or plan["id"]
    value = Refund(amount=0, refunded=0, currency=plan["currency"], invoice=invoice, period=period)
    return fact(sale, value, observed, plan, about=plan["id"])


def subscription_value(subscription: Object, *, ours: bool, unpaid_since: int | None = None) -> Subscription:
    """Return the value of the register `subscription`. `cancel_at_period_end` becomes the `cancel_at` of that second.

    *ours*: the subscription was bought through a checkout, which knows the offer. If a subscription was made in the
    dashboard, and its price names no offer, the price's id is the offer's id.
    """
    item = subscription["items"]["data"][0]
    at_period_end = item["current_period_end"] if subscription.get("cancel_at_period_end") else None
    return Subscription(
        status=SubscriptionStatus(subscription["status"]),
        ref=subscription["id"],
        period_start=item["current_period_start"],
        period_end=item["current_period_end"],
        trial_end=subscription.get("trial_end"),
        cancel_at=subscription.get("cancel_at") or at_period_end,
        ended_at=subscription.get("ended_at"),
        unpaid_since=unpaid_since,
        offer_id=offer_of_price(item["price"]) or (None if ours else item["price"]["id"]),
        amount=(item["price"].get("unit_amount") or 0) * (item.get("quantity") or 1),
        currency=item["price"]["currency"],
    )


def past_due(subscription: Object) -> bool:
    """Whether the subscription's renewal is unpaid. Its open invoices say since when."""
    return bool(subscription["status"] == "past_due")


def _prorated(line: Object) -> bool:
    parent = line.get("parent") or {}
    return bool((parent.get(parent.get("type", "")) or {}).get("proration"))


def _customer_ref(thing: Object) -> str | None:
    customer = id_of(thing.get("customer"))
    return f"{NAME}#{customer}" if customer else None


def _paid_at(session: Object, observed: Observed) -> int:
    """Return when the session was paid (Stripe's epoch second). Channel and delay of the report must not matter.

    An event is made at the second of payment. A fetched session does not contain that second. If the payment method is
    not a delayed one, the charge was made at that second. If there is no payment intent (a subscription, or nothing to
    pay), the buyer paid before the page expired. If the method is a delayed one, only the second of the answer is
    known: Stripe makes balance transactions before a delayed payment succeeds, so they do not help.
    """
    intent = session.get("payment_intent")
    charge = intent.get("latest_charge") if isinstance(intent, Mapping) else None
    if not observed.fetched:
        return observed.at
    seen_at = observed.at + 1  # `at` is a second that was over when the session was read
    if not isinstance(charge, Mapping):
        return seen_at if session.get("payment_intent") else min(seen_at, session["expires_at"])
    method = (charge.get("payment_method_details") or {}).get("type")
    return min(seen_at, charge["created"]) if method in PAID_AT_ONCE else seen_at


def _payment_status(session: Object, *, failed: bool) -> PaymentStatus | None:
    if session["status"] == "expired":
        return PaymentStatus.EXPIRED
    if session["status"] != "complete":
        return None
    if session["payment_status"] in ("paid", "no_payment_required"):
        return PaymentStatus.PAID
    intent = session.get("payment_intent")
    gave_up = isinstance(intent, Mapping) and intent.get("status") in ("requires_payment_method", "canceled")
    return PaymentStatus.FAILED if failed or gave_up else PaymentStatus.PENDING
