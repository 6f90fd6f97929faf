"""Checkout sessions: what the merchant opens and the buyer pays, before it expires by itself."""

from typing import Any

from tools.fakes.store import Obj
from tools.fakes.stripe import cart, choices, currencies, customers, payments, promotions, trials, views
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
    customer = world.named(params["customer"], "customer", "customer") if "customer" in params else None
    choices.check(params, customer)
    lines = [cart.line(world, one, f"line_items[{i}]") for i, one in enumerate(params["line_items"])]
    cart.check_lines(lines, mode)
    trial = trials.end_on_page(world, params.get("subscription_data", {}), lines[0]["price"])
    currency = lines[0]["currency"]
    if customer is not None and mode == "subscription":
        customers.check_currency(world, customer["id"], currency)
    session = _session(world, params, mode, currency)
    for name in ("customer_update", "payment_intent_data", "subscription_data"):
        world.store.note(session["id"], name, params.get(name, {}))
    world.store.note(session["id"], "trial", trial is not None)
    _discount(world, session, lines, params)
    choices.total_up(world, session, lines)
    currencies.check_total(session["amount_total"], currency)
    world.store.schedule(session["expires_at"], "session.expire", session["id"])
    return session


def _discount(world: World, session: Obj, lines: list[Obj], params: dict[str, Any]) -> None:
    """Give a *session* the discount that the merchant wants for it."""
    discount = promotions.asked(world, params.get("discounts", []))
    if discount is None:
        return
    total = sum(one["price"]["unit_amount"] * one["quantity"] for one in lines)
    if problem := promotions.why_not(world, discount, session["customer"], total, session["currency"]):
        raise Refusal(problem, param="discounts")
    session["discounts"] = [discount]


def expire(world: World, _: dict[str, Any], id_: str) -> Obj:
    """Expire a session by the merchant's wish. Only an open session can expire."""
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


def _session(world: World, params: dict[str, Any], mode: str, currency: str) -> Obj:
    customer, email = world.store.get(params.get("customer")), params.get("customer_email")
    invoiced = _invoice_creation(world, params, mode)
    wanted = "always" if invoiced else params.get("customer_creation", "if_required")
    creation = wanted if mode == "payment" and not customer else None
    session = world.draft(
        "checkout.session",
        "cs_test_a1",
        58,
        automatic_tax={"enabled": params.get("automatic_tax", {}).get("enabled", False)},
        currency=currency,
        customer=customer and customer["id"],
        customer_creation=creation,
        customer_details=details(email, customer) if customer else None,
        expires_at=params.get("expires_at", world.now() + cart.LONGEST_S),
        invoice_creation=invoiced,
        metadata=merged_metadata({}, params.get("metadata")),
        mode=mode,
        payment_method_collection="always" if mode == "subscription" else "if_required",
        payment_method_types=cart.methods(params),
        tax_id_collection={"enabled": False, "required": "never"} | params.get("tax_id_collection", {}),
        **{name: params[name] for name in AS_ASKED if name in params},
    )
    return session | {"url": f"{world.seen_as}/stripe/pay/{session['id']}"}


def _invoice_creation(world: World, params: dict[str, Any], mode: str) -> Obj | None:
    """Return what a session shows of the invoice that it makes when it is paid, if *params* ask for one."""
    if not params.get("invoice_creation", {}).get("enabled"):
        return None
    if mode != "payment":
        message = "You can only enable invoice creation when `mode` is set to `payment`."
        raise Refusal(message, param="invoice_creation")
    customer = world.store.get(params.get("customer"))
    beside = {"customer balance": customer and customer["balance"]}
    beside |= {name: params.get(name) for name in ("discounts", "automatic_tax", "allow_promotion_codes")}
    for name, given in beside.items():
        if given:
            message = f"The stand-in does not model `{name}` beside `invoice_creation`; real Stripe does."
            raise Refusal(message, code="not_modelled_by_stand_in", param=name)
    names = ("account_tax_ids", "custom_fields", "description", "footer", "issuer", "rendering_options")
    return {"enabled": True, "invoice_data": {**dict.fromkeys(names), "metadata": {}}}


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
    equal = {
        name: params.get(name) for name in ("customer", "payment_link", "status", "payment_intent", "subscription")
    }
    equal["customer_details__email"] = params.get("customer_details", {}).get("email")
    return views.page(world, "checkout.session", params, "/v1/checkout/sessions", equal=equal)


def _update(world: World, params: dict[str, Any], id_: str) -> Obj:
    session = world.named(id_, "checkout.session")
    return world.change(session, metadata=merged_metadata(session["metadata"], params.get("metadata")))


views.INCLUDABLE["checkout.session", "line_items"] = _include_lines

BEYOND = (
    "after_expiration.recovery.enabled",
    "automatic_tax.liability",
    "currency",
    "custom_fields",
    "invoice_creation.invoice_data",
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
)
OPERATIONS = (
    Operation("POST", "/v1/checkout/sessions", "checkout._session_create_params", create, BEYOND),
    Operation("GET", "/v1/checkout/sessions", "checkout._session_list_params", _list),
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
