"""The customer portal: what a merchant allows on it, sessions of it, and what its buyers do there."""

from collections.abc import Mapping
from typing import Any

from tools.fakes.store import Obj
from tools.fakes.stripe import changes, subscription_api, subscriptions, views
from tools.fakes.stripe.operation import Operation, merged_metadata
from tools.fakes.stripe.wire import Refusal
from tools.fakes.stripe.world import World

LIVES_S = 3600
"""How long a portal session can be opened; Stripe ends it after an hour without activity."""
FLOWS = {
    "subscription_cancel": "subscription_cancel",
    "subscription_update": "subscription_update",
    "subscription_update_confirm": "subscription_update",
    "payment_method_update": "payment_method_update",
}
"""The flows that are modelled, and the feature that each one needs."""


def create_configuration(world: World, params: dict[str, Any]) -> Obj:
    """Make a configuration. The first one is the default."""
    for index, product in enumerate(params["features"].get("subscription_update", {}).get("products") or []):
        for price in product["prices"]:
            at = f"features[subscription_update][products][{index}]"
            if world.named(price, "price", f"{at}[prices]")["product"] != product["product"]:
                raise Refusal(f"The price {price} does not belong to the product {product['product']}.", param=at)
        product.setdefault("adjustable_quantity", {"enabled": False})
        product["adjustable_quantity"] = {"maximum": None, "minimum": 1} | product["adjustable_quantity"]
    first = not world.store.by("billing_portal.configuration", is_default=True)
    given = {name: params[name] for name in ("business_profile", "default_return_url", "name") if name in params}
    configuration = world.make(
        "billing_portal.configuration",
        "bpc_1",
        **given,
        features=params["features"],
        is_default=first,
        metadata=merged_metadata({}, params.get("metadata")),
        updated=world.now(),
    )
    world.emit("billing_portal.configuration.created", configuration)
    return configuration


def save_settings(world: World) -> None:
    """Let there be a default configuration, as there is once a merchant has saved the portal's settings."""
    if not world.store.by("billing_portal.configuration", is_default=True):
        allowed = {"payment_method_update": {"enabled": True}, "invoice_history": {"enabled": True}}
        world.make("billing_portal.configuration", "bpc_1", features=allowed, is_default=True, updated=world.now())


def create_session(world: World, params: dict[str, Any]) -> Obj:
    """Open the portal for a customer."""
    customer = world.named(params.get("customer"), "customer", "customer")
    if "configuration" in params:
        configuration = world.named(params["configuration"], "billing_portal.configuration", "configuration")
    else:
        defaults = world.store.by("billing_portal.configuration", is_default=True)
        if not defaults:
            message = (
                "You can't create a portal session in test mode until you save your customer portal settings in test "
                "mode at https://dashboard.stripe.com/test/settings/billing/portal."
            )
            raise Refusal(message)
        configuration = defaults[0]
    session = world.draft(
        "billing_portal.session",
        "bps_1",
        configuration=configuration["id"],
        customer=customer["id"],
        flow=_flow(world, configuration, customer, params.get("flow_data")),
        locale=params.get("locale"),
        return_url=params.get("return_url") or configuration["default_return_url"],
    )
    world.store.put(session | {"url": f"{world.seen_as}/stripe/portal/{session['id']}"})
    world.emit("billing_portal.session.created", world.store.need(session["id"]))
    return world.store.need(session["id"])


def is_over(world: World, session: Obj) -> bool:
    """Say whether a portal *session* can no longer be opened."""
    return bool(session["created"] + LIVES_S <= world.now())


def feature(world: World, session: Obj, name: str) -> Obj:
    """Return the feature called *name* of the configuration of a *session*."""
    found: Obj = world.store.need(session["configuration"])["features"][name]
    return found


def running(world: World, session: Obj) -> list[Obj]:
    """Return the subscriptions that the customer of a *session* has."""
    every = world.store.by("subscription", customer=session["customer"])
    return [one for one in every if one["status"] not in subscriptions.ENDED]


def prices_for(world: World, session: Obj, subscription: Obj) -> list[Obj]:
    """Return the other prices that the configuration lets a *subscription* switch to."""
    update = feature(world, session, "subscription_update")
    if not update["enabled"] or "price" not in update["default_allowed_updates"]:
        return []
    now = subscription["items"]["data"][0]["price"]["id"]
    listed = [world.store.need(price) for product in update["products"] or [] for price in product["prices"]]
    return [p for p in listed if p["id"] != now and p["active"] and p["currency"] == subscription["currency"]]


def may_change_quantity(world: World, session: Obj) -> bool:
    """Say whether the configuration lets a buyer change a quantity."""
    update = feature(world, session, "subscription_update")
    return bool(update["enabled"] and "quantity" in update["default_allowed_updates"])


