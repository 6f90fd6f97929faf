"""The life of a subscription: begun, on trial, renewed, past due, paused, changed, ended."""

from typing import Any

from tools.standins import cards, invoices, periods
from tools.standins.store import Obj, new_id
from tools.standins.wire import Refusal
from tools.standins.world import World

DAY = 86_400
RETRY_AFTER_DAYS = (3, 5, 7)
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
        "items": _items(id_, items),
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
    lines = [invoices.line(subscription, one, free=bool(trial_end)) for one in items]
    invoice = invoices.make_invoice(
        world, subscription, "subscription_create", lines, days_until_due=subscription["days_until_due"]
    )
    subscription["latest_invoice"] = invoice["id"]
    world.store.put(subscription)
    _schedule(world, subscription)
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


def turn(world: World, id_: str) -> None:
    """Let a period, a trial, or the whole subscription come to its end, whichever is due."""
    subscription = world.store.need(id_)
    if subscription["status"] in (*ENDED, "paused"):
        return
    now = world.now()
    if subscription["cancel_at"] and subscription["cancel_at"] <= now:
        end(world, subscription, "cancellation_requested")
    elif subscription["status"] == "incomplete":
        expire_incomplete(world, id_)
    elif subscription["status"] == "trialing" and default_method(world, subscription) is None:
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
    draft = subscription | {"items": _items(subscription["id"], items)}
    lines = [invoices.line(draft, one) for one in items]
    days = subscription["days_until_due"]
    invoice = invoices.make_invoice(world, draft, reason, lines, days_until_due=days)
    status = "active" if subscription["status"] in ("trialing", "paused") else subscription["status"]
    fields = {"items": draft["items"], "latest_invoice": invoice["id"], "billing_cycle_anchor": anchor}
    world.change(subscription, "customer.subscription.updated", **fields, status=status)
    _schedule(world, subscription)
    return charge_invoice(world, subscription, invoice)


def charge_invoice(world: World, subscription: Obj, invoice: Obj) -> Obj:
    """Collect an *invoice* of a running *subscription*, and let its status follow."""
    if subscription["pause_collection"]:
        if subscription["pause_collection"]["behavior"] == "void":
            invoices.void(world, invoice)
        return subscription
    if subscription["collection_method"] == "send_invoice" or subscription["status"] == "unpaid":
        return subscription
    invoices.collect(world, invoice, default_method(world, subscription))
    if invoice["status"] == "paid":
        return recover(world, subscription)
    attempts = invoice["attempt_count"]
    if attempts <= len(RETRY_AFTER_DAYS):
        at = world.now() + RETRY_AFTER_DAYS[attempts - 1] * DAY
        world.change(invoice, "invoice.updated", next_payment_attempt=at)
        world.store.schedule(at, "invoice.retry", invoice["id"])
        return world.change(subscription, "customer.subscription.updated", status="past_due")
    world.change(invoice, "invoice.updated", next_payment_attempt=None, auto_advance=False)
    outcome = world.store.noted("settings", "after_retries", "cancel")
    if outcome == "cancel":
        return end(world, subscription, "payment_failed")
    return world.change(subscription, "customer.subscription.updated", status=outcome)


def retry(world: World, invoice_id: str) -> None:
    """Try once more to collect an invoice that was not paid."""
    invoice = world.store.need(invoice_id)
    subscription = invoices.subscription_of(world, invoice)
    if invoice["status"] == "open" and subscription["status"] not in ENDED:
        charge_invoice(world, subscription, invoice)


def recover(world: World, subscription: Obj) -> Obj:
    """Let a subscription be active again once nothing of it is unpaid."""
    late = subscription["status"] in ("past_due", "unpaid", "incomplete")
    if late and not invoices.open_invoices(world, subscription):
        world.change(subscription, "customer.subscription.updated", status="active")
    return subscription


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


def resume(world: World, subscription: Obj, *, keep_anchor: bool) -> Obj:
    """Resume a paused *subscription*: with a new period that is paid for now, or the old one (*keep_anchor*)."""
    if subscription["status"] != "paused":
        raise world.conflict("You can only resume a subscription that is paused.")
    now = world.now()
    running = subscription["items"]["data"][0]["current_period_end"] > now
    subscription["status_details"] = None
    if keep_anchor and running:
        world.change(subscription, "customer.subscription.updated", status="active")
        _schedule(world, subscription)
    else:
        renew(world, subscription, reason="subscription_update", anchor=now)
    world.emit("customer.subscription.resumed", subscription)
    return subscription


