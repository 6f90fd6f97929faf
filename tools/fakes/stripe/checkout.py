"""Checkout sessions: what the merchant opens and the buyer pays, before it expires by itself."""

from typing import Any

from tools.fakes.store import Obj
from tools.fakes.stripe import cart, payments, views
from tools.fakes.stripe.objects import made
from tools.fakes.stripe.operation import Operation, merged_metadata
from tools.fakes.stripe.wire import Refusal, missing, no_such
from tools.fakes.stripe.world import World

AS_ASKED = (
    "allow_promotion_codes",
    "billing_address_collection",
    "cancel_url",
    "client_reference_id",
    "customer_email",
    "locale",
    "origin_context",
    "submit_type",
    "success_url",
)


def create(world: World, params: dict[str, Any]) -> Obj:
    """Open a session for the cart in *params*."""
    mode = params.get("mode")
    if mode is None:
        raise missing("mode")
    now = world.now()
    cart.check(params, mode, now)
    customer = params.get("customer")
    if customer is not None:
        world.named(customer, "customer", "customer")
    lines = [cart.line(world, one, f"line_items[{i}]") for i, one in enumerate(params["line_items"])]
    cart.check_lines(lines, mode)
    trial = bool(params.get("subscription_data", {}).get("trial_period_days")) or bool(
        params.get("subscription_data", {}).get("trial_end")
    )
    due = sum(line["amount_total"] for line in lines if not (trial and line["price"]["recurring"]))
    currency = lines[0]["currency"]
    if 0 < due < cart.MINIMUM.get(currency, 50):
        least = f"{cart.MINIMUM.get(currency, 50) / 100:.2f} {currency}"
        message = f"The Checkout Session's total amount due must add up to at least {least}"
        raise Refusal(message, code="amount_too_small")
    session = _session(world, params, mode, due, currency)
    world.store.put(session)
    world.store.note(session["id"], "lines", lines)
    world.store.note(session["id"], "intent_data", params.get("payment_intent_data", {}))
    world.store.note(session["id"], "subscription_data", params.get("subscription_data", {}))
    world.store.schedule(session["expires_at"], "session.expire", session["id"])
    return session


def expire(world: World, _: dict[str, Any], id_: str) -> Obj:
    """Expire a session by the merchant's wish; only an open one can be."""
    session = world.named(id_, "checkout.session")
    if session["status"] != "open":
        message = (
            'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status of '
            f"`{session['status']}`."
        )
        raise world.conflict(message)
    return end(world, session)


def end(world: World, session: Obj) -> Obj:
    """Expire an open *session*."""
    world.store.unschedule("session.expire", session["id"])
    world.change(session, status="expired", url=None)
    if intent := world.store.get(world.store.noted(session["id"], "intent")):
        payments.cancel_intent(world, intent, "expired")
    world.emit("checkout.session.expired", session)
    return session


def expire_due(world: World, id_: str) -> None:
    """Expire a session whose time has come."""
    session = world.store.need(id_)
    if session["status"] == "open":
        end(world, session)


def lines_of(world: World, session: Obj) -> list[Obj]:
    """Return the line items of a *session*."""
    lines: list[Obj] = world.store.noted(session["id"], "lines", [])
    return lines


def details(email: str | None, customer: Obj) -> Obj:
    """Return what a session tells of its buyer."""
    return made(
        "checkout.session.customer_details",
        email=customer["email"] or email,
        name=customer["name"],
        phone=customer["phone"],
    )


def _session(world: World, params: dict[str, Any], mode: str, due: int, currency: str) -> Obj:
    customer, email = world.store.get(params.get("customer")), params.get("customer_email")
    creation = params.get("customer_creation", "if_required") if mode == "payment" and not customer else None
    session = world.draft(
        "checkout.session",
        "cs_test_a1",
        58,
        amount_subtotal=due,
        amount_total=due,
        currency=currency,
        customer=customer and customer["id"],
        customer_creation=creation,
        customer_details=details(email, customer) if customer else None,
        expires_at=params.get("expires_at", world.now() + cart.LONGEST_S),
        metadata=merged_metadata({}, params.get("metadata")),
        mode=mode,
        payment_method_collection="always" if mode == "subscription" else "if_required",
        payment_method_types=cart.methods(params),
        **{name: params[name] for name in AS_ASKED if name in params},
    )
    return session | {"url": f"{world.seen_as}/stripe/pay/{session['id']}"}


def _include_lines(world: World, session: Obj) -> Obj:
    lines = lines_of(world, session)
    return views.listed(lines[:10], f"/v1/checkout/sessions/{session['id']}/line_items", has_more=len(lines) > 10)


def _list_lines(world: World, params: dict[str, Any], id_: str) -> Obj:
    lines, limit = lines_of(world, world.named(id_, "checkout.session")), views.limit_of(params)
    ids = [line["id"] for line in lines]
    for name in params.keys() & {"starting_after", "ending_before"}:
        if params[name] not in ids:
            raise no_such("line item", params[name], name)
    if "starting_after" in params:
        lines = lines[ids.index(params["starting_after"]) + 1 :]
    if "ending_before" in params:
        lines = lines[: ids.index(params["ending_before"])]
    shown = lines[-limit:] if "ending_before" in params else lines[:limit]
    return views.listed(shown, f"/v1/checkout/sessions/{id_}/line_items", has_more=len(lines) > limit)


def _list(world: World, params: dict[str, Any]) -> Obj:
    equal = {name: params.get(name) for name in ("customer", "status", "payment_intent", "subscription")}
    equal["customer_details__email"] = params.get("customer_details", {}).get("email")
    return views.page(world, "checkout.session", params, "/v1/checkout/sessions", equal=equal)


def _update(world: World, params: dict[str, Any], id_: str) -> Obj:
    session = world.named(id_, "checkout.session")
    return world.change(session, metadata=merged_metadata(session["metadata"], params.get("metadata")))


views.INCLUDABLE["checkout.session", "line_items"] = _include_lines

BEYOND = (
    "after_expiration.recovery.enabled",
    "automatic_tax.enabled",
    "currency",
    "custom_fields",
    "discounts",
    "invoice_creation.enabled",
    "line_items.*.adjustable_quantity.enabled",
    "line_items.*.tax_rates",
    "optional_items",
    "payment_intent_data.application_fee_amount",
    "payment_intent_data.on_behalf_of",
    "payment_intent_data.transfer_data",
    "return_url",
    "setup_intent_data",
    "shipping_address_collection",
    "shipping_options",
    "subscription_data.application_fee_percent",
    "subscription_data.billing_cycle_anchor",
    "subscription_data.billing_cycle_anchor_config",
    "subscription_data.default_tax_rates",
    "subscription_data.on_behalf_of",
    "subscription_data.transfer_data",
    "subscription_data.trial_settings",
    "tax_id_collection.enabled",
)
OPERATIONS = (
    Operation("POST", "/v1/checkout/sessions", "checkout._session_create_params", create, BEYOND),
    Operation("GET", "/v1/checkout/sessions", "checkout._session_list_params", _list, ("payment_link",)),
    Operation(
        "GET", "/v1/checkout/sessions/{}", "checkout._session_retrieve_params", views.retrieve("checkout.session")
    ),
    Operation(
        "POST",
        "/v1/checkout/sessions/{}",
        "checkout._session_update_params",
        _update,
        ("collected_information", "line_items", "shipping_options"),
    ),
    Operation("POST", "/v1/checkout/sessions/{}/expire", "checkout._session_expire_params", expire),
    Operation("GET", "/v1/checkout/sessions/{}/line_items", "checkout._session_list_line_items_params", _list_lines),
)
