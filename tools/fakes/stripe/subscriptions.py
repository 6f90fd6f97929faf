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

    It is `trialing` or `incomplete` until the caller says how the first invoice was paid.
    """
    now = world.now()
    anchor = trial_end or now
    period_end = trial_end or periods.after(anchor, items[0]["price"]["recurring"], now)
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
        one |= {"subscription": subscription["id"], "current_period_start": now, "current_period_end": period_end}
    subscription["items"] = item_list(subscription["id"], items)
    if subscription["cancel_at_period_end"]:
        subscription |= {"cancel_at": period_end, "canceled_at": now}
    lines = [invoices.line(world, subscription, one, free=bool(trial_end)) for one in items]
    invoice = invoices.make_invoice(
        world, subscription, "subscription_create", lines, days_until_due=subscription["days_until_due"]
    )
    subscription["latest_invoice"] = invoice["id"]
    world.store.put(subscription)
    schedule(world, subscription)
    return subscription


def item(world: World, price: Obj, quantity: int, metadata: dict[str, str] | None = None) -> Obj:
    """Return a subscription item of *quantity* of a recurring *price*; `begin` gives it its period."""
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
    """Collect the first invoice: the subscription becomes active, or stays incomplete for 23 hours."""
    invoice = world.store.need(subscription["latest_invoice"])
    invoices.collect(world, invoice, method)
    if invoice["status"] == "paid":
        if subscription["status"] == "incomplete":
            world.change(subscription, "customer.subscription.updated", status="active")
    else:
        world.store.schedule(world.now() + INCOMPLETE_FOR_S, "subscription.incomplete", subscription["id"])
    return subscription


def default_method(world: World, subscription: Obj) -> Obj | None:
    """Return the payment method that renewals are charged to."""
    customer = world.store.need(subscription["customer"])
    fallback = customer.get("invoice_settings", {}).get("default_payment_method")
    return world.store.get(subscription["default_payment_method"] or fallback)


def end(world: World, subscription: Obj, reason: str | None, **details: Any) -> Obj:
    """End a *subscription* now."""
    now = world.now()
    _unschedule(world, subscription)
    for invoice in invoices.open_invoices(world, subscription):
        world.store.unschedule("invoice.retry", invoice["id"])
        world.change(invoice, "invoice.updated", auto_advance=False, next_payment_attempt=None)
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
    """Give up on a subscription whose first invoice was not paid in 23 hours."""
    subscription = world.store.need(id_)
    if subscription["status"] == "incomplete":
        _unschedule(world, subscription)
        invoices.void(world, world.store.need(subscription["latest_invoice"]))
        fields = {"status": "incomplete_expired", "ended_at": world.now()}
        world.change(subscription, "customer.subscription.updated", **fields)


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
    period_end = subscription["items"]["data"][0]["current_period_end"]
    world.store.schedule(min(period_end, cancel_at or period_end), "subscription.turn", id_)
    if subscription["status"] == "trialing":
        warn_at = subscription["trial_end"] - WARN_BEFORE_TRIAL_END_S
        world.store.schedule(max(warn_at, world.now()), "subscription.trial_will_end", id_)


def reschedule(world: World, subscription: Obj) -> None:
    """Let what is due follow a change of when the *subscription* ends."""
    if subscription["status"] not in (*ENDED, "paused"):
        schedule(world, subscription)


def _unschedule(world: World, subscription: Obj) -> None:
    for what in ("subscription.turn", "subscription.trial_will_end", "subscription.incomplete"):
        world.store.unschedule(what, subscription["id"])


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