def set_trial_end(world: World, subscription: Obj, second: int | str) -> Obj:
    """Move the end of a trial to *second*, or end it `now`."""
    now = world.now()
    if second == "now" or int(second) <= now:
        if subscription["status"] == "trialing":
            world.change(subscription, trial_end=now)
        return renew(world, subscription, anchor=now)
    data = [one | {"current_period_end": int(second)} for one in subscription["items"]["data"]]
    fields = {"items": _items(subscription["id"], data), "billing_cycle_anchor": second, "status": "trialing"}
    start = subscription["trial_start"] or now
    world.change(subscription, "customer.subscription.updated", **fields, trial_end=second, trial_start=start)
    _schedule(world, subscription)
    return subscription


def set_items(world: World, subscription: Obj, items: list[Obj], proration: str) -> Obj:
    """Give a *subscription* other *items*: another interval begins a new period, the same one is prorated."""
    before = subscription["items"]["data"]
    old, new = (before[0]["price"]["recurring"], items[0]["price"]["recurring"])
    period = {name: before[0][name] for name in ("current_period_start", "current_period_end")}
    items = [period | one | {"subscription": subscription["id"]} for one in items]
    world.change(subscription, "customer.subscription.updated", items=_items(subscription["id"], items))
    if subscription["status"] == "trialing" or proration == "none":
        return subscription
    if (old["interval"], old["interval_count"]) != (new["interval"], new["interval_count"]):
        return renew(world, subscription, reason="subscription_update", anchor=world.now())
    more = _prorated(world, items) - _prorated(world, before)
    if proration == "always_invoice" and more > 0:
        lines = [invoices.line(subscription, items[0], amount=more)]
        invoice = invoices.make_invoice(world, subscription, "subscription_update", lines)
        world.change(subscription, "customer.subscription.updated", latest_invoice=invoice["id"])
        return charge_invoice(world, subscription, invoice)
    return subscription


def set_card(world: World, customer: Obj, number: str) -> Obj:
    """Put another test card on file for a *customer* and all of their running subscriptions."""
    card = cards.read(number)
    if card.declined:
        raise Refusal(cards.MESSAGES[card.declined][1], code="card_declined", type_="card_error", status=402)
    method = cards.save(world, card, email=customer["email"], customer=customer["id"])
    settings = customer["invoice_settings"] | {"default_payment_method": method["id"]}
    world.change(customer, "customer.updated", invoice_settings=settings)
    for subscription in world.store.by("subscription", customer=customer["id"]):
        if subscription["status"] not in ENDED:
            fields = {"default_payment_method": method["id"]}
            world.change(subscription, "customer.subscription.updated", **fields)
    return method


def _prorated(world: World, items: list[Obj]) -> int:
    total = 0
    for one in items:
        start, finish = one["current_period_start"], one["current_period_end"]
        left = max(0, finish - world.now()) / max(1, finish - start)
        total += round(one["price"]["unit_amount"] * one["quantity"] * left)
    return total


def _end_trial_without_card(world: World, subscription: Obj) -> None:
    behaviour = subscription["trial_settings"]["end_behavior"]["missing_payment_method"]
    if behaviour == "cancel":
        end(world, subscription, None)
    elif behaviour == "pause":
        pause(world, subscription, "trial_end_without_payment_method")
    else:
        renew(world, subscription)


def _schedule(world: World, subscription: Obj) -> None:
    id_, cancel_at = subscription["id"], subscription["cancel_at"]
    period_end = subscription["items"]["data"][0]["current_period_end"]
    world.store.schedule(min(period_end, cancel_at or period_end), "subscription.turn", id_)
    if subscription["status"] == "trialing":
        warn_at = subscription["trial_end"] - WARN_BEFORE_TRIAL_END_S
        world.store.schedule(max(warn_at, world.now()), "subscription.trial_will_end", id_)


def reschedule(world: World, subscription: Obj) -> None:
    """Let what is due follow a change of when the *subscription* ends."""
    if subscription["status"] not in (*ENDED, "paused"):
        _schedule(world, subscription)


def _unschedule(world: World, subscription: Obj) -> None:
    for what in ("subscription.turn", "subscription.trial_will_end", "subscription.incomplete"):
        world.store.unschedule(what, subscription["id"])


def _items(id_: str, items: list[Obj]) -> Obj:
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
