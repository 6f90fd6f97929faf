"""Checkout sessions: what the merchant opens and the buyer pays, before it expires by itself."""

from typing import Any
from urllib.parse import urlsplit

from tools.standins import cards, catalog, invoices, money, subscription_api, subscriptions, views
from tools.standins.operation import Operation, merged_metadata
from tools.standins.store import Obj, new_id
from tools.standins.wire import Refusal, missing
from tools.standins.world import World

SHORTEST_S, LONGEST_S = 30 * 60, 24 * 3600
MAX_LINE_ITEMS, MAX_QUANTITY, MAX_REFERENCE = 100, 999_999, 200
MINIMUM = {"gbp": 30, "jpy": 50, "sek": 300, "nok": 300, "dkk": 250, "mxn": 1000, "hkd": 400, "pln": 200, "idr": 0}


def create(world: World, params: dict[str, Any]) -> Obj:
    """Open a session for the cart in *params*."""
    mode = params.get("mode") or _lacks("mode")
    now = world.now()
    _check(params, mode, now)
    customer = params.get("customer")
    if customer is not None:
        world.named(customer, "customer", "customer")
    lines = [_line(world, one, f"line_items[{i}]") for i, one in enumerate(params["line_items"])]
    _check_lines(lines, mode)
    trial = bool(params.get("subscription_data", {}).get("trial_period_days")) or bool(
        params.get("subscription_data", {}).get("trial_end")
    )
    due = sum(line["amount_total"] for line in lines if not (trial and line["price"]["recurring"]))
    currency = lines[0]["currency"]
    if 0 < due < MINIMUM.get(currency, 50):
        least = f"{MINIMUM.get(currency, 50) / 100:.2f} {currency}"
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
        money.cancel_intent(world, intent, "expired")
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


def intent_for(world: World, session: Obj) -> Obj:
    """Return the payment intent of a *session*, made at the first attempt to pay."""
    if intent := world.store.get(world.store.noted(session["id"], "intent")):
        return intent
    data = world.store.noted(session["id"], "intent_data", {})
    names = ("description", "receipt_email", "setup_future_usage", "statement_descriptor", "transfer_group")
    fields = {name: data[name] for name in names if name in data}
    fields["metadata"] = merged_metadata({}, data.get("metadata"))
    fields["payment_method_types"] = session["payment_method_types"]
    amount, currency = session["amount_total"], session["currency"]
    intent = money.make_intent(world, amount, currency, customer=session["customer"], **fields)
    world.store.note(session["id"], "intent", intent["id"])
    if session["mode"] == "payment":
        world.change(session, payment_intent=intent["id"])
    return intent


def complete(world: World, session: Obj, method: Obj, email: str | None, *, paid: bool) -> Obj | None:
    """Let the buyer be done: the session completes, `paid` or with the payment still to come.

    Returns the event `checkout.session.completed`, unless a fault lost it.
    """
    world.store.unschedule("session.expire", session["id"])
    intent = world.store.get(world.store.noted(session["id"], "intent"))
    customer = _customer(world, session, method, email)
    if intent and customer and intent["customer"] is None:
        world.change(intent, customer=customer["id"])
    if session["mode"] == "subscription" and paid:
        _begin_subscription(world, session, customer, method, intent)
    status = "unpaid" if not paid else "paid" if intent else "no_payment_required"
    fields = {"status": "complete", "payment_status": status, "url": None}
    world.change(session, **fields, customer_details=_details(email, customer))
    return world.emit("checkout.session.completed", session)


def settle_delayed(world: World, intent_id: str) -> None:
    """Let a delayed payment succeed or fail, as its method decided."""
    intent = world.store.need(intent_id)
    method = world.store.need(intent["payment_method"])
    good = world.store.noted(intent_id, "outcome") == "delayed_success"
    session = _session_of(world, intent)
    if good:
        money.succeed(world, intent, method)
    else:
        money.decline(world, intent, method, "debit_failed")
    if session is None:
        return
    if good:
        if session["mode"] == "subscription":
            customer = world.store.need(session["customer"])
            _begin_subscription(world, session, customer, method, intent)
        world.change(session, payment_status="paid")
    world.emit(f"checkout.session.async_payment_{'succeeded' if good else 'failed'}", session)


def _session_of(world: World, intent: Obj) -> Obj | None:
    row = world.store.db.execute(
        "SELECT id FROM notes WHERE name = 'intent' AND value = ?", (f'"{intent["id"]}"',)
    ).fetchone()
    return world.store.get(row["id"]) if row else None


