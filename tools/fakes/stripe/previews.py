"""Previews: the invoice that a change of a subscription would lead to, with nothing changed."""

from typing import Any

from tools.fakes.store import Obj
from tools.fakes.stripe import changes, invoices, prorations, renewals, subscription_api, subscriptions, trials
from tools.fakes.stripe.operation import Operation
from tools.fakes.stripe.wire import Refusal, missing
from tools.fakes.stripe.world import World


class _Undo(Exception):
    """What was written for a preview is not to stay."""


def create(world: World, params: dict[str, Any]) -> Obj:
    """Return the invoice to come of a subscription, or of one that does not exist yet, with the changes asked for."""
    shown: Obj = {}
    try:
        with world.store.transaction():
            shown = _shown(_existing(world, params) if "subscription" in params else _new(world, params))
            raise _Undo
    except _Undo:
        return shown


def _existing(world: World, params: dict[str, Any]) -> Obj:
    subscription = world.named(params["subscription"], "subscription", "subscription")
    if params.get("customer", subscription["customer"]) != subscription["customer"]:
        raise Refusal("The subscription does not belong to the customer you passed.", param="customer")
    if subscription["status"] in subscriptions.ENDED:
        message = "You cannot preview the upcoming invoice for a canceled subscription."
        raise Refusal(message, code="invoice_upcoming_none", status=404)
    details = params.get("subscription_details", {})
    if details.get("cancel_now"):
        return _last(world, subscription, details)
    before = subscription["latest_invoice"]
    if "items" in details or _restarts(details):
        change = changes.Change(
            items=subscription_api.changed_items(world, subscription, details.get("items", [])),
            at=subscription_api.proration_date(world, subscription, details),
            proration=details.get("proration_behavior", "create_prorations"),
            restarts=_restarts(details),
            behavior="default_incomplete",
        )
        changes.change_items(world, subscription, change)
    if subscription["latest_invoice"] == before:
        ends = details.get("cancel_at_period_end", subscription["cancel_at_period_end"])
        return _last(world, subscription, {}) if ends else _next(world, subscription)
    return world.store.need(subscription["latest_invoice"])


def _new(world: World, params: dict[str, Any]) -> Obj:
    if "customer" not in params:
        raise missing("customer")
    customer = world.named(params["customer"], "customer", "customer")
    details = params.get("subscription_details", {})
    items = subscription_api.new_items(world, details.get("items", []))
    trial_end = trials.end_of(world, details, items[0]["price"])
    subscription = subscriptions.begin(world, customer, items, trial_end=trial_end)
    return world.store.need(subscription["latest_invoice"])


def _last(world: World, subscription: Obj, details: dict[str, Any]) -> Obj:
    """Return the invoice that a *subscription* ends with, if there is anything on it."""
    if details.get("proration_behavior") in ("create_prorations", "always_invoice"):
        for one in subscription["items"]["data"]:
            prorations.credit(world, subscription, one, details.get("proration_date", world.now()))
    if not prorations.pending(world, subscription):
        message = f"No upcoming invoices for customer: {subscription['customer']}"
        raise Refusal(message, code="invoice_upcoming_none", status=404)
    return invoices.draft(world, subscription, "upcoming", [])


def _next(world: World, subscription: Obj) -> Obj:
    with world.clock.pinned(subscriptions.next_end(subscription)):
        renewals.renew(world, subscription)
    return world.store.need(subscription["latest_invoice"])


def _shown(invoice: Obj) -> Obj:
    """Return *invoice* as a preview shows it: no draft of it exists."""
    lines = invoice["lines"]["data"]
    id_ = "upcoming_" + invoice["id"]
    for line in lines:
        line["invoice"] = id_
    unwritten: Obj = {"effective_at": None, "hosted_invoice_url": None, "number": None, "webhooks_delivered_at": None}
    unwritten |= {"attempt_count": 0, "attempted": False, "automatically_finalizes_at": None}
    stamps = dict.fromkeys(invoice["status_transitions"])
    url = f"/v1/invoices/{id_}/lines"
    shown = {"billing_reason": "upcoming", "id": id_, "lines": invoice["lines"] | {"url": url}}
    return invoice | unwritten | shown | {"status": "draft", "status_transitions": stamps}


def _restarts(details: dict[str, Any]) -> bool:
    return bool(details.get("billing_cycle_anchor", {}).get("type") == "now")


BEYOND = (
    "automatic_tax.enabled",
    "customer_details",
    "discounts",
    "invoice_items",
    "on_behalf_of",
    "preview_mode",
    "schedule",
    "schedule_details",
    "subscription_details.cancel_at",
    "subscription_details.default_tax_rates",
    "subscription_details.pause",
    "subscription_details.resume_at",
    "subscription_details.start_date",
)
OPERATIONS = (Operation("POST", "/v1/invoices/create_preview", "_invoice_create_preview_params", create, BEYOND),)
