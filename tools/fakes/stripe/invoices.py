"""Invoices: those of subscriptions are drafted here, and all are finalized, collected, paid, voided or written off."""

from tools.fakes.store import Obj, new_id
from tools.fakes.stripe import cards, currencies, invoice_items, payments, prorations, totals, views
from tools.fakes.stripe.objects import made
from tools.fakes.stripe.world import World

DRAFT_FOR_S = 3600


def draft(world: World, subscription: Obj, reason: str, lines: list[Obj], *, finalizes: bool = False) -> Obj:
    """Write the draft of an invoice of *lines* and of what is pending. No event tells of it yet (see `announce`).

    One that *finalizes* does so by itself, an hour later. What is pending for the customer, and for no subscription, is
    on the one of the next period.
    """
    customer = world.store.need(subscription["customer"])
    invoice = world.draft(
        "invoice",
        "in_1",
        automatically_finalizes_at=world.now() + DRAFT_FOR_S if finalizes else None,
        billing_reason=reason,
        collection_method=subscription["collection_method"],
        currency=subscription["currency"],
        customer=customer["id"],
        customer_address=customer["address"],
        customer_email=customer["email"],
        customer_name=customer["name"],
        customer_phone=customer["phone"],
        default_payment_method=subscription["default_payment_method"],
        parent={
            "subscription_details": {"metadata": dict(subscription["metadata"]), "subscription": subscription["id"]}
        },
        period_end=world.now(),
        period_start=world.now(),
        starting_balance=customer["balance"],
    )
    pending = (
        invoice_items.pending(world, customer["id"], invoice["currency"]) if reason == "subscription_cycle" else []
    )
    by_hand = invoice_items.take(world, pending, invoice)
    lines = [*prorations.take_pending(world, subscription, invoice), *by_hand, *lines]
    for each in lines:
        each["invoice"] = invoice["id"]
    invoice["lines"] = views.listed(lines, f"/v1/invoices/{invoice['id']}/lines")
    invoice |= totals.of_invoice(world, subscription, lines)
    due = currencies.due(invoice["total"] + customer["balance"], invoice["currency"])
    invoice |= {"amount_due": due, "amount_remaining": due}
    if finalizes:
        world.store.schedule(world.now() + DRAFT_FOR_S, "invoice.finalize", invoice["id"])
    return world.store.put(invoice)


def announce(world: World, invoice: Obj) -> Obj:
    """Tell that *invoice* is there."""
    world.change(invoice, webhooks_delivered_at=world.now())
    world.emit("invoice.created", invoice)
    return invoice


def finalize(world: World, invoice: Obj) -> Obj:
    """Finalize a draft: it gets its number, and the customer's balance pays or takes its part."""
    world.store.unschedule("invoice.finalize", invoice["id"])
    customer, now = world.store.need(invoice["customer"]), world.now()
    balance = customer["balance"]
    rest = invoice["total"] + balance
    due = currencies.due(rest, invoice["currency"])
    ending = rest - due
    number = f"{customer['invoice_prefix']}-{customer['next_invoice_sequence']:04}"
    world.change(customer, next_invoice_sequence=customer["next_invoice_sequence"] + 1)
    world.change(customer, "customer.updated", balance=ending)
    is_sent = invoice["collection_method"] == "send_invoice"
    subscription = subscription_of(world, invoice)
    days = subscription["days_until_due"] if subscription else world.store.noted(invoice["id"], "days_until_due", 0)
    world.change(
        invoice,
        amount_due=due,
        amount_remaining=due,
        automatically_finalizes_at=None,
        due_date=invoice["due_date"] or (now + (days or 0) * 86_400 if is_sent else None),
        effective_at=now,
        ending_balance=ending,
        hosted_invoice_url=f"{world.base}/stripe/invoices/{invoice['id']}",
        number=number,
        starting_balance=balance,
    )
    _move(world, invoice, "open", "finalized_at")
    world.emit("invoice.finalized", invoice)
    return invoice


def line(world: World, subscription: Obj, item: Obj, *, free: bool = False) -> Obj:
    """Return the invoice line of a subscription's *item* for its period: at its price, or *free* in a trial."""
    price, quantity = item["price"], item["quantity"]
    name = world.store.need(price["product"])["name"]
    charged = 0 if free else price["unit_amount"] * quantity
    return made(
        "line_item",
        id=new_id("il_1", 23),
        object="line_item",
        amount=charged,
        currency=price["currency"],
        description=f"Trial period for {name}" if free else f"{quantity} \N{MULTIPLICATION SIGN} {name}",
        metadata=dict(subscription["metadata"]),
        parent={
            "subscription_item_details": {
                "proration": False,
                "subscription": subscription["id"],
                "subscription_item": item["id"],
            }
        },
        period={"end": item["current_period_end"], "start": item["current_period_start"]},
        pricing={
            "price_details": {"price": price["id"], "product": price["product"]},
            "unit_amount_decimal": str(0 if free else price["unit_amount"]),
        },
        quantity=quantity,
        quantity_decimal=str(quantity),
        subscription=subscription["id"],
        subtotal=charged,
    )