def _begin_subscription(world: World, session: Obj, customer: Obj, method: Obj, intent: Obj | None) -> None:
    lines = lines_of(world, session)
    data = world.store.noted(session["id"], "subscription_data", {})
    recurring = [line for line in lines if line["price"]["recurring"]]
    items = [subscriptions.item(world, line["price"], line["quantity"]) for line in recurring]
    trial_end = subscription_api.trial_end_of(world, data, items[0]["price"])
    subscription = subscriptions.begin(
        world,
        customer,
        items,
        trial_end=trial_end,
        default_payment_method=method["id"],
        description=data.get("description"),
        metadata=merged_metadata({}, data.get("metadata")),
        status="trialing" if trial_end else "active",
    )
    invoice = world.store.need(subscription["latest_invoice"])
    world.emit("customer.subscription.created", subscription)
    invoices.mark_paid(world, invoice, intent)
    world.change(session, subscription=subscription["id"], invoice=invoice["id"])


def _customer(world: World, session: Obj, method: Obj, email: str | None) -> Obj:
    """Return the buyer as a customer; a guest is one whose id is None."""
    if session["customer"]:
        customer = world.store.need(session["customer"])
    elif session["mode"] == "subscription" or session["customer_creation"] == "always":
        customer = catalog.create_customer(world, {"email": email} if email else {})
        world.change(session, customer=customer["id"])
    else:
        return {"id": None, "email": email, "name": None, "phone": None}
    keeps = world.store.noted(session["id"], "intent_data", {}).get("setup_future_usage")
    if session["mode"] == "subscription" or keeps:
        world.change(method, customer=customer["id"])
        world.emit("payment_method.attached", method)
    return customer


def _details(email: str | None, customer: Obj) -> Obj:
    return {
        "address": cards.EMPTY_ADDRESS,
        "business_name": None,
        "email": customer["email"] or email,
        "individual_name": None,
        "name": customer["name"],
        "phone": customer["phone"],
        "tax_exempt": "none",
        "tax_ids": [],
    }


def _line(world: World, asked: dict[str, Any], at: str) -> Obj:
    quantity = asked.get("quantity")
    if quantity is None:
        raise missing(f"{at}[quantity]")
    if not 1 <= quantity <= MAX_QUANTITY:
        low = "This value must be greater than or equal to 1."
        message = low if quantity < 1 else f"This value must be less than or equal to {MAX_QUANTITY}."
        raise Refusal(message, code="parameter_invalid_integer", param=f"{at}[quantity]")
    price = catalog.price_of(world, asked, at)
    product = world.store.need(price["product"])
    total = price["unit_amount"] * quantity
    return {
        "id": new_id("li_1", 23),
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": total,
        "amount_tax": 0,
        "amount_total": total,
        "currency": price["currency"],
        "description": product["name"],
        "metadata": merged_metadata({}, asked.get("metadata")),
        "price": price,
        "quantity": quantity,
    }


def _check_lines(lines: list[Obj], mode: str) -> None:
    recurring = [line for line in lines if line["price"]["recurring"]]
    if mode == "payment" and recurring:
        message = (
            "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode or use "
        )
        raise Refusal(f"{message}only one-time prices.", param="line_items")
    if mode == "subscription" and not recurring:
        message = "You must provide at least one recurring price in `subscription` mode when using prices."
        raise Refusal(message, param="mode")
    if len(recurring) != len(lines) and recurring:
        message = "The stand-in does not model one-time prices beside recurring ones; real Stripe does."
        raise Refusal(message, code="not_modelled_by_stand_in", param="line_items")
    if len({line["currency"] for line in lines}) > 1:
        raise Refusal("All line items must have the same currency.", param="line_items")
    cycles = {(ln["price"]["recurring"]["interval"], ln["price"]["recurring"]["interval_count"]) for ln in recurring}
    if len(cycles) > 1:
        message = "Checkout does not support multiple prices with different billing intervals."
        raise Refusal(message, param="line_items")


