"""Subscriptions: what they are made of, and how they begin, pause and end."""

from typing import Any

from tools.fakes.store import Obj, new_id
from tools.fakes.stripe import invoices, periods
from tools.fakes.stripe.objects import made
from tools.fakes.stripe.world import World

DAY = 86_400
WARN_BEFORE_TRIAL_END_S = 3 * DAY
INCOMPLETE_FOR_S = 23 * 3600
ENDED = ("canceled", "incomplete_expired")


def begin(world: World, customer: Obj, items: list[Obj], *, trial_end: int | None = None, **fields: Any) -> Obj:
    """Write a subscription of *items* (see `item`) that begins now, and make its first invoice.

    Unless *fields* give its status, it is `trialing`, or `incomplete` until the first invoice is paid: for 23 hours.
    """
    now = world.now()
    world.change(world.store.need(customer["id"]), "customer.updated", currency=items[0]["price"]["currency"])
    anchor = trial_end or now
    subscription = world.draft(
        "subscription",
        "sub_1",
        billing_cycle_anchor=anchor,
        currency=items[0]["price"]["currency"],
        customer=customer["id"],
        start_date=now,
        trial_end=trial_end,
        trial_start=now if trial_end else None,
        **{"status": "trialing" if trial_end else "incomplete"} | fields,
    )
    for one in items:
        period_end = trial_end or periods.after(anchor, one["price"]["recurring"], now)
        one |= {"subscription": subscription["id"], "current_period_start": now, "current_period_end": period_end}
    subscription["items"] = item_list(subscription["id"], items)
    if subscription["cancel_at_period_end"]:
        subscription |= {"cancel_at": max(map(period_end_of, items)), "canceled_at": now}
    lines = [invoices.line(world, subscription, one, free=bool(trial_end)) for one in items]
    invoice = invoices.draft(world, subscription, "subscription_create", lines)
    subscription["latest_invoice"] = invoice["id"]
    world.store.put(subscription)
    schedule(world, subscription)
    if subscription["status"] == "incomplete":
        world.store.schedule(now + INCOMPLETE_FOR_S, "subscription.incomplete", subscription["id"])
    world.emit("customer.subscription.created", subscription)
    invoices.finalize(world, invoices.announce(world, invoice))
    return subscription


def item(world: World, price: Obj, quantity: int, metadata: dict[str, str] | None = None) -> Obj:
    """Return a subscription item of *quantity* of a recurring *price*. `begin` gives it its period."""
    return made(
        "subscription_item",
        id=new_id("si_", 14),
        object="subscription_item",
        created=world.now(),
        metadata=metadata or {},
        plan=_plan(price),
        price=price,
        quantity=quantity,
    )


def pay_first(world: World, subscription: Obj, method: Obj | None) -> Obj:
    """Collect the first invoice: the subscription becomes active, or stays incomplete for 23 hours.

    With a debit under way it is what the merchant's account says of such: active from now on, or incomplete still.
    """
    invoice = world.store.need(subscription["latest_invoice"])
    invoices.collect(world, invoice, method)
    waits = invoices.under_way(world, invoice)
    good = invoice["status"] == "paid" or (waits and status_of_delayed(world) == "active")
    if good and subscription["status"] == "incomplete":
        activate(world, subscription)
    return subscription


def status_of_delayed(world: World) -> str:
    """Return what a subscription is while the debit that pays its first invoice is under way."""
    status: str = world.store.noted("settings", "delayed_subscriptions", "active")
    return status


def activate(world: World, subscription: Obj) -> Obj:
    """Let a *subscription* be active."""
    world.store.unschedule("subscription.incomplete", subscription["id"])
    return world.change(subscription, "customer.subscription.updated", status="active")


def period_end_of(item: Obj) -> int:
    """Return when the period of *item* ends."""
    return int(item["current_period_end"])


def next_end(subscription: Obj) -> int:
    """Return when the first of the periods of a *subscription*'s items ends."""
    return min(map(period_end_of, subscription["items"]["data"]))


def last_end(subscription: Obj) -> int:
    """Return when the last of the periods of a *subscription*'s items ends."""
    return max(map(period_end_of, subscription["items"]["data"]))


def default_method(world: World, subscription: Obj) -> Obj | None:
    """Return the payment method that renewals are charged to."""
    customer = world.store.need(subscription["customer"])
    fallback = customer.get("invoice_settings", {}).get("default_payment_method")
    return world.store.get(subscription["default_payment_method"] or fallback)


