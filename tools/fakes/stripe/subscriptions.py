"""Subscriptions: what they are made of, and how they begin, pause and end."""

from typing import Any

from tools.fakes.store import Obj, new_id
from tools.fakes.stripe import invoices, periods
from tools.fakes.stripe.world import World

DAY = 86_400
WARN_BEFORE_TRIAL_END_S = 3 * DAY
INCOMPLETE_FOR_S = 23 * 3600
ENDED = ("canceled", "incomplete_expired")
CANCELLATION = {"comment": None, "feedback": None, "feedback_option": None, "reason": None}


def begin(world: World, customer: Obj, items: list[Obj], *, trial_end: int | None = None, **fields: Any) -> Obj:
    """Write a subscription of *items* (see `item`) that begins now, and make its first invoice.

    It is `trialing` or `incomplete` until the caller says how the first invoice was paid.
    """
    now = world.now()
    id_ = new_id("sub_1", 23)
    anchor = trial_end or now
    period_end = trial_end or periods.after(anchor, items[0]["price"]["recurring"], now)
    for one in items:
        one |= {"subscription": id_, "current_period_start": now, "current_period_end": period_end}
    subscription: Obj = {
        "id": id_,
        "object": "subscription",
        "created": now,
        "livemode": False,
        "application": None,
        "application_fee_percent": None,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": anchor,
        "billing_cycle_anchor_config": None,
        "billing_mode": {"flexible": {"proration_discounts": "included"}, "type": "flexible"},
        "billing_schedules": [],
        "billing_thresholds": None,
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "cancellation_details": dict(CANCELLATION),
        "collection_method": "charge_automatically",
        "currency": items[0]["price"]["currency"],
        "customer": customer["id"],
        "customer_account": None,
        "days_until_due": None,
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "ended_at": None,
        "invoice_settings": {"account_tax_ids": None, "issuer": {"type": "self"}},
        "items": item_list(id_, items),
        "latest_invoice": None,
        "metadata": {},
        "next_pending_invoice_item_invoice": None,
        "on_behalf_of": None,
        "pause_collection": None,
        "payment_settings": {
            "payment_method_options": None,
            "payment_method_types": None,
            "save_default_payment_method": "off",
        },
        "pending_invoice_item_interval": None,
        "pending_setup_intent": None,
        "pending_update": None,
        "schedule": None,
        "start_date": now,
        "status": "trialing" if trial_end else "incomplete",
        "test_clock": None,
        "transfer_data": None,
        "trial_end": trial_end,
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
        "trial_start": now if trial_end else None,
    } | fields
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
    return {
        "id": new_id("si_", 14),
        "object": "subscription_item",
        "billed_until": None,
        "billing_thresholds": None,
        "created": world.now(),
        "discounts": [],
        "metadata": metadata or {},
        "plan": _plan(price),
        "price": price,
        "quantity": quantity,
        "tax_rates": [],
    }


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
    return {
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": str(price["unit_amount"]),
        "billing_scheme": "per_unit",
        "created": price["created"],
        "currency": price["currency"],
        "interval": recurring["interval"],
        "interval_count": recurring["interval_count"],
        "livemode": False,
        "metadata": {},
        "meter": None,
        "nickname": price["nickname"],
        "product": price["product"],
        "tiers_mode": None,
        "transform_usage": None,
        "trial_period_days": recurring["trial_period_days"],
        "usage_type": "licensed",
    }
