"""What can be changed about a running subscription: its items, its trial, its card, its pause."""

from tools.fakes.store import Obj
from tools.fakes.stripe import cards, invoices, renewals, subscriptions
from tools.fakes.stripe.wire import Refusal
from tools.fakes.stripe.world import World


def resume(world: World, subscription: Obj, *, keep_anchor: bool) -> Obj:
    """Resume a paused *subscription*: with a new period that is paid for now, or the old one (*keep_anchor*)."""
    if subscription["status"] != "paused":
        raise world.conflict("You can only resume a subscription that is paused.")
    now = world.now()
    running = subscription["items"]["data"][0]["current_period_end"] > now
    subscription["status_details"] = None
    if keep_anchor and running:
        world.change(subscription, "customer.subscription.updated", status="active")
        subscriptions.schedule(world, subscription)
    else:
        renewals.renew(world, subscription, reason="subscription_update", anchor=now)
    world.emit("customer.subscription.resumed", subscription)
    return subscription


def set_trial_end(world: World, subscription: Obj, second: int | str) -> Obj:
    """Move the end of a trial to *second*, or end it `now`."""
    now = world.now()
    if second == "now" or int(second) <= now:
        if subscription["status"] == "trialing":
            world.change(subscription, trial_end=now)
        return renewals.renew(world, subscription, anchor=now)
    data = [one | {"current_period_end": int(second)} for one in subscription["items"]["data"]]
    fields = {
        "items": subscriptions.item_list(subscription["id"], data),
        "billing_cycle_anchor": second,
        "status": "trialing",
    }
    start = subscription["trial_start"] or now
    world.change(subscription, "customer.subscription.updated", **fields, trial_end=second, trial_start=start)
    subscriptions.schedule(world, subscription)
    return subscription


def set_items(world: World, subscription: Obj, items: list[Obj], proration: str) -> Obj:
    """Give a *subscription* other *items*: another interval begins a new period, the same one is prorated."""
    before = subscription["items"]["data"]
    old, new = (before[0]["price"]["recurring"], items[0]["price"]["recurring"])
    period = {name: before[0][name] for name in ("current_period_start", "current_period_end")}
    items = [period | one | {"subscription": subscription["id"]} for one in items]
    world.change(
        subscription, "customer.subscription.updated", items=subscriptions.item_list(subscription["id"], items)
    )
    if subscription["status"] == "trialing" or proration == "none":
        return subscription
    if (old["interval"], old["interval_count"]) != (new["interval"], new["interval_count"]):
        return renewals.renew(world, subscription, reason="subscription_update", anchor=world.now())
    more = _prorated(world, items) - _prorated(world, before)
    if proration == "always_invoice" and more > 0:
        lines = [invoices.line(world, subscription, items[0], amount=more)]
        invoice = invoices.make_invoice(world, subscription, "subscription_update", lines)
        world.change(subscription, "customer.subscription.updated", latest_invoice=invoice["id"])
        return renewals.charge_invoice(world, subscription, invoice)
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
        if subscription["status"] not in subscriptions.ENDED:
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
