"""Invoices that a merchant writes by hand: collected from a card, or sent to be paid on their page."""

from typing import Any

from tools.fakes.store import Obj
from tools.fakes.stripe import currencies, customers, invoice_items, invoices
from tools.fakes.stripe.operation import merged_metadata
from tools.fakes.stripe.wire import Refusal, missing
from tools.fakes.stripe.world import World

DEFAULT_CURRENCY = "eur"  # the account's


def create(world: World, params: dict[str, Any]) -> Obj:
    """Write a draft for a customer. What is pending for them is on it only if *params* ask for that."""
    if "customer" not in params:
        raise missing("customer")
    customer = world.named(params["customer"], "customer", "customer")
    is_sent = params.get("collection_method") == "send_invoice"
    _check_due(params, is_sent=is_sent)
    method = customers.method_for(world, params, customer) if "default_payment_method" in params else None
    currency = params.get("currency") or customer["currency"] or DEFAULT_CURRENCY
    advances, now = params.get("auto_advance", False), world.now()
    invoice = world.draft(
        "invoice",
        "in_1",
        auto_advance=advances,
        automatically_finalizes_at=now + invoices.DRAFT_FOR_S if advances else None,
        billing_reason="manual",
        collection_method="send_invoice" if is_sent else "charge_automatically",
        currency=currencies.read(currency, "currency"),
        customer=customer["id"],
        customer_address=customer["address"],
        customer_email=customer["email"],
        customer_name=customer["name"],
        customer_phone=customer["phone"],
        default_payment_method=method["id"] if method else None,
        description=params.get("description"),
        due_date=params.get("due_date"),
        metadata=merged_metadata({}, params.get("metadata")),
        parent=None,
        period_end=now,
        period_start=now,
        starting_balance=customer["balance"],
    )
    included = params.get("pending_invoice_items_behavior") == "include"
    items = invoice_items.pending(world, customer["id"], invoice["currency"]) if included else []
    invoice |= invoice_items.totals(invoice, invoice_items.take(world, items, invoice), customer)
    world.store.put(invoice)
    world.store.note(invoice["id"], "days_until_due", params.get("days_until_due"))
    if advances:
        world.store.schedule(now + invoices.DRAFT_FOR_S, "invoice.finalize", invoice["id"])
    return invoices.announce(world, invoice)


def of_session(world: World, session: Obj, lines: list[Obj], intent: Obj) -> Obj:
    """Make the paid invoice of a *session* that asked for one, of its *lines*. The session's *intent* paid it."""
    customer = world.store.need(intent["customer"])
    invoice = create(world, {"customer": customer["id"], "currency": session["currency"]})
    for line in lines:
        invoice_items.add(world, customer, line["price"], line["quantity"], invoice)
    invoices.finalize(world, invoice)
    invoices.payment_of(world, invoice, intent)
    return invoices.mark_paid(world, invoice, intent)


def finalize(world: World, invoice: Obj, *, advances: bool) -> Obj:
    """Finalize a draft. One that *advances* is collected or sent at once; one of nothing is paid."""
    invoices.finalize(world, invoice)
    if invoice["amount_due"] == 0:
        return invoices.mark_paid(world, invoice, None)
    if advances and invoice["collection_method"] == "send_invoice":
        world.emit("invoice.sent", invoice)
    elif advances:
        invoices.collect(world, invoice, method_of(world, invoice))
    return invoice


def send(world: World, _: dict[str, Any], id_: str) -> Obj:
    """Send an invoice to its customer; a draft is finalized first."""
    invoice = world.named(id_, "invoice")
    if invoice["collection_method"] != "send_invoice":
        message = "You can only manually send an invoice if its collection method is 'send_invoice'."
        raise world.conflict(message)
    if invoice["status"] == "draft":
        finalize(world, invoice, advances=False)
    if invoice["status"] not in ("open", "paid", "uncollectible"):
        raise world.conflict("You can't send an invoice that is void.")
    world.emit("invoice.sent", invoice)
    return invoice


def method_of(world: World, invoice: Obj) -> Obj | None:
    """Return the payment method that collects *invoice*: its own, or else its customer's default one."""
    customer = world.store.need(invoice["customer"])
    return world.store.get(invoice["default_payment_method"]) or customers.method_for(world, {}, customer)


def _check_due(params: dict[str, Any], *, is_sent: bool) -> None:
    given = [name for name in ("days_until_due", "due_date") if name in params]
    if is_sent and not given:
        message = "If invoices are set to `collection_method: send_invoice`, you must specify `due_date` or "
        raise Refusal(f"{message}`days_until_due`.")
    if given and not is_sent:
        message = f"You can only specify `{given[0]}` if `collection_method` is `send_invoice`."
        raise Refusal(message, param=given[0])
    if len(given) > 1:
        raise Refusal("You may only specify one of these parameters: days_until_due, due_date.")
