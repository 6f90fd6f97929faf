"""What Stripe's API lets a merchant do to subscriptions."""

from typing import Any

from tools.fakes.store import Obj
from tools.fakes.stripe import (
    cards,
    changes,
    customers,
    invoice_api,
    prorations,
    renewals,
    subscriptions,
    trials,
    views,
)
from tools.fakes.stripe.catalog import price_of
from tools.fakes.stripe.operation import Operation, merged_metadata
from tools.fakes.stripe.wire import Refusal, missing
from tools.fakes.stripe.world import World

UPDATED = "customer.subscription.updated"
PENDING_PARAMS = {
    "add_invoice_items",
    "billing_cycle_anchor",
    "expand",
    "items",
    "off_session",
    "payment_behavior",
    "proration_behavior",
    "proration_date",
    "trial_end",
    "trial_from_plan",
}
PENDING_ITEM = {"id", "price", "price_data", "quantity"}
BY_PRICE = "EXISTS (SELECT 1 FROM json_each(body, '$.items.data') WHERE json_extract(value, '$.price.id') = ?)"
STILL_THERE = "json_extract(body, '$.status') NOT IN ('canceled', 'incomplete_expired')"
ENDED = "json_extract(body, '$.status') IN ('canceled', 'incomplete_expired')"


def create(world: World, params: dict[str, Any]) -> Obj:
    """Make a subscription for a customer who has a payment method, as a merchant's dashboard does."""
    if "customer" not in params:
        raise missing("customer")
    customer = world.named(params["customer"], "customer", "customer")
    items = new_items(world, params.get("items") or [])
    customers.check_currency(world, customer["id"], items[0]["price"]["currency"])
    by_hand = params.get("collection_method") == "send_invoice"
    if by_hand and "days_until_due" not in params:
        raise missing("days_until_due")
    method = customers.method_for(world, params, customer)
    trial_end = trials.end_of(world, params, items[0]["price"])
    behavior = params.get("payment_behavior", "allow_incomplete")
    if method is None and not by_hand and not trial_end and behavior != "default_incomplete":
        message = (
            "This customer has no attached payment source or default payment method. Please consider adding a default "
            "payment method. For more information, visit https://stripe.com/docs/billing/subscriptions/"
            "payment-methods-setting#payment-method-priority."
        )
        raise Refusal(message, code="resource_missing")
    charged = not by_hand or bool(trial_end)
    status = {} if charged else {"status": "active"}
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
        trial_settings=params.get("trial_settings") or {},
        **status,
    )
    if charged and (behavior != "default_incomplete" or trial_end):
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
    pending = params.get("payment_behavior") == "pending_if_incomplete"
    if pending:
        _check_pending(world, subscription, params)
    fields = {} if pending else _plain_changes(world, subscription, params)
    restarts = params.get("billing_cycle_anchor", {}).get("type") == "now"
    if "items" in params or restarts:
        _change_items(world, subscription, params, fields, restarts=restarts)
    else:
        world.change(subscription, UPDATED, **fields)
        subscriptions.reschedule(world, subscription)
    if "trial_end" in params:
        changes.set_trial_end(world, subscription, params["trial_end"])
        _refuse_unpaid(world, subscription, params)
    return subscription