def _check(params: dict[str, Any], mode: str, now: int) -> None:
    if mode == "setup" or params.get("ui_mode", "hosted_page") != "hosted_page":
        message = "The stand-in models hosted pages in the modes `payment` and `subscription` alone; Stripe has more."
        raise Refusal(message, code="not_modelled_by_stand_in", param="mode" if mode == "setup" else "ui_mode")
    if params.get("payment_intent_data", {}).get("capture_method") == "manual":
        message = "The stand-in does not model manual capture; real Stripe does."
        raise Refusal(message, code="not_modelled_by_stand_in", param="payment_intent_data[capture_method]")
    if not params.get("line_items"):
        raise missing("line_items")
    if len(params["line_items"]) > MAX_LINE_ITEMS:
        raise Refusal(f"You can only pass up to {MAX_LINE_ITEMS} line items.", param="line_items")
    if "success_url" not in params:
        raise missing("success_url")
    for name in ("success_url", "cancel_url"):
        if name in params and not _is_url(params[name]):
            raise Refusal("Not a valid URL", code="url_invalid", param=name)
    other = "subscription_data" if mode == "payment" else "payment_intent_data"
    if other in params:
        raise Refusal(f"You can not pass `{other}` in `{mode}` mode.", param=other)
    if "customer" in params and "customer_email" in params:
        message = "You may only specify one of these parameters: customer, customer_email."
        raise Refusal(message, param="customer")
    if mode == "subscription" and "customer_creation" in params:
        raise Refusal("`customer_creation` can only be used in `payment` mode.", param="customer_creation")
    if len(params.get("client_reference_id", "")) > MAX_REFERENCE:
        message = f"Invalid string: must be at most {MAX_REFERENCE} characters"
        raise Refusal(message, code="parameter_invalid_string", param="client_reference_id")
    life = params.get("expires_at", now + LONGEST_S) - now
    if life < SHORTEST_S:
        message = "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation."
        raise Refusal(message, param="expires_at")
    if life > LONGEST_S:
        message = "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation."
        raise Refusal(message, param="expires_at")


def _session(world: World, params: dict[str, Any], mode: str, due: int, currency: str) -> Obj:
    id_, now = new_id("cs_test_a1", 58), world.now()
    customer = world.store.get(params.get("customer"))
    email = params.get("customer_email")
    creation = params.get("customer_creation", "if_required") if mode == "payment" and not customer else None
    return {
        "id": id_,
        "object": "checkout.session",
        "adaptive_pricing": None,
        "after_expiration": None,
        "allow_promotion_codes": params.get("allow_promotion_codes"),
        "amount_subtotal": due,
        "amount_total": due,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "billing_address_collection": params.get("billing_address_collection"),
        "cancel_url": params.get("cancel_url"),
        "client_reference_id": params.get("client_reference_id"),
        "client_secret": None,
        "collected_information": None,
        "consent": None,
        "consent_collection": None,
        "created": now,
        "currency": currency,
        "currency_conversion": None,
        "custom_fields": [],
        "custom_text": {
            "after_submit": None,
            "shipping_address": None,
            "submit": None,
            "terms_of_service_acceptance": None,
        },
        "customer": customer and customer["id"],
        "customer_account": None,
        "customer_creation": creation,
        "customer_details": _details(email, customer) if customer else None,
        "customer_email": email,
        "discounts": [],
        "expires_at": params.get("expires_at", now + LONGEST_S),
        "invoice": None,
        "invoice_creation": None,
        "livemode": False,
        "locale": params.get("locale"),
        "metadata": merged_metadata({}, params.get("metadata")),
        "mode": mode,
        "origin_context": params.get("origin_context"),
        "payment_intent": None,
        "payment_link": None,
        "payment_method_collection": "always" if mode == "subscription" else "if_required",
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": ["card", "sepa_debit"],
        "payment_status": "unpaid",
        "permissions": None,
        "phone_number_collection": {"enabled": False},
        "recovered_from": None,
        "saved_payment_method_options": None,
        "setup_intent": None,
        "shipping_address_collection": None,
        "shipping_cost": None,
        "shipping_options": [],
        "status": "open",
        "submit_type": params.get("submit_type"),
        "subscription": None,
        "success_url": params["success_url"],
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "url": f"{world.seen_as}/stripe/pay/{id_}",
        "wallet_options": None,
    }


def _is_url(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and " " not in text and len(text) <= 5000


def _lacks(name: str) -> str:
    raise missing(name)


def _include_lines(world: World, session: Obj) -> Obj:
    lines = lines_of(world, session)
    return views.listed(lines[:10], f"/v1/checkout/sessions/{session['id']}/line_items", has_more=len(lines) > 10)


def _list_lines(world: World, params: dict[str, Any], id_: str) -> Obj:
    lines = lines_of(world, world.named(id_, "checkout.session"))
    ids = [line["id"] for line in lines]
    if (cursor := params.get("starting_after")) in ids:
        lines = lines[ids.index(cursor) + 1 :]
    limit = params.get("limit", 10)
    return views.listed(lines[:limit], f"/v1/checkout/sessions/{id_}/line_items", has_more=len(lines) > limit)


def _list(world: World, params: dict[str, Any]) -> Obj:
    equal = {name: params.get(name) for name in ("customer", "status", "payment_intent", "subscription")}
    equal["customer_details__email"] = params.get("customer_details", {}).get("email")
    return views.page(world, "checkout.session", params, "/v1/checkout/sessions", equal=equal)


def _retrieve(world: World, _: dict[str, Any], id_: str) -> Obj:
    return world.named(id_, "checkout.session")


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
    Operation("GET", "/v1/checkout/sessions/{}", "checkout._session_retrieve_params", _retrieve),
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
