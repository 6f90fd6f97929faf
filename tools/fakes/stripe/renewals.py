"""How a subscription goes on: renewed, past due, tried again, recovered or given up."""

from tools.fakes.store import Obj
from tools.fakes.stripe import invoices, periods, subscriptions
from tools.fakes.stripe.world import World

RETRY_AFTER_DAYS = (3, 5, 7)


def turn(world: World, id_: str) -> None:
    """Let a period, a trial, or the whole subscription come to its end, whichever is due."""
    subscription = world.store.need(id_)
    if subscription["status"] in (*subscriptions.ENDED, "paused"):
        return
    now = world.now()
    if subscription["cancel_at"] and subscription["cancel_at"] <= now:
        subscriptions.end(world, subscription, "cancellation_requested")
    elif subscription["status"] == "incomplete":
        subscriptions.expire_incomplete(world, id_)
    elif subscription["status"] == "trialing" and subscriptions.default_method(world, subscription) is None:
        _end_trial_without_card(world, subscription)
    else:
        renew(world, subscription)


def renew(world: World, subscription: Obj, *, reason: str = "subscription_cycle", anchor: int | None = None) -> Obj:
    """Begin the next period, invoice it and collect; *anchor* begins it at a second of its own."""
    before = subscription["items"]["data"]
    start = anchor or before[0]["current_period_end"]
    anchor = anchor or subscription["billing_cycle_anchor"]
    finish = periods.after(anchor, before[0]["price"]["recurring"], start)
    items = [one | {"current_period_start": start, "current_period_end": finish} for one in before]
    draft = subscription | {"items": subscriptions.item_list(subscription["id"], items)}
    lines = [invoices.line(world, draft, one) for one in items]
    days = subscription["days_until_due"]
    invoice = invoices.make_invoice(world, draft, reason, lines, days_until_due=days)
    status = "active" if subscription["status"] in ("trialing", "paused") else subscription["status"]
    fields = {"items": draft["items"], "latest_invoice": invoice["id"], "billing_cycle_anchor": anchor}
    world.change(subscription, "customer.subscription.updated", **fields, status=status)
    subscriptions.schedule(world, subscription)
    return charge_invoice(world, subscription, invoice)


def charge_invoice(world: World, subscription: Obj, invoice: Obj) -> Obj:
    """Collect an *invoice* of a running *subscription*, and let its status follow."""
    if subscription["pause_collection"]:
        if subscription["pause_collection"]["behavior"] == "void":
            invoices.void(world, invoice)
        return subscription
    if subscription["collection_method"] == "send_invoice" or subscription["status"] == "unpaid":
        return subscription
    invoices.collect(world, invoice, subscriptions.default_method(world, subscription))
    if invoice["status"] == "paid":
        return recover(world, subscription)
    attempts = invoice["attempt_count"]
    if attempts <= len(RETRY_AFTER_DAYS):
        at = world.now() + RETRY_AFTER_DAYS[attempts - 1] * subscriptions.DAY
        world.change(invoice, "invoice.updated", next_payment_attempt=at)
        world.store.schedule(at, "invoice.retry", invoice["id"])
        return world.change(subscription, "customer.subscription.updated", status="past_due")
    world.change(invoice, "invoice.updated", next_payment_attempt=None, auto_advance=False)
    outcome = world.store.noted("settings", "after_retries", "cancel")
    if outcome == "cancel":
        return subscriptions.end(world, subscription, "payment_failed")
    return world.change(subscription, "customer.subscription.updated", status=outcome)


def retry(world: World, invoice_id: str) -> None:
    """Try once more to collect an invoice that was not paid."""
    invoice = world.store.need(invoice_id)
    subscription = invoices.subscription_of(world, invoice)
    if invoice["status"] == "open" and subscription["status"] not in subscriptions.ENDED:
        charge_invoice(world, subscription, invoice)


def recover(world: World, subscription: Obj) -> Obj:
    """Let a subscription be active again once nothing of it is unpaid."""
    late = subscription["status"] in ("past_due", "unpaid", "incomplete")
    if late and not invoices.open_invoices(world, subscription):
        world.change(subscription, "customer.subscription.updated", status="active")
    return subscription


def _end_trial_without_card(world: World, subscription: Obj) -> None:
    behaviour = subscription["trial_settings"]["end_behavior"]["missing_payment_method"]
    if behaviour == "cancel":
        subscriptions.end(world, subscription, None)
    elif behaviour == "pause":
        subscriptions.pause(world, subscription, "trial_end_without_payment_method")
    else:
        renew(world, subscription)
