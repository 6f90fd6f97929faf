"""How a session is paid: its intent, its completion, and the subscription that follows from it."""

from tools.fakes.store import Obj
from tools.fakes.stripe import (
    checkout,
    choices,
    customers,
    invoices,
    manual_invoices,
    payments,
    promotions,
    renewals,
    subscriptions,
    trials,
)
from tools.fakes.stripe.operation import merged_metadata
from tools.fakes.stripe.world import World


def intent_for(world: World, session: Obj) -> Obj:
    """Return the payment intent of a *session*, made at the first attempt to pay."""
    if intent := world.store.get(world.store.noted(session["id"], "intent")):
        return intent
    data = world.store.noted(session["id"], "payment_intent_data", {})
    names = ("description", "receipt_email", "setup_future_usage", "statement_descriptor", "transfer_group")
    fields = {name: data[name] for name in names if name in data}
    fields["metadata"] = merged_metadata({}, data.get("metadata"))
    fields["payment_method_types"] = session["payment_method_types"]
    amount, currency = session["amount_total"], session["currency"]
    intent = payments.make_intent(world, amount, currency, customer=session["customer"], **fields)
    world.store.note(session["id"], "intent", intent["id"])
    if session["mode"] == "payment":
        world.change(session, payment_intent=intent["id"])
    return intent


def complete(world: World, session: Obj, method: Obj, email: str | None, *, paid: bool) -> Obj | None:
    """Let the buyer be done: the session completes, `paid` or with the payment still to come.

    Returns the event `checkout.session.completed`, unless a fault lost it.
    """
    world.store.unschedule("session.expire", session["id"])
    intent = world.store.get(world.store.noted(session["id"], "intent"))
    customer = _customer(world, session, method, email)
    if intent and customer and intent["customer"] is None:
        world.change(intent, customer=customer["id"])
    if session["mode"] == "subscription":
        _begin_subscription(world, session, customer, method, intent)
    elif intent and paid:
        _invoice(world, session, intent)
    status = "unpaid" if not paid else "paid" if intent else "no_payment_required"
    fields = {"status": "complete", "payment_status": status, "url": None}
    details = checkout.details(email, customer) | choices.collected(world, session)
    world.change(session, **fields, customer_details=details)
    promotions.redeem(world, session)
    return world.emit("checkout.session.completed", session)


def settle_delayed(world: World, intent_id: str) -> None:
    """Let a delayed payment succeed or fail, as its method decided."""
    intent = world.store.need(intent_id)
    method = world.store.need(intent["payment_method"])
    good = world.store.noted(intent_id, "outcome") == "delayed_success"
    session = _session_of(world, intent)
    if good:
        payments.succeed(world, intent, method)
    else:
        payments.decline(world, intent, method, "debit_failed")
    if invoice := invoices.invoice_of(world, intent):
        renewals.debited(world, intent, invoice)
    if session is None or session["payment_status"] == "paid":
        return
    if good:
        _invoice(world, session, intent)
        world.change(session, payment_status="paid")
    world.emit(f"checkout.session.async_payment_{'succeeded' if good else 'failed'}", session)


def _invoice(world: World, session: Obj, intent: Obj) -> None:
    """Make the invoice of a *session* that *intent* has paid, if it asked for one."""
    if session["invoice_creation"]:
        invoice = manual_invoices.of_session(world, session, checkout.lines_of(world, session), intent)
        world.change(session, invoice=invoice["id"])


def _session_of(world: World, intent: Obj) -> Obj | None:
    row = world.store.db.execute(
        "SELECT id FROM notes WHERE name = 'intent' AND value = ?", (f'"{intent["id"]}"',)
    ).fetchone()
    return world.store.get(row["id"]) if row else None


def _begin_subscription(world: World, session: Obj, customer: Obj, method: Obj, intent: Obj | None) -> None:
    lines = checkout.lines_of(world, session)
    data = world.store.noted(session["id"], "subscription_data", {})
    recurring = [line for line in lines if line["price"]["recurring"]]
    items = [subscriptions.item(world, line["price"], line["quantity"]) for line in recurring]
    trial_end = trials.end_of(world, data, items[0]["price"])
    under_way = intent is not None and intent["status"] == "processing"
    begun = subscriptions.status_of_delayed(world) if under_way else "active"
    subscription = subscriptions.begin(
        world,
        customer,
        items,
        trial_end=trial_end,
        automatic_tax={"enabled": session["automatic_tax"]["enabled"]},
        default_payment_method=method["id"],
        description=data.get("description"),
        discounts=promotions.begin_discounts(world, session, customer["id"]),
        metadata=merged_metadata({}, data.get("metadata")),
        status="trialing" if trial_end else begun,
    )
    invoice = world.store.need(subscription["latest_invoice"])
    if under_way and intent:
        invoices.payment_of(world, invoice, intent)
        world.change(invoice, attempted=True, attempt_count=1)
    else:
        invoices.mark_paid(world, invoice, intent)
    world.change(session, subscription=subscription["id"], invoice=invoice["id"])


def _customer(world: World, session: Obj, method: Obj, email: str | None) -> Obj:
    """Return the buyer as a customer; a guest is one whose id is None."""
    known = session["customer"]
    if known:
        customer = world.store.need(session["customer"])
    elif session["mode"] == "subscription" or session["customer_creation"] == "always" or session["invoice_creation"]:
        customer = customers.create_customer(world, {"email": email} if email else {})
        world.change(session, customer=customer["id"])
    else:
        return {"id": None, "email": email, "name": None, "phone": None}
    choices.keep(world, session, customer, new=session["customer"] != known)
    keeps = world.store.noted(session["id"], "payment_intent_data", {}).get("setup_future_usage")
    if session["mode"] == "subscription" or keeps:
        world.change(method, customer=customer["id"])
        world.emit("payment_method.attached", method)
    return customer