def act(world: World, session: Obj, form: Mapping[str, str]) -> None:
    """Do what the buyer asked for: form field `do`, with `subscription`, `price`, `quantity` or `card`.

    Raises Refusal for what the configuration does not allow, or what the subscription or the card does not.
    """
    what = form.get("do", "")
    if what == "card":
        _allow(feature(world, session, "payment_method_update")["enabled"])
        changes.set_card(world, world.store.need(session["customer"]), form.get("card", ""))
        return
    mine = {one["id"]: one for one in running(world, session)}
    if (subscription := mine.get(form.get("subscription", ""))) is None:
        raise Refusal("This subscription is not yours, or has ended.", status=404)
    if what == "resume":
        subscription_api.update(world, {"cancel_at_period_end": False}, subscription["id"])
    elif what == "cancel":
        _cancel(world, feature(world, session, "subscription_cancel"), subscription)
    elif what == "change":
        _change(world, session, subscription, form)
    else:
        raise Refusal("Nothing of that kind can be done here.")


def _cancel(world: World, allowed: Obj, subscription: Obj) -> None:
    _allow(allowed["enabled"])
    if allowed["mode"] == "immediately":
        subscriptions.end(world, subscription, "cancellation_requested")
    else:
        subscription_api.update(world, {"cancel_at_period_end": True}, subscription["id"])


def _change(world: World, session: Obj, subscription: Obj, form: Mapping[str, str]) -> None:
    item: Obj = {"id": subscription["items"]["data"][0]["id"]}
    if price := form.get("price"):
        _allow(price in [one["id"] for one in prices_for(world, session, subscription)])
        item["price"] = price
    if quantity := form.get("quantity"):
        _allow(may_change_quantity(world, session) and quantity.isdecimal() and int(quantity) >= 1)
        item["quantity"] = int(quantity)
    proration = feature(world, session, "subscription_update")["proration_behavior"]
    asked = {"items": [item], "payment_behavior": "pending_if_incomplete", "proration_behavior": proration}
    subscription_api.update(world, asked, subscription["id"])


def _allow(is_allowed: bool) -> None:
    if not is_allowed:
        raise Refusal("This is not allowed on the portal.", status=403)


def _flow(world: World, configuration: Obj, customer: Obj, data: dict[str, Any] | None) -> Obj | None:
    if data is None:
        return None
    kind = data["type"]
    if kind not in FLOWS:
        message = f"The stand-in does not model the portal flow `{kind}`; real Stripe does."
        raise Refusal(message, code="not_modelled_by_stand_in", param="flow_data[type]")
    if not configuration["features"][FLOWS[kind]]["enabled"]:
        message = f"The `{kind}` flow needs the feature `{FLOWS[kind]}` to be enabled in the portal configuration."
        raise Refusal(message, param="flow_data[type]")
    flow: Obj = {"subscription_cancel": None, "subscription_update": None, "subscription_update_confirm": None}
    if kind != "payment_method_update":
        at = f"flow_data[{kind}]"
        if kind not in data:
            raise Refusal(f"Missing required param: {at}.", code="parameter_missing", param=at)
        subscription = world.named(data[kind]["subscription"], "subscription", f"{at}[subscription]")
        if subscription["customer"] != customer["id"] or subscription["status"] in subscriptions.ENDED:
            raise Refusal("The subscription is not one of this customer that runs.", param=f"{at}[subscription]")
        more = {"retention": None} if kind == "subscription_cancel" else {}
        flow[kind] = more | ({"discounts": None} if kind == "subscription_update_confirm" else {}) | data[kind]
    after = {"hosted_confirmation": None, "redirect": None} | data.get("after_completion", {"type": "portal_homepage"})
    return flow | {"after_completion": after, "customer_update": None, "subscription_pause": None, "type": kind}


def _list_configurations(world: World, params: dict[str, Any]) -> Obj:
    equal = {name: params.get(name) for name in ("active", "is_default")}
    return views.page(world, "billing_portal.configuration", params, "/v1/billing_portal/configurations", equal=equal)


CONFIGURATIONS = "/v1/billing_portal/configurations"
OPERATIONS = (
    Operation(
        "POST",
        CONFIGURATIONS,
        "billing_portal._configuration_create_params",
        create_configuration,
        ("login_page.enabled", "features.subscription_pause.enabled", "features.customer_update.enabled"),
    ),
    Operation("GET", CONFIGURATIONS, "billing_portal._configuration_list_params", _list_configurations),
    Operation(
        "GET",
        CONFIGURATIONS + "/{}",
        "billing_portal._configuration_retrieve_params",
        views.retrieve("billing_portal.configuration"),
    ),
    Operation(
        "POST",
        "/v1/billing_portal/sessions",
        "billing_portal._session_create_params",
        create_session,
        ("after_expiration", "customer_account", "on_behalf_of"),
    ),
)
