"""Invoices of subscriptions: made, collected, paid or left open."""

from tools.fakes.store import Obj, new_id
from tools.fakes.stripe import cards, payments, views
from tools.fakes.stripe.objects import made
from tools.fakes.stripe.world import World


def make_invoice(
    world: World, subscription: Obj, reason: str, lines: list[Obj], *, days_until_due: int | None = None
) -> Obj:
    """Make and finalize the invoice of *lines* (see `line`) for a *subscription*."""
    customer = world.store.need(subscription["customer"])
    now, total = world.now(), sum(line["amount"] for line in lines)
    number = f"{customer['invoice_prefix']}-{customer['next_invoice_sequence']:04}"
    world.change(customer, next_invoice_sequence=customer["next_invoice_sequence"] + 1)
    by_hand = subscription["collection_method"] == "send_invoice"
    invoice = world.draft(
        "invoice",
        "in_1",
        amount_due=total,
        amount_remaining=total,
        billing_reason=reason,
        collection_method=subscription["collection_method"],
        currency=subscription["currency"],
        customer=customer["id"],
        customer_address=customer["address"],
        customer_email=customer["email"],
        customer_name=customer["name"],
        customer_phone=customer["phone"],
        due_date=now + (days_until_due or 0) * 86_400 if by_hand else None,
        effective_at=now,
        number=number,
        parent={
            "subscription_details": {"metadata": dict(subscription["metadata"]), "subscription": subscription["id"]}
        },
        period_end=now,
        period_start=now,
        subtotal=total,
        subtotal_excluding_tax=total,
        total=total,
        total_excluding_tax=total,
        webhooks_delivered_at=now,
    )
    for line in lines:
        line["invoice"] = invoice["id"]
    invoice["hosted_invoice_url"] = f"{world.base}/stripe/invoices/{invoice['id']}"
    invoice["lines"] = views.listed(lines, f"/v1/invoices/{invoice['id']}/lines")
    world.store.put(invoice)
    world.emit("invoice.created", invoice)
    _move(world, invoice, "open", "finalized_at")
    world.emit("invoice.finalized", invoice)
    return invoice


def line(world: World, subscription: Obj, item: Obj, *, free: bool = False, amount: int | None = None) -> Obj:
    """Return the invoice line of a subscription's *item* for its period: its price, or *amount*, or *free*."""
    price, quantity = item["price"], item["quantity"]
    full = price["unit_amount"] * quantity if amount is None else amount
    charged = 0 if free else full
    name = world.store.need(price["product"])["name"]
    return made(
        "line_item",
        id=new_id("il_1", 23),
        object="line_item",
        amount=charged,
        currency=price["currency"],
        description=f"Trial period for {name}" if free else f"{quantity} x {name}",
        metadata=dict(subscription["metadata"]),
        parent={
            "subscription_item_details": {
                "proration": amount is not None,
                "subscription": subscription["id"],
                "subscription_item": item["id"],
            }
        },
        period={"end": item["current_period_end"], "start": item["current_period_start"]},
        pricing={
            "price_details": {"price": price["id"], "product": price["product"]},
            "unit_amount_decimal": str(charged // quantity if quantity else 0),
        },
        quantity=quantity,
        subscription=subscription["id"],
        subtotal=charged,
    )


def collect(world: World, invoice: Obj, method: Obj | None) -> Obj:
    """Try to collect an open *invoice* with the payment *method*, with nobody there to authenticate."""
    if invoice["amount_due"] == 0:
        return mark_paid(world, invoice, None)
    fields = {"attempt_count": invoice["attempt_count"] + 1, "attempted": True}
    world.change(invoice, **fields)
    if method is None:
        world.emit("invoice.payment_failed", invoice)
        return invoice
    intent = payments.attempt(world, _intent_of(world, invoice), method, cards.of(method), buyer_is_there=False)
    if intent["status"] == "succeeded":
        return mark_paid(world, invoice, intent)
    if intent["status"] == "requires_action":
        world.emit("invoice.payment_action_required", invoice)
    world.emit("invoice.payment_failed", invoice)
    return invoice


def mark_paid(world: World, invoice: Obj, intent: Obj | None) -> Obj:
    """Let *invoice* be paid by *intent*, or by nothing where nothing is due."""
    now = world.now()
    fields = {"amount_paid": invoice["amount_due"], "amount_remaining": 0, "next_payment_attempt": None}
    if intent:
        payment = _payment_of(world, invoice, intent)
        paid = {"amount_paid": invoice["amount_due"], "status": "paid"}
        world.change(payment, **paid, status_transitions={"canceled_at": None, "paid_at": now})
        world.emit("invoice_payment.paid", payment)
        fields["attempted"] = True
    world.change(invoice, **fields)
    _move(world, invoice, "paid", "paid_at")
    world.store.unschedule("invoice.retry", invoice["id"])
    world.emit("invoice.paid", invoice)
    world.emit("invoice.payment_succeeded", invoice)
    return invoice


def void(world: World, invoice: Obj) -> Obj:
    """Void an open *invoice*: nobody will pay it."""
    _move(world, invoice, "void", "voided_at")
    world.store.unschedule("invoice.retry", invoice["id"])
    world.emit("invoice.voided", invoice)
    return invoice


def subscription_of(world: World, invoice: Obj) -> Obj:
    """Return the subscription that *invoice* is for."""
    return world.store.need(invoice["parent"]["subscription_details"]["subscription"])


def open_invoices(world: World, subscription: Obj) -> list[Obj]:
    """Return the open invoices of a *subscription*."""
    of_it = {"parent__subscription_details__subscription": subscription["id"]}
    return world.store.by("invoice", status="open", **of_it)


def _move(world: World, invoice: Obj, status: str, stamp: str) -> None:
    transitions = invoice["status_transitions"] | {stamp: world.now()}
    world.change(invoice, status=status, status_transitions=transitions)


def _intent_of(world: World, invoice: Obj) -> Obj:
    if known := world.store.by("invoice_payment", invoice=invoice["id"]):
        return world.store.need(known[0]["payment"]["payment_intent"])
    first = invoice["billing_reason"] == "subscription_create"
    described = "Subscription creation" if first else "Subscription update"
    fields = {"customer": invoice["customer"], "description": described}
    intent = payments.make_intent(world, invoice["amount_due"], invoice["currency"], **fields)
    _payment_of(world, invoice, intent)
    return intent


def _payment_of(world: World, invoice: Obj, intent: Obj) -> Obj:
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
