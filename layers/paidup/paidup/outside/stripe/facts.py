"""What Stripe's objects mean: sessions, subscriptions, charges and disputes become facts. It makes no calls.

Rules from Stripe (API 2026-10-28.endive): the period fields are on a subscription's items. If the payment method is a
delayed one, a completed session has the `payment_status` `unpaid`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from paidup.model.fact import (
    LONGEST_TEXT,
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
    Refund,
    Subscription,
    SubscriptionStatus,
    Value,
)
from paidup.outside.stripe.metadata import NAME, Object, Sale, id_of

DISPUTE_STATUS = {
    "warning_needs_response": DisputeStatus.INQUIRY,
    "warning_under_review": DisputeStatus.INQUIRY,
    "warning_closed": DisputeStatus.WON,
    "needs_response": DisputeStatus.OPEN,
    "under_review": DisputeStatus.OPEN,
    "prevented": DisputeStatus.WON,  # or lost, see `dispute_value`
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
        quantity=sale.quantity,
        max_quantity=sale.max_quantity,
        uses_each=sale.uses_each,
        asked=sale.asked,
        entry=Entry(at=observed.at, fetched=observed.fetched, value=value),
        source=source["id"],
        about=about,
        provider_ref=provider_ref,
        customer_ref=_customer_ref(source),
        paid_at=paid_at,
    )


def of_session(session: Object, observed: Observed, sale: Sale | None, *, failed: bool = False) -> Fact | None:
    """Return what a checkout session of *sale* says about its payment. None: it is open, or sells nothing of ours.

    *failed*: the event's type is `async_payment_failed`. The session itself does not show that.
    """
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
        invoice=id_of(session.get("invoice")),
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
    """Return the bill of *invoice*. Its period is that of its lines. Lines that are prorated or added do not count."""
    lines = [line for line in invoice["lines"]["data"] if not (prorated(line) or _is_added(line))]
    starts = [line["period"]["start"] for line in lines]
    return Bill(invoice=invoice["id"], period=max(starts, default=None))


def of_subscription(
    subscription: Object, observed: Observed, sale: Sale, names: Mapping[str, str | None] | None = None
) -> Fact:
    """Return what a subscription says about itself. *names* are the offers that its prices name, by the price's id."""
    return fact(
        sale,
        subscription_value(subscription, names or {}),
        observed,
        subscription,
        about=subscription["id"],
        provider_ref=f"{NAME}#{subscription['id']}",
    )


def of_invoice(invoice: Object, observed: Observed, sale: Sale, subscription: str) -> Fact:
    """Return what an invoice of *subscription* (`sub_…`) says about itself."""
    paid_at = (invoice.get("status_transitions") or {}).get("paid_at")
    lines = invoice["lines"]["data"]
    sold = map(_line, (line for line in lines if not _is_added(line)))
    value = Invoice(
        status=_invoice_status(invoice),
        subscription=subscription,
        amount=invoice["amount_paid"] if invoice["status"] == "paid" else max(0, invoice["amount_due"]),
        subtotal=max(0, invoice["subtotal"]),
        currency=invoice["currency"],
        made_at=invoice["created"],
        due_at=invoice.get("due_date") or invoice["created"],
        lines=tuple(sorted(sold, key=lambda one: (one.start, one.price, one.credit))),
        beside=tuple(sorted(_price_of(line) for line in lines if _is_added(line) and line["amount"] > 0)),
        first=invoice.get("billing_reason") == "subscription_create",
        url=_page_of(invoice),
        paid_at=paid_at,
    )
    ref = f"{NAME}#{subscription}"
    return fact(sale, value, observed, invoice, about=invoice["id"], provider_ref=ref, paid_at=paid_at)


def of_single_invoice(invoice: Object, observed: Observed, sale: Sale, intent: str | None) -> Fact:
    """Return what a paid invoice without a subscription says: a payment. *intent* (`pi_…`) paid it."""
    paid_at = (invoice.get("status_transitions") or {}).get("paid_at") or observed.at
    value = Payment(
        status=PaymentStatus.PAID,
        amount=invoice["amount_paid"],
        subtotal=max(0, invoice["subtotal"]),
        currency=invoice["currency"],
        ref=intent,
        invoice=invoice["id"],
    )
    ref = f"{NAME}#{intent or invoice['id']}"
    return fact(sale, value, observed, invoice, provider_ref=ref, paid_at=paid_at)