def collect(world: World, invoice: Obj, method: Obj | None, *, buyer_agrees: bool | None = None) -> Obj:
    """Try to collect an open *invoice* with the payment *method*.

    Where the buyer is there, *buyer_agrees* is what they answer to their bank. A debit takes its time: the invoice
    stays open, and its payment intent is `processing`.
    """
    if invoice["amount_due"] == 0:
        return mark_paid(world, invoice, None)
    world.change(invoice, attempt_count=invoice["attempt_count"] + 1, attempted=True)
    if method is None:
        world.emit("invoice.payment_failed", invoice)
        return invoice
    intent = intent_of(world, invoice)
    if method["type"] in cards.TAKES_TIME:
        payments.process(world, intent, method, cards.outcome_of(method))
        return invoice
    card, there = cards.of(method), buyer_agrees is not None
    asks = card is not None and card.asks != "never"
    if there and asks and not buyer_agrees:
        payments.decline(world, intent, method, "authentication_required")
    else:
        payments.attempt(world, intent, method, card, buyer_is_there=there, authenticated=bool(buyer_agrees))
    return mark_paid(world, invoice, intent) if intent["status"] == "succeeded" else failed(world, invoice, intent)


def failed(world: World, invoice: Obj, intent: Obj) -> Obj:
    """Tell that the attempt to collect *invoice* with *intent* has failed."""
    if intent["status"] == "requires_action":
        world.emit("invoice.payment_action_required", invoice)
    world.emit("invoice.payment_failed", invoice)
    return invoice


def mark_paid(world: World, invoice: Obj, intent: Obj | None) -> Obj:
    """Let *invoice* be paid by *intent*, or by None if nothing is due, or if it was paid out of band."""
    now = world.now()
    fields = {"amount_paid": invoice["amount_due"], "amount_remaining": 0, "next_payment_attempt": None}
    if intent:
        payment = payment_of(world, invoice, intent)
        paid = {"amount_paid": invoice["amount_due"], "status": "paid"}
        world.change(payment, **paid, status_transitions={"canceled_at": None, "paid_at": now})
        world.emit("invoice_payment.paid", payment)
        fields |= {"attempted": True, "attempt_count": max(1, invoice["attempt_count"])}
    world.change(invoice, **fields, auto_advance=False)
    _move(world, invoice, "paid", "paid_at")
    world.store.unschedule("invoice.retry", invoice["id"])
    world.emit("invoice.paid", invoice)
    world.emit("invoice.payment_succeeded", invoice)
    return invoice


def void(world: World, invoice: Obj) -> Obj:
    """Void an *invoice*: nobody will pay it."""
    for payment in world.store.by("invoice_payment", invoice=invoice["id"], status="open"):
        payments.cancel_intent(world, world.store.need(payment["payment"]["payment_intent"]), "void_invoice")
        world.change(payment, status="canceled", status_transitions={"canceled_at": world.now(), "paid_at": None})
    return _closed(world, invoice, "void", "voided_at", "invoice.voided")


def mark_uncollectible(world: World, invoice: Obj) -> Obj:
    """Write an *invoice* off: nobody is likely to pay it."""
    return _closed(world, invoice, "uncollectible", "marked_uncollectible_at", "invoice.marked_uncollectible")


def leave(world: World, invoice: Obj) -> Obj:
    """Let nothing happen to *invoice* by itself any more."""
    for what in ("invoice.retry", "invoice.finalize"):
        world.store.unschedule(what, invoice["id"])
    fields = {"auto_advance": False, "automatically_finalizes_at": None, "next_payment_attempt": None}
    return world.change(invoice, "invoice.updated", **fields)


def subscription_of(world: World, invoice: Obj) -> Obj | None:
    """Return the subscription that *invoice* is for. One that the merchant wrote has none."""
    details = (invoice["parent"] or {}).get("subscription_details")
    return world.store.need(details["subscription"]) if details else None


def invoices_of(world: World, subscription: Obj) -> list[Obj]:
    """Return the invoices of a *subscription*, newest first."""
    return world.store.by("invoice", parent__subscription_details__subscription=subscription["id"])


def invoice_of(world: World, intent: Obj) -> Obj | None:
    """Return the invoice that *intent* is to pay, if any."""
    known = world.store.by("invoice_payment", payment__payment_intent=intent["id"])
    return world.store.need(known[0]["invoice"]) if known else None


def under_way(world: World, invoice: Obj) -> bool:
    """Return whether a debit that pays *invoice* is under way."""
    known = world.store.by("invoice_payment", invoice=invoice["id"])
    return any(world.store.need(one["payment"]["payment_intent"])["status"] == "processing" for one in known)


def intent_of(world: World, invoice: Obj) -> Obj:
    """Return the payment intent of *invoice*, made if there is none."""
    if known := world.store.by("invoice_payment", invoice=invoice["id"]):
        return world.store.need(known[0]["payment"]["payment_intent"])
    described = {"subscription_create": "Subscription creation", "manual": "Payment for Invoice"}
    description = described.get(invoice["billing_reason"], "Subscription update")
    fields = {"customer": invoice["customer"], "description": description}
    intent = payments.make_intent(world, invoice["amount_due"], invoice["currency"], **fields)
    payment_of(world, invoice, intent)
    return intent


def payment_of(world: World, invoice: Obj, intent: Obj) -> Obj:
    """Return what ties *invoice* to *intent*, made if there is none."""
    if known := world.store.by("invoice_payment", invoice=invoice["id"]):
        return known[0]
    return world.make(
        "invoice_payment",
        "inpay_1",
        amount_requested=invoice["amount_due"],
        currency=invoice["currency"],
        invoice=invoice["id"],
        payment={"payment_intent": intent["id"]},
    )


def _closed(world: World, invoice: Obj, status: str, stamp: str, event: str) -> Obj:
    world.store.unschedule("invoice.retry", invoice["id"])
    world.change(invoice, auto_advance=False, next_payment_attempt=None)
    _move(world, invoice, status, stamp)
    world.emit(event, invoice)
    return invoice


def _move(world: World, invoice: Obj, status: str, stamp: str) -> None:
    transitions = invoice["status_transitions"] | {stamp: world.now()}
    world.change(invoice, status=status, status_transitions=transitions)
