"""What Stripe's API lets a merchant do to subscriptions."""

from typing import Any

from tools.fakes.store import Obj
from tools.fakes.stripe import changes, customers, invoice_api, subscriptions, views
from tools.fakes.stripe.catalog import price_of
from tools.fakes.stripe.operation import Operation, merged_metadata
from tools.fakes.stripe.wire import Refusal, missing
from tools.fakes.stripe.world import World

BY_PRICE = "EXISTS (SELECT 1 FROM json_each(body, '$.items.data') WHERE json_extract(value, '$.price.id') = ?)"
STILL_THERE = "json_extract(body, '$.status') NOT IN ('canceled', 'incomplete_expired')"
ENDED = "json_extract(body, '$.status') IN ('canceled', 'incomplete_expired')"


def create(world: World, params: dict[str, Any]) -> Obj:
    """Make a subscription for a customer who has a payment method, as a merchant's dashboard does."""
    if "customer" not in params:
        raise missing("customer")
    customer = world.named(params["customer"], "customer", "customer")
    items = _new_items(world, params.get("items") or [])
    by_hand = params.get("collection_method") == "send_invoice"
    if by_hand and "days_until_due" not in params:
        raise missing("days_until_due")
    method = customers.method_for(world, params, customer)
    trial_end = trial_end_of(world, params, items[0]["price"])
    behavior = params.get("payment_behavior", "allow_incomplete")
    if method is None and not by_hand and not trial_end and behavior != "default_incomplete":
        message = (
            "This customer has no attached payment source or default payment method. Please consider adding a default "
            "payment method. For more information, visit https://stripe.com/docs/billing/subscriptions/"
            "payment-methods-setting#payment-method-priority."
        )
        raise Refusal(message, code="resource_missing")
    subscription = subscriptions.begin(
        world,
        customer,
        items,
        trial_end=trial_end,
        cancel_at=params.get("cancel_at"),
        cancel_at_period_end=params.get("cancel_at_period_end", False),
        collection_method=params.get("collection_method", "charge_automatically"),
        days_until_due=params.get("days_until_due"),
        default_payment_method=method["id"] if method and "default_payment_method" in params else None,
        description=params.get("description"),
        metadata=merged_metadata({}, params.get("metadata")),
        trial_settings=params.get("trial_settings") or {"end_behavior": {"missing_payment_method": "create_invoice"}},
    )
    if by_hand and not trial_end:
        world.change(subscription, status="active")
    world.emit("customer.subscription.created", subscription)
    if behavior != "default_incomplete" and not (by_hand and not trial_end):
        subscriptions.pay_first(world, subscription, method)
    if behavior == "error_if_incomplete" and subscription["status"] == "incomplete":
        raise invoice_api.declined(world, world.store.need(subscription["latest_invoice"]))
    return subscription


def update(world: World, params: dict[str, Any], id_: str) -> Obj:
    """Change a subscription: its end, its items, its trial, its payment method, its metadata."""
    subscription = world.named(id_, "subscription")
    if subscription["status"] in subscriptions.ENDED:
        if set(params) - {"metadata", "cancellation_details", "expand"}:
            message = "A canceled subscription can only update its cancellation_details and metadata."
            raise world.conflict(message)
        return world.change(subscription, None, **_plain_changes(world, subscription, params))
    world.change(subscription, "customer.subscription.updated", **_plain_changes(world, subscription, params))
    subscriptions.reschedule(world, subscription)
    if "items" in params:
        changed = _changed_items(world, subscription, params["items"])
        behaviour = params.get("proration_behavior", "create_prorations")
        changes.set_items(world, subscription, changed, behaviour)
    if "trial_end" in params:
        changes.set_trial_end(world, subscription, params["trial_end"])
    return subscription


def trial_end_of(world: World, params: dict[str, Any], price: Obj) -> int | None:
    """Return the second at which the trial asked for ends, if one is."""
    now = world.now()
    if "trial_end" in params and "trial_period_days" in params:
        raise Refusal("You may only specify one of these parameters: trial_end, trial_period_days.", param="trial_end")
    if (second := params.get("trial_end")) not in (None, "now"):
        if second <= now:
            message = "Invalid timestamp: must be an integer Unix timestamp in the future"
            raise Refusal(message, param="trial_end")
        return int(second)
    days = params.get("trial_period_days")
    if days is None and params.get("trial_from_plan"):
        days = price["recurring"]["trial_period_days"]
    if days is not None and not 0 <= days <= 730:
        raise Refusal("Invalid trial_period_days: must be between 0 and 730.", param="trial_period_days")
    return now + days * subscriptions.DAY if days else None


def _cancel(world: World, params: dict[str, Any], id_: str) -> Obj:
    subscription = world.named(id_, "subscription")
    if subscription["status"] in subscriptions.ENDED:
        message = f"No such subscription: '{id_}'"
        raise Refusal(message, code="resource_missing", param="id", status=404)
    details = params.get("cancellation_details", {})
    return subscriptions.end(world, subscription, "cancellation_requested", **details)


def _list(world: World, params: dict[str, Any]) -> Obj:
    status, price = params.get("status"), params.get("price")
    also = ENDED if status == "ended" else STILL_THERE if status is None else "1"
    args: tuple[str, ...] = (f"{also} AND {BY_PRICE}", price) if price else (also,)
    equal = {name: params.get(name) for name in ("customer", "collection_method")}
    equal["status"] = None if status in ("all", "ended") else status
    return views.page(world, "subscription", params, "/v1/subscriptions", also=args, equal=equal)