def of_intent(intent: Object, observed: Observed, sale: Sale) -> Fact | None:
    """Return what a payment intent says of its payment, paid or on its way. *intent* has its charge expanded."""
    if intent["status"] not in ("succeeded", "processing"):
        return None
    done = intent["status"] == "succeeded"
    amount = intent["amount_received"] if done else intent["amount"]
    value = Payment(
        status=PaymentStatus.PAID if done else PaymentStatus.PENDING,
        amount=amount,
        subtotal=amount,
        currency=intent["currency"],
        ref=intent["id"],
    )
    ref = f"{NAME}#{intent['id']}"
    paid_at = intent["latest_charge"]["created"] if done else None
    return fact(sale, value, observed, intent, provider_ref=ref, paid_at=paid_at)


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
    """Return the value of the register `dispute`. An unknown status counts as open.

    One that was prevented was blocked, or it was resolved with the money at the buyer: what was withdrawn says which.
    """
    status = DISPUTE_STATUS.get(dispute["status"], DisputeStatus.OPEN)
    withdrawn = sum(one["amount"] for one in dispute.get("balance_transactions") or []) < 0
    return Dispute(
        status=DisputeStatus.LOST if dispute["status"] == "prevented" and withdrawn else status,
        amount=dispute["amount"],
        currency=dispute["currency"],
        payment=id_of(dispute.get("payment_intent")) or id_of(dispute.get("charge")),
        invoice=paid.invoice if paid else None,
        period=paid.period if paid else None,
    )


def nothing_to_refund(plan: Object, observed: Observed, sale: Sale) -> Fact:
    """Return a full refund of 0 for the subscription *plan*: nothing was paid for its present period."""
    period = max(item["current_period_start"] for item in plan["items"]["data"])
    invoice = id_of(plan.get("latest_invoice")) or plan["id"]
    value = Refund(amount=0, refunded=0, currency=plan["currency"], invoice=invoice, period=period)
    return fact(sale, value, observed, plan, about=plan["id"])


def subscription_value(subscription: Object, names: Mapping[str, str | None]) -> Subscription:
    """Return the value of the register `subscription`. `cancel_at_period_end` becomes the `cancel_at` of that second.

    Stripe promises no order of the items, so they are sorted.
    """
    items = tuple(
        sorted((_item(one, names) for one in subscription["items"]["data"]), key=lambda one: (one.price, one.quantity))
    )
    ends_at = min((one.period_end for one in items), default=None) if subscription.get("cancel_at_period_end") else None
    reason = (subscription.get("cancellation_details") or {}).get("reason")
    return Subscription(
        status=SubscriptionStatus(subscription["status"]),
        ref=subscription["id"],
        items=items,
        currency=subscription["currency"],
        invoice=id_of(subscription.get("latest_invoice")),
        trial_end=subscription.get("trial_end"),
        cancel_at=subscription.get("cancel_at") or ends_at,
        ended_at=subscription.get("ended_at"),
        paused=bool(subscription.get("pause_collection")),
        by_invoice=subscription.get("collection_method") == "send_invoice",
        lapsed=reason == "payment_failed",
    )


def _item(item: Object, names: Mapping[str, str | None]) -> Item:
    price, quantity = item["price"], item.get("quantity")
    return Item(
        price=price["id"],
        quantity=1 if quantity is None else quantity,  # metered prices have none
        amount=price.get("unit_amount") or 0,
        period_start=item["current_period_start"],
        period_end=item["current_period_end"],
        offer_id=names.get(price["id"]),
    )


def _line(line: Object) -> Line:
    quantity = line.get("quantity")
    return Line(
        price=_price_of(line),
        quantity=1 if quantity is None else quantity,
        start=line["period"]["start"],
        end=line["period"]["end"],
        credit=line["amount"] < 0,
        prorated=prorated(line),
    )


def _price_of(line: Object) -> str:
    """Return the price (`price_…`) of *line*, or an empty text if it has none."""
    pricing = (line.get("pricing") or {}).get("price_details") or {}
    return id_of(pricing.get("price")) or ""


def _invoice_status(invoice: Object) -> InvoiceStatus:
    """Return the state of *invoice*. Nobody is asked to pay a draft that does not advance, nor an uncollectible one."""
    if invoice["status"] == "paid":
        return InvoiceStatus.PAID
    waits = invoice["status"] == "open" or (invoice["status"] == "draft" and invoice.get("auto_advance"))
    return InvoiceStatus.OPEN if waits else InvoiceStatus.VOID


def _page_of(invoice: Object) -> str | None:
    """Return the address of the page on which *invoice* is paid. A draft has none.

    Stripe ends the address by where it was shown (`?s=ap`, `?s=il`), which is no difference between two states.
    """
    url = (invoice.get("hosted_invoice_url") or "").partition("?")[0]
    return f"{url}?s=ap" if 0 < len(url) <= LONGEST_TEXT - 5 else None


def prorated(line: Object) -> bool:
    """Return whether *line* of an invoice is about a change within a period."""
    parent = line.get("parent") or {}
    return bool((parent.get(parent.get("type", "")) or {}).get("proration"))


def _is_added(line: Object) -> bool:
    """Return whether somebody added *line* to an invoice by hand: it is no item of a subscription."""
    parent = line.get("parent") or {}
    return parent.get("type") == "invoice_item_details" and not prorated(line)


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