def _cancel(world: World, params: dict[str, Any], id_: str) -> Obj:
    subscription = world.named(id_, "subscription")
    if subscription["status"] in subscriptions.ENDED:
        message = f"No such subscription: '{id_}'"
        raise Refusal(message, code="resource_missing", param="id", status=404)
    if params.get("prorate"):
        for one in subscription["items"]["data"]:
            prorations.credit(world, subscription, one, world.now())
    if params.get("invoice_now"):
        renewals.invoice_pending(world, subscription)
    details = {name: value or None for name, value in params.get("cancellation_details", {}).items()}
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
    for name in ("description", "pause_collection", "days_until_due", "collection_method"):
        if name in params:
            fields[name] = params[name] or None
    if trial := params.get("trial_settings"):
        behaviour = subscription["trial_settings"]["end_behavior"] | trial["end_behavior"]
        fields["trial_settings"] = {"end_behavior": behaviour}
    if "pause_collection" in fields:
        fields["pause_collection"] = _pausing(world, subscription, fields["pause_collection"])
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
    ends = {
        "min_period_end": subscriptions.next_end(subscription),
        "max_period_end": subscriptions.last_end(subscription),
    }
    if "cancel_at_period_end" in params:
        at: int | None = ends["max_period_end"] if params["cancel_at_period_end"] else None
    elif "cancel_at" in params:
        wanted = params["cancel_at"]
        at = ends.get(wanted) or wanted or None
        if at is not None and at <= world.now():
            raise Refusal("The cancel_at timestamp must be in the future.", param="cancel_at")
        proration = params.get("proration_behavior", "create_prorations")  # counts if it is before the period's end
        world.store.note(subscription["id"], "cancel_proration", proration)
    else:
        return {"cancellation_details": details}
    return {
        "cancel_at": at,
        "cancel_at_period_end": bool(params.get("cancel_at_period_end")),
        "canceled_at": world.now() if at else None,
        "cancellation_details": details | {"reason": "cancellation_requested" if at else None},
    }


def new_items(world: World, asked: list[dict[str, Any]]) -> list[Obj]:
    """Return the subscription items *asked* for, without a period yet."""
    if not asked:
        raise missing("items")
    return [_new_item(world, one, f"items[{index}]") for index, one in enumerate(asked)]


def _new_item(world: World, asked: dict[str, Any], at: str, *, kept: Obj | None = None) -> Obj:
    price = kept if kept and asked.get("price") == kept["id"] else price_of(world, asked, at)
    if price["recurring"] is None:
        message = "The price specified is set to `type=one_time` but this field only accepts prices with "
        raise Refusal(f"{message}`type=recurring`.", param=f"{at}[price]")
    quantity = asked.get("quantity", 1)
    if quantity < 0:
        message = "This value must be greater than or equal to 0."
        raise Refusal(message, code="parameter_invalid_integer", param=f"{at}[quantity]")
    return subscriptions.item(world, price, quantity, merged_metadata({}, asked.get("metadata")))


def _change_items(
    world: World, subscription: Obj, params: dict[str, Any], fields: dict[str, Any], *, restarts: bool
) -> None:
    if subscription["status"] == "incomplete":
        message = "A subscription in the `incomplete` status can only have its metadata and default source updated."
        raise world.conflict(message)
    behavior = params.get("payment_behavior", "allow_incomplete")
    change = changes.Change(
        items=changed_items(world, subscription, params.get("items", [])),
        at=proration_date(world, subscription, params),
        fields=fields,
        proration=params.get("proration_behavior", "create_prorations"),
        behavior=behavior,
        restarts=restarts,
    )
    changes.change_items(world, subscription, change)
    _refuse_unpaid(world, subscription, params)


def _refuse_unpaid(world: World, subscription: Obj, params: dict[str, Any]) -> None:
    """Refuse a change whose invoice was declined, if the merchant wants none such; it is undone then."""
    invoice = world.store.need(subscription["latest_invoice"])
    unpaid = invoice["billing_reason"] == "subscription_update" and invoice["status"] == "open"
    if params.get("payment_behavior") == "error_if_incomplete" and unpaid:
        raise invoice_api.declined(world, invoice)