def end(world: World, subscription: Obj, reason: str | None, **details: Any) -> Obj:
    """End a *subscription* now."""
    now = world.now()
    _unschedule(world, subscription)
    discard_pending_update(world, subscription)
    for invoice in invoices.invoices_of(world, subscription):
        if invoice["status"] in ("draft", "open"):
            invoices.leave(world, invoice)
    subscription |= {
        "canceled_at": subscription["canceled_at"] or now,
        "cancellation_details": subscription["cancellation_details"] | {"reason": reason} | details,
        "ended_at": now,
        "status": "canceled",
    }
    world.store.put(subscription)
    world.emit("customer.subscription.deleted", subscription)
    return subscription


def expire_incomplete(world: World, id_: str) -> None:
    """Give up on a subscription whose first invoice was not paid in 23 hours, unless a debit is under way."""
    subscription = world.store.need(id_)
    invoice = world.store.need(subscription["latest_invoice"])
    if subscription["status"] == "incomplete" and not invoices.under_way(world, invoice):
        _unschedule(world, subscription)
        if invoice["status"] != "void":
            invoices.void(world, invoice)
        fields = {"status": "incomplete_expired", "ended_at": world.now()}
        world.change(subscription, "customer.subscription.updated", **fields)


def discard_pending_update(world: World, subscription: Obj) -> Obj | None:
    """Give up the change that waits for its payment, void its invoice, and return that, if there was any."""
    world.store.unschedule("subscription.pending_update", subscription["id"])
    kept = world.store.noted(subscription["id"], "pending_update")
    if kept is None:
        return None
    world.store.note(subscription["id"], "pending_update", None)
    subscription["pending_update"] = None
    world.store.put(subscription)
    invoice = world.store.need(kept["invoice"])
    return invoices.void(world, invoice) if invoice["status"] == "open" else None


def warn_of_trial_end(world: World, id_: str) -> None:
    """Tell that a trial ends within three days."""
    subscription = world.store.need(id_)
    if subscription["status"] == "trialing":
        world.emit("customer.subscription.trial_will_end", subscription)


def pause(world: World, subscription: Obj, reason: str) -> Obj:
    """Pause a *subscription*: no period, no invoice, until it is resumed."""
    if subscription["status"] not in ("active", "trialing", "past_due"):
        message = f"You cannot pause a subscription with status {subscription['status']}."
        raise world.conflict(message, code="subscription_not_pausable")
    _unschedule(world, subscription)
    paused = {"subscription": {"type": reason}, "transitioned_at": world.now(), "type": "subscription"}
    fields = {"status": "paused", "status_details": {"paused": paused}}
    world.change(subscription, "customer.subscription.updated", **fields)
    world.emit("customer.subscription.paused", subscription)
    return subscription


def schedule(world: World, subscription: Obj) -> None:
    """Let what is due follow when the period, the trial and the *subscription* end."""
    id_, cancel_at = subscription["id"], subscription["cancel_at"]
    period_end = next_end(subscription)
    world.store.schedule(min(period_end, cancel_at or period_end), "subscription.turn", id_)
    if subscription["status"] == "trialing":
        warn_at = subscription["trial_end"] - WARN_BEFORE_TRIAL_END_S
        world.store.schedule(max(warn_at, world.now()), "subscription.trial_will_end", id_)


def reschedule(world: World, subscription: Obj) -> None:
    """Let what is due follow a change of when the *subscription* ends."""
    if subscription["status"] not in (*ENDED, "paused"):
        schedule(world, subscription)


def _unschedule(world: World, subscription: Obj) -> None:
    for what in ("turn", "trial_will_end", "incomplete", "unpause"):
        world.store.unschedule(f"subscription.{what}", subscription["id"])


def item_list(id_: str, items: list[Obj]) -> Obj:
    """Return the *items* of the subscription called *id_* as a list."""
    url = f"/v1/subscription_items?subscription={id_}"
    return {"object": "list", "data": items, "has_more": False, "url": url}


def _plan(price: Obj) -> Obj:
    recurring = price["recurring"]
    return made(
        "plan",
        id=price["id"],
        object="plan",
        active=price["active"],
        amount=price["unit_amount"],
        amount_decimal=str(price["unit_amount"]),
        created=price["created"],
        currency=price["currency"],
        interval=recurring["interval"],
        interval_count=recurring["interval_count"],
        nickname=price["nickname"],
        product=price["product"],
        trial_period_days=recurring["trial_period_days"],
    )
