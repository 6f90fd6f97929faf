"""How a subscription goes on: renewed, past due, tried again, recovered or given up."""

from tools.fakes.store import Obj
from tools.fakes.stripe import invoices, manual_invoices, periods, prorations, subscriptions
from tools.fakes.stripe.world import World

RETRY_AFTER_DAYS = (3, 5, 7)
UPDATED = "customer.subscription.updated"


def turn(world: World, id_: str) -> None:
    """Let a period, a trial, or the whole subscription come to its end, whichever is due."""
    subscription = world.store.need(id_)
    if subscription["status"] in (*subscriptions.ENDED, "paused"):
        return
    if subscription["cancel_at"] and subscription["cancel_at"] <= world.now():
        if world.store.noted(id_, "cancel_proration", "none") != "none":
            for one in subscription["items"]["data"]:
                if one["current_period_end"] > world.now():
                    prorations.credit(world, subscription, one, world.now())
        invoice_pending(world, subscription)
        subscriptions.end(world, subscription, "cancellation_requested")
    elif subscription["status"] == "incomplete":
        subscriptions.expire_incomplete(world, id_)
    elif subscription["status"] == "trialing" and subscriptions.default_method(world, subscription) is None:
        _end_trial_without_card(world, subscription)
    else:
        renew(world, subscription)


def renew(world: World, subscription: Obj) -> Obj:
    """Begin the next period of each item whose period is over. The invoice is a draft for about an hour."""
    now, anchor = world.now(), subscription["billing_cycle_anchor"]
    items = [
        one | _period(one, one["current_period_end"], anchor) if one["current_period_end"] <= now else one
        for one in subscription["items"]["data"]
    ]
    before = {one["id"]: one for one in subscription["items"]["data"]}
    due = [one for one in items if one != before[one["id"]]]
    waits = subscription["status"] == "unpaid" or _pausing(subscription)
    draft = subscription | {"items": subscriptions.item_list(subscription["id"], items)}
    lines = [invoices.line(world, draft, one) for one in due]
    invoice = invoices.draft(world, draft, "subscription_cycle", lines, finalizes=not waits)
    status = "active" if subscription["status"] == "trialing" else subscription["status"]
    fields = {"items": draft["items"], "latest_invoice": invoice["id"], "status": status}
    world.change(subscription, UPDATED, **fields)
    subscriptions.schedule(world, subscription)
    invoices.announce(world, invoice)
    if _pausing(subscription):
        put_aside(world, subscription, invoice)
    elif waits:
        invoices.leave(world, invoice)
    return subscription


def restart(world: World, subscription: Obj) -> Obj:
    """Begin a new period of everything now, and pay for it at once."""
    now = world.now()
    items = [one | _period(one, now, now) for one in subscription["items"]["data"]]
    draft = subscription | {"items": subscriptions.item_list(subscription["id"], items)}
    lines = [invoices.line(world, draft, one) for one in items]
    invoice = invoices.draft(world, draft, "subscription_update", lines)
    status = "active" if subscription["status"] in ("trialing", "paused") else subscription["status"]
    fields = {"items": draft["items"], "latest_invoice": invoice["id"], "billing_cycle_anchor": now, "status": status}
    world.change(subscription, UPDATED, **fields)
    subscriptions.schedule(world, subscription)
    invoices.announce(world, invoice)
    return charge_now(world, subscription, invoice)


def charge_now(world: World, subscription: Obj, invoice: Obj) -> Obj:
    """Finalize the draft *invoice* and collect it."""
    if _pausing(subscription):
        return put_aside(world, subscription, invoice)
    return charge_invoice(world, subscription, invoices.finalize(world, invoice))


def finalize_due(world: World, invoice_id: str) -> None:
    """Finalize a draft whose hour is over, and collect it."""
    invoice = world.store.need(invoice_id)
    if invoice["status"] != "draft" or not invoice["auto_advance"]:
        return
    if subscription := invoices.subscription_of(world, invoice):
        charge_now(world, subscription, invoice)
    else:
        manual_invoices.finalize(world, invoice, advances=True)


def put_aside(world: World, subscription: Obj, invoice: Obj) -> Obj:
    """Let the draft *invoice* of a *subscription* whose collection is paused be what the merchant chose."""
    behavior = subscription["pause_collection"]["behavior"]
    if behavior == "keep_as_draft":
        invoices.leave(world, invoice)
    else:
        invoices.finalize(world, invoice)
        (invoices.void if behavior == "void" else invoices.mark_uncollectible)(world, invoice)
    return subscription


def charge_invoice(world: World, subscription: Obj, invoice: Obj) -> Obj:
    """Collect an open *invoice* of a running *subscription*, and let its status follow."""
    if subscription["collection_method"] == "send_invoice":
        return subscription
    if invoice["amount_due"] and subscription["status"] == "unpaid":
        invoices.leave(world, invoice)
        return subscription
    invoices.collect(world, invoice, subscriptions.default_method(world, subscription))
    return follow(world, subscription, invoice)