def changed_items(world: World, subscription: Obj, asked: list[dict[str, Any]]) -> list[Obj]:
    """Return the items of a *subscription* after the changes *asked* for. Items that are not named stay."""
    items = {one["id"]: one for one in subscription["items"]["data"]}
    for index, change in enumerate(asked):
        at = f"items[{index}]"
        if "id" not in change:
            fresh = _new_item(world, change, at)
            if fresh["price"]["id"] in {one["price"]["id"] for one in items.values()}:
                message = "Cannot add multiple subscription items with the same plan: "
                raise Refusal(f"{message}{fresh['price']['id']}", param=f"{at}[price]")
            items[fresh["id"]] = fresh
            continue
        if change["id"] not in items:
            message = f"No such subscription item: '{change['id']}'"
            raise Refusal(message, code="resource_missing", param=f"{at}[id]")
        old = items[change["id"]]
        if change.get("deleted"):
            del items[change["id"]]
            continue
        same = {"quantity": old["quantity"]} | change
        if "price" not in same and "price_data" not in same:
            same["price"] = old["price"]["id"]
        fresh = _new_item(world, same, at, kept=old["price"])
        metadata = merged_metadata(old["metadata"], change.get("metadata"))
        items[old["id"]] = fresh | {"id": old["id"], "created": old["created"], "metadata": metadata}
    if not items:
        raise Refusal("A subscription must have at least one active plan.", param="items")
    if {one["price"]["currency"] for one in items.values()} != {subscription["currency"]}:
        message = f"The price specified only supports another currency than `{subscription['currency']}`."
        raise Refusal(message, param="items")
    return list(items.values())


def proration_date(world: World, subscription: Obj, params: dict[str, Any]) -> int:
    """Return the second at which a proration counts: now, or one within the current period that *params* name."""
    at: int = params.get("proration_date", world.now())
    starts = [one["current_period_start"] for one in subscription["items"]["data"]]
    if not max(starts) <= at <= subscriptions.next_end(subscription):
        message = "Invalid timestamp: proration_date must be within the current subscription period."
        raise Refusal(message, param="proration_date")
    return at


def _check_pending(world: World, subscription: Obj, params: dict[str, Any]) -> None:
    """Refuse what cannot wait for a payment (docs.stripe.com/billing/subscriptions/pending-updates-reference)."""
    behavior = "payment_behavior` is set to `pending_if_incomplete"
    unfit = sorted(params.keys() - PENDING_PARAMS)
    unfit += [
        f"items[{n}][{name}]" for n, one in enumerate(params.get("items", [])) for name in one.keys() - PENDING_ITEM
    ]
    if unfit:
        message = f"When `{behavior}`, you can only pass supported parameters. Unsupported: {', '.join(unfit)}."
        raise Refusal(message, param=unfit[0])
    if "trial_end" in params:
        message = "The stand-in does not model a pending update of `trial_end`; real Stripe does."
        raise Refusal(message, code="not_modelled_by_stand_in", param="trial_end")
    method = subscriptions.default_method(world, subscription)
    if subscription["collection_method"] != "charge_automatically":
        raise Refusal(f"`{behavior}`, which `collection_method=send_invoice` does not allow.", param="payment_behavior")
    if method and method["type"] in cards.TAKES_TIME:
        raise Refusal(f"`{behavior}`, which bank debits do not support.", param="payment_behavior")


def _pausing(world: World, subscription: Obj, asked: dict[str, Any] | None) -> Obj | None:
    """Return the pause *asked* for, which ends by itself at `resumes_at`."""
    world.store.unschedule("subscription.unpause", subscription["id"])
    if asked is None:
        return None
    resumes_at = asked.get("resumes_at")
    if resumes_at is not None:
        if resumes_at <= world.now():
            message = "Invalid timestamp: must be an integer Unix timestamp in the future"
            raise Refusal(message, param="pause_collection[resumes_at]")
        world.store.schedule(resumes_at, "subscription.unpause", subscription["id"])
    return {"behavior": asked["behavior"], "resumes_at": resumes_at}


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
    Operation("POST", "/v1/subscriptions/{}", "_subscription_update_params", update, BEYOND),
    Operation("DELETE", "/v1/subscriptions/{}", "_subscription_cancel_params", _cancel),
    Operation("POST", "/v1/subscriptions/{}/pause", "_subscription_pause_params", _pause, ("bill_for",)),
    Operation("POST", "/v1/subscriptions/{}/resume", "_subscription_resume_params", _resume, ("proration_date",)),
)
