"""Customers and the payment methods that they keep on file."""

from typing import Any

from tools.fakes.store import Obj, new_id
from tools.fakes.stripe import cards, subscriptions, views
from tools.fakes.stripe.operation import Operation, merged_metadata
from tools.fakes.stripe.wire import Refusal, missing
from tools.fakes.stripe.world import World

CUSTOMER_FIELDS = ("address", "description", "email", "name", "phone", "preferred_locales", "shipping", "tax_exempt")
AS_ASKED = ("balance", "description", "email", "name", "next_invoice_sequence", "phone", "preferred_locales")
NAME_FIELDS = ("business_name", "individual_name")


def create_customer(world: World, params: dict[str, Any]) -> Obj:
    """Make a customer, with a payment method attached if one is given."""
    _check_email(params)
    customer = world.make(
        "customer",
        "cus_",
        14,
        address=params.get("address") or None,
        invoice_prefix=params.get("invoice_prefix", new_id("", 8).upper()),
        metadata=merged_metadata({}, params.get("metadata")),
        shipping=params.get("shipping") or None,
        tax_exempt=params.get("tax_exempt") or "none",
        **{name: params[name] for name in AS_ASKED if name in params},
        **{name: params[name] or None for name in NAME_FIELDS if name in params},
    )
    if token := params.get("payment_method"):
        attach(world, token, customer)
    if wanted := params.get("invoice_settings", {}).get("default_payment_method"):
        customer["invoice_settings"]["default_payment_method"] = _attached(world, wanted, customer)["id"]
    world.store.put(customer)
    world.emit("customer.created", customer)
    return customer


def update_customer(world: World, params: dict[str, Any], id_: str) -> Obj:
    """Change a customer."""
    customer = world.named(id_, "customer")
    _check_email(params)
    names = (*CUSTOMER_FIELDS, *NAME_FIELDS)
    fields = {name: params[name] or None for name in names if name in params}
    if "balance" in params:
        fields["balance"] = params["balance"]
    fields["metadata"] = merged_metadata(customer["metadata"], params.get("metadata"))
    if settings := params.get("invoice_settings"):
        wanted = settings.get("default_payment_method", customer["invoice_settings"]["default_payment_method"])
        default = _attached(world, wanted, customer)["id"] if wanted else None
        fields["invoice_settings"] = customer["invoice_settings"] | {"default_payment_method": default}
    return world.change(customer, "customer.updated", **fields)


def retrieve_customer(world: World, _: dict[str, Any], id_: str) -> Obj:
    """Return a customer, or the stub of a deleted one."""
    return world.named(id_, "customer", deleted=True)


def list_customers(world: World, params: dict[str, Any]) -> Obj:
    """Return customers, by e-mail address if one is given."""
    return views.page(world, "customer", params, "/v1/customers", equal={"email": params.get("email")})


def attach(world: World, token: str, customer: Obj) -> Obj:
    """Attach a payment method, or a test card named by Stripe's token, to *customer*."""
    if card := cards.BY_ALIAS.get(token):
        return cards.save(world, card, email=customer["email"], customer=customer["id"])
    method = world.named(token, "payment_method", "payment_method")
    if method["customer"] not in (None, customer["id"]):
        message = "The payment method you provided has already been attached to a customer."
        raise Refusal(message, code="payment_method_unexpected_state", param="payment_method")
    world.store.put(method | {"customer": customer["id"]})
    return method | {"customer": customer["id"]}


def attach_payment_method(world: World, params: dict[str, Any], id_: str) -> Obj:
    """Attach a payment method to the customer named."""
    if "customer" not in params:
        raise missing("customer")
    return attach(world, id_, world.named(params["customer"], "customer", "customer"))


def list_payment_methods(world: World, params: dict[str, Any]) -> Obj:
    """Return the payment methods of a customer."""
    type_, customer = params.get("type"), params.get("customer")
    return views.page(
        world, "payment_method", params, "/v1/payment_methods", equal={"type": type_, "customer": customer}
    )


def _check_email(params: dict[str, Any]) -> None:
    email = params.get("email")
    if email and ("@" not in email.strip("@") or " " in email):
        raise Refusal(f"Invalid email address: {email}", code="email_invalid", param="email")


def _attached(world: World, wanted: str, customer: Obj) -> Obj:
    if wanted in cards.BY_ALIAS:
        return attach(world, wanted, customer)
    method = world.named(wanted, "payment_method", "invoice_settings[default_payment_method]")
    if method["customer"] != customer["id"]:
        message = f"The customer does not have a payment method with the ID {wanted}. It must be attached first."
        raise Refusal(message, code="resource_missing", param="invoice_settings[default_payment_method]")
    return method


def check_currency(world: World, customer: str, currency: str) -> None:
    """Refuse to bill a *customer* in a *currency* while a subscription or an open page of theirs is in another."""
    running = [s for s in world.store.by("subscription", customer=customer) if s["status"] not in subscriptions.ENDED]
    pages = world.store.by("checkout.session", customer=customer, status="open", mode="subscription")
    others = [one["currency"] for one in (*running, *pages) if one["currency"] != currency]
    if others:
        message = (
            "You cannot combine currencies on a single customer. This customer has an active subscription, "
            f"subscription schedule, discount, quote, or invoice item with currency {others[0]}."
        )
        raise Refusal(message)


def method_for(world: World, params: dict[str, Any], customer: Obj) -> Obj | None:
    """Return the payment method that *params* name for a *customer*, or else their default one."""
    if wanted := params.get("default_payment_method"):
        if wanted in cards.BY_ALIAS:
            return attach(world, wanted, customer)
        method = world.named(wanted, "payment_method", "default_payment_method")
        if method["customer"] != customer["id"]:
            message = f"The customer does not have a payment method with the ID {wanted}."
            raise Refusal(message, code="resource_missing", param="default_payment_method")
        return method
    return world.store.get(customer["invoice_settings"]["default_payment_method"])


def delete_customer(world: World, _: dict[str, Any], id_: str) -> Obj:
    """Delete a customer and end their subscriptions."""
    customer = world.named(id_, "customer")
    for subscription in world.store.by("subscription", customer=id_):
        if subscription["status"] not in subscriptions.ENDED:
            subscriptions.end(world, subscription, "cancellation_requested")
    world.emit("customer.deleted", customer)
    return world.store.put({"id": id_, "object": "customer", "deleted": True})


def _of_customer(world: World, customer: Obj) -> Obj:
    found = [
        s for s in world.store.by("subscription", customer=customer["id"]) if s["status"] not in subscriptions.ENDED
    ]
    return views.listed(found, f"/v1/customers/{customer['id']}/subscriptions")


views.INCLUDABLE["customer", "subscriptions"] = _of_customer

OPERATIONS = (
    Operation(
        "POST", "/v1/customers", "_customer_create_params", create_customer, ("source", "tax_id_data", "test_clock")
    ),
    Operation("GET", "/v1/customers", "_customer_list_params", list_customers, ("test_clock",)),
    Operation("GET", "/v1/customers/{}", "_customer_retrieve_params", retrieve_customer),
    Operation("POST", "/v1/customers/{}", "_customer_update_params", update_customer, ("source", "default_source")),
    Operation("DELETE", "/v1/customers/{}", "_customer_delete_params", delete_customer),
    Operation("GET", "/v1/payment_methods", "_payment_method_list_params", list_payment_methods),
    Operation("GET", "/v1/payment_methods/{}", "_payment_method_retrieve_params", views.retrieve("payment_method")),
    Operation("POST", "/v1/payment_methods/{}/attach", "_payment_method_attach_params", attach_payment_method),
)