def follow(world: World, subscription: Obj, invoice: Obj) -> Obj:
    """Let the status of a *subscription* follow an attempt to collect *invoice*."""
    if invoice["status"] == "paid":
        return recover(world, subscription)
    if invoices.under_way(world, invoice):
        return subscription
    attempts = invoice["attempt_count"]
    if attempts <= len(RETRY_AFTER_DAYS):
        at = world.now() + RETRY_AFTER_DAYS[attempts - 1] * subscriptions.DAY
        world.change(invoice, "invoice.updated", next_payment_attempt=at)
        world.store.schedule(at, "invoice.retry", invoice["id"])
        return world.change(subscription, UPDATED, status="past_due")
    invoices.leave(world, invoice)
    outcome = world.store.noted("settings", "after_retries", "cancel")
    if outcome == "cancel":
        return subscriptions.end(world, subscription, "payment_failed")
    return world.change(subscription, UPDATED, status=outcome)


def retry(world: World, invoice_id: str) -> None:
    """Try once more to collect an invoice that was not paid."""
    invoice = world.store.need(invoice_id)
    subscription = invoices.subscription_of(world, invoice)
    if subscription and invoice["status"] == "open" and subscription["status"] not in subscriptions.ENDED:
        charge_invoice(world, subscription, invoice)


def debited(world: World, intent: Obj, invoice: Obj) -> None:
    """Let *invoice* follow its *intent*, of which a debit has come to its end."""
    subscription = invoices.subscription_of(world, invoice)
    if intent["status"] == "succeeded":
        invoices.mark_paid(world, invoice, intent)
    else:
        invoices.failed(world, invoice, intent)
    if subscription is None:
        return
    if subscription["status"] not in (*subscriptions.ENDED, "incomplete") or invoice["status"] == "paid":
        follow(world, subscription, invoice)
    elif subscription["start_date"] + subscriptions.INCOMPLETE_FOR_S <= world.now():
        subscriptions.expire_incomplete(world, subscription["id"])


def recover(world: World, subscription: Obj) -> Obj:
    """Let a subscription be active again once its newest finalized invoice is no longer open."""
    apply_pending_update(world, subscription)
    waits = (world.store.noted(subscription["id"], "pending_update") or {}).get("invoice")
    known = [one for one in invoices.invoices_of(world, subscription) if one["status"] not in ("draft", "void")]
    known = [one for one in known if one["id"] != waits]
    late = subscription["status"] in ("past_due", "unpaid", "incomplete")
    if late and (not known or known[0]["status"] != "open"):
        subscriptions.activate(world, subscription)
    return subscription


def apply_pending_update(world: World, subscription: Obj) -> None:
    """Make the change of a *subscription* that waited for its invoice, if that is paid now."""
    kept = world.store.noted(subscription["id"], "pending_update")
    if kept is None or world.store.need(kept["invoice"])["status"] != "paid":
        return
    world.store.unschedule("subscription.pending_update", subscription["id"])
    world.store.note(subscription["id"], "pending_update", None)
    world.change(subscription, UPDATED, **kept["fields"], pending_update=None)
    world.emit("customer.subscription.pending_update_applied", subscription)
    subscriptions.reschedule(world, subscription)


def expire_pending_update(world: World, id_: str) -> None:
    """Give up the change of a subscription that was not paid in time."""
    subscription = world.store.need(id_)
    if subscription["pending_update"]:
        before = {"pending_update": subscription["pending_update"]}
        subscriptions.discard_pending_update(world, subscription)
        world.emit(UPDATED, subscription, before)
        world.emit("customer.subscription.pending_update_expired", subscription)


def unpause(world: World, id_: str) -> None:
    """Let a subscription be collected again, as its merchant wished when pausing."""
    subscription = world.store.need(id_)
    if _pausing(subscription):
        world.change(subscription, UPDATED, pause_collection=None)


def invoice_pending(world: World, subscription: Obj) -> None:
    """Invoice what is pending for a *subscription* that ends."""
    if prorations.pending(world, subscription):
        invoice = invoices.draft(world, subscription, "subscription_update", [])
        world.change(subscription, latest_invoice=invoice["id"])
        invoices.finalize(world, invoices.announce(world, invoice))
        if subscription["collection_method"] == "charge_automatically":
            invoices.collect(world, invoice, subscriptions.default_method(world, subscription))


def _period(item: Obj, start: int, anchor: int) -> Obj:
    finish = periods.after(anchor, item["price"]["recurring"], start)
    return {"current_period_start": start, "current_period_end": finish}


def _pausing(subscription: Obj) -> bool:
    return bool(subscription["pause_collection"])


def _end_trial_without_card(world: World, subscription: Obj) -> None:
    behaviour = subscription["trial_settings"]["end_behavior"]["missing_payment_method"]
    if behaviour == "cancel":
        subscriptions.end(world, subscription, None)
    elif behaviour == "pause":
        subscriptions.pause(world, subscription, "trial_end_without_payment_method")
    else:
        renew(world, subscription)
