"""What can be changed about a running subscription: its items, its trial, its card, its pause."""

from dataclasses import dataclass, field
from typing import Any

from tools.fakes.store import Obj
from tools.fakes.stripe import cards, invoices, periods, prorations, renewals, subscriptions
from tools.fakes.stripe.wire import Refusal
from tools.fakes.stripe.world import World

PENDING_FOR_S = 23 * 3600
UPDATED = "customer.subscription.updated"


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a merchant asks of a subscription: other *items*, *fields* beside them, and how it is paid for.

    *at* is the second at which a proration counts. *restarts* begins a new period whatever the items say.
    """

    items: list[Obj]
    at: int
    fields: dict[str, Any] = field(default_factory=dict)
    proration: str = "create_prorations"
    behavior: str = "allow_incomplete"
    restarts: bool = False


def resume(world: World, subscription: Obj, *, keep_anchor: bool) -> Obj:
    """Resume a paused *subscription*: with a new period that is paid for now, or the old one (*keep_anchor*)."""
    if subscription["status"] != "paused":
        raise world.conflict("You can only resume a subscription that is paused.")
    running = subscriptions.next_end(subscription) > world.now()
    subscription["status_details"] = None
    if keep_anchor and running:
        world.change(subscription, UPDATED, status="active")
        subscriptions.schedule(world, subscription)
    else:
        renewals.restart(world, subscription)
    world.emit("customer.subscription.resumed", subscription)
    return subscription


def set_trial_end(world: World, subscription: Obj, second: int | str) -> Obj:
    """Move the end of a trial to *second*, or end it `now`."""
    now = world.now()
    if second == "now" or int(second) <= now:
        if subscription["status"] == "trialing":
            world.change(subscription, trial_end=now)
        return renewals.restart(world, subscription)
    data = [one | {"current_period_end": int(second)} for one in subscription["items"]["data"]]
    fields = {
        "items": subscriptions.item_list(subscription["id"], data),
        "billing_cycle_anchor": second,
        "status": "trialing",
    }
    start = subscription["trial_start"] or now
    world.change(subscription, UPDATED, **fields, trial_end=second, trial_start=start)
    subscriptions.schedule(world, subscription)
    return subscription


def change_items(world: World, subscription: Obj, change: Change) -> Obj:
    """Give a *subscription* other items: another interval begins a new period, the same one is prorated."""
    before = {one["id"]: one for one in subscription["items"]["data"]}
    restarts = change.restarts or any(_interval(one) != _interval(before.get(one["id"], one)) for one in change.items)
    trialing = subscription["status"] == "trialing"
    restarts = restarts and not trialing
    items = [_placed(world, subscription, one, before, restarts=restarts) for one in change.items]
    fields = change.fields | {"items": subscriptions.item_list(subscription["id"], items)}
    if restarts:
        fields["billing_cycle_anchor"] = world.now()
    draft = subscription | fields
    if change.proration != "none" and not trialing:
        _prorate(world, draft, before, items, change.at, restarts=restarts)
    due = restarts or change.proration == "always_invoice"
    lines = [invoices.line(world, draft, one) for one in items] if restarts else []
    subscriptions.discard_pending_update(world, subscription)
    if trialing or not due or not (lines or prorations.pending(world, subscription)):
        world.change(subscription, UPDATED, **fields)
        subscriptions.reschedule(world, subscription)
        return subscription
    invoice = invoices.draft(world, draft, "subscription_update", lines)
    if change.behavior == "pending_if_incomplete":
        return _change_if_paid(world, subscription, fields, invoice)
    world.change(subscription, UPDATED, **fields, latest_invoice=invoice["id"])
    subscriptions.reschedule(world, subscription)
    invoices.announce(world, invoice)
    if change.behavior == "default_incomplete" and invoice["amount_due"]:
        invoices.intent_of(world, invoices.finalize(world, invoice))
        return world.change(subscription, UPDATED, status="past_due")
    return renewals.charge_now(world, subscription, invoice)


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
            world.change(subscription, UPDATED, **fields)
    return method


def _change_if_paid(world: World, subscription: Obj, fields: dict[str, Any], invoice: Obj) -> Obj:
    """Change a *subscription* if *invoice* is paid at once; else let the change wait, for at most 23 hours."""
    invoices.finalize(world, invoices.announce(world, invoice))
    invoices.collect(world, invoice, subscriptions.default_method(world, subscription))
    if invoice["status"] == "paid":
        world.change(subscription, UPDATED, **fields, latest_invoice=invoice["id"])
        subscriptions.reschedule(world, subscription)
        return subscription
    invoices.leave(world, invoice)
    expires_at = min(world.now() + PENDING_FOR_S, subscriptions.next_end(subscription))
    update = {
        "billing_cycle_anchor": fields.get("billing_cycle_anchor"),
        "cancel_at_period_end": None,
        "discount": None,
        "discounts": None,
        "expires_at": expires_at,
        "metadata": None,
        "subscription_items": fields["items"]["data"],
        "trial_end": None,
        "trial_from_plan": None,
    }
    world.store.note(subscription["id"], "pending_update", {"fields": fields, "invoice": invoice["id"]})
    world.store.schedule(expires_at, "subscription.pending_update", subscription["id"])
    return world.change(subscription, UPDATED, pending_update=update, latest_invoice=invoice["id"])


def _prorate(world: World, draft: Obj, before: dict[str, Obj], items: list[Obj], at: int, *, restarts: bool) -> None:
    """Give back what the items *before* do not use up, and charge what the new *items* cost until their period ends."""
    after = {one["id"]: one for one in items}
    for id_, old in before.items():
        if restarts or _sold(old) != _sold(after.get(id_)):
            prorations.credit(world, draft, old, at)
    if not restarts:  # a new period is charged in full
        for id_, new in after.items():
            if _sold(new) != _sold(before.get(id_)):
                prorations.debit(world, draft, new, at)


def _placed(world: World, subscription: Obj, item: Obj, before: dict[str, Obj], *, restarts: bool) -> Obj:
    """Return *item* with the period that it has from now on."""
    now, anchor = world.now(), subscription["billing_cycle_anchor"]
    like = before.get(item["id"]) or next((o for o in before.values() if _interval(o) == _interval(item)), None)
    if restarts or like is None:
        finish = periods.after(now if restarts else anchor, item["price"]["recurring"], now)
        period = {"current_period_start": now, "current_period_end": finish}
    else:
        period = {name: like[name] for name in ("current_period_start", "current_period_end")}
    return item | period | {"subscription": subscription["id"]}


def _interval(item: Obj) -> tuple[str, int]:
    recurring = item["price"]["recurring"]
    return recurring["interval"], recurring["interval_count"]


def _sold(item: Obj | None) -> tuple[str, int] | None:
    return (item["price"]["id"], item["quantity"]) if item else None