def _plain_changes(world: World, subscription: Obj, params: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {"metadata": merged_metadata(subscription["metadata"], params.get("metadata"))}
    for name in ("description", "pause_collection", "days_until_due", "collection_method", "trial_settings"):
        if name in params:
            fields[name] = params[name] or None
    if fields.get("pause_collection"):
        fields["pause_collection"] = {"resumes_at": None} | fields["pause_collection"]
    if "default_payment_method" in params:
        customer = world.store.need(subscription["customer"])
        method = customers.method_for(world, params, customer)
        fields["default_payment_method"] = method["id"] if method else None
    if "payment_settings" in params:
        fields["payment_settings"] = subscription["payment_settings"] | params["payment_settings"]
    return fields | _ending(world, subscription, params)


def _ending(world: World, subscription: Obj, params: dict[str, Any]) -> dict[str, Any]:
    details = subscription["cancellation_details"]
    given = params.get("cancellation_details", {})
    details = details | {name: value or None for name, value in given.items()}
    if "cancel_at_period_end" in params and "cancel_at" in params:
        message = "You may only specify one of these parameters: cancel_at, cancel_at_period_end."
        raise Refusal(message, param="cancel_at")
    period_end = subscription["items"]["data"][0]["current_period_end"]
    if "cancel_at_period_end" in params:
        at: int | None = period_end if params["cancel_at_period_end"] else None
    elif "cancel_at" in params:
        wanted = params["cancel_at"]
        at = period_end if wanted in ("min_period_end", "max_period_end") else wanted or None
        if at is not None and at <= world.now():
            raise Refusal("The cancel_at timestamp must be in the future.", param="cancel_at")
    else:
        return {"cancellation_details": details}
    return {
        "cancel_at": at,
        "cancel_at_period_end": bool(params.get("cancel_at_period_end")),
        "canceled_at": world.now() if at else None,
        "cancellation_details": details | {"reason": "cancellation_requested" if at else None},
    }


def _new_items(world: World, asked: list[dict[str, Any]]) -> list[Obj]:
    if not asked:
        raise missing("items")
    return [_new_item(world, one, f"items[{index}]") for index, one in enumerate(asked)]


def _new_item(world: World, asked: dict[str, Any], at: str) -> Obj:
    price = price_of(world, asked, at)
    if price["recurring"] is None:
        message = "The price specified is set to `type=one_time` but this field only accepts prices with "
        raise Refusal(f"{message}`type=recurring`.", param=f"{at}[price]")
    quantity = asked.get("quantity", 1)
    if quantity < 0:
        message = "This value must be greater than or equal to 0."
        raise Refusal(message, code="parameter_invalid_integer", param=f"{at}[quantity]")
    return subscriptions.item(world, price, quantity, merged_metadata({}, asked.get("metadata")))


def _changed_items(world: World, subscription: Obj, asked: list[dict[str, Any]]) -> list[Obj]:
    items = {one["id"]: one for one in subscription["items"]["data"]}
    for index, change in enumerate(asked):
        at = f"items[{index}]"
        if "id" not in change:
            fresh = _new_item(world, change, at)
            items[fresh["id"]] = fresh
            continue
        if change["id"] not in items:
            message = f"No such subscription item: '{change['id']}'"
            raise Refusal(message, code="resource_missing", param=f"{at}[id]")
        old = items.pop(change["id"])
        if not change.get("deleted"):
            same = {"price": old["price"]["id"], "quantity": old["quantity"]} | change
            fresh = _new_item(world, same, at) if "price" in change or "price_data" in change else old
            kept = {"id": old["id"], "created": old["created"], "quantity": same["quantity"]}
            items[old["id"]] = fresh | kept
    if not items:
        raise Refusal("A subscription must have at least one active plan.", param="items")
    return list(items.values())


def _pause(world: World, _: dict[str, Any], id_: str) -> Obj:
    return subscriptions.pause(world, world.named(id_, "subscription"), "pause_requested")


def _resume(world: World, params: dict[str, Any], id_: str) -> Obj:
    keep = params.get("billing_cycle_anchor", {}).get("type") == "unchanged"
    return changes.resume(world, world.named(id_, "subscription"), keep_anchor=keep)


BEYOND = (
    "add_invoice_items",
    "application_fee_percent",
    "automatic_tax.enabled",
    "billing_schedules",
    "billing_thresholds",
    "default_source",
    "default_tax_rates",
    "discounts",
    "items.*.discounts",
    "items.*.tax_rates",
    "items.*.plan",
    "on_behalf_of",
    "pending_invoice_item_interval",
    "transfer_data",
)
AT_START = ("backdate_start_date", "billing_cycle_anchor", "billing_cycle_anchor_config", "currency")
OPERATIONS = (
    Operation("POST", "/v1/subscriptions", "_subscription_create_params", create, (*BEYOND, *AT_START)),
    Operation(
        "GET",
        "/v1/subscriptions",
        "_subscription_list_params",
        _list,
        ("automatic_tax", "current_period_start", "current_period_end", "plan", "test_clock"),
    ),
    Operation("GET", "/v1/subscriptions/{}", "_subscription_retrieve_params", views.retrieve("subscription")),
    Operation("POST", "/v1/subscriptions/{}", "_subscription_update_params", update, (*BEYOND, "billing_cycle_anchor")),
    Operation("DELETE", "/v1/subscriptions/{}", "_subscription_cancel_params", _cancel, ("invoice_now", "prorate")),
    Operation("POST", "/v1/subscriptions/{}/pause", "_subscription_pause_params", _pause, ("bill_for",)),
    Operation("POST", "/v1/subscriptions/{}/resume", "_subscription_resume_params", _resume, ("proration_date",)),
)
