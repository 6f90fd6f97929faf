"""Customers, their payment methods, products and prices."""

from typing import Any

from tools.standins import cards, views
from tools.standins.operation import Operation, merged_metadata
from tools.standins.store import Obj, new_id
from tools.standins.wire import Refusal, missing
from tools.standins.world import World

MAX_AMOUNT = 99_999_999
CUSTOMER_FIELDS = ("address", "description", "email", "name", "phone", "preferred_locales", "shipping", "tax_exempt")
NAME_FIELDS = ("business_name", "individual_name")
PRODUCT_FIELDS = ("active", "description", "images", "name", "statement_descriptor", "unit_label", "url")


def create_customer(world: World, params: dict[str, Any]) -> Obj:
    """Make a customer, with a payment method attached where one is given."""
    _check_email(params)
    customer = world.make(
        "customer",
        "cus_",
        14,
        address=params.get("address") or None,
        balance=params.get("balance", 0),
        currency=None,
        customer_account=None,
        default_source=None,
        delinquent=False,
        description=params.get("description"),
        discount=None,
        email=params.get("email"),
        invoice_prefix=params.get("invoice_prefix", new_id("", 8).upper()),
        invoice_settings={
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        metadata=merged_metadata({}, params.get("metadata")),
        name=params.get("name"),
        next_invoice_sequence=params.get("next_invoice_sequence", 1),
        phone=params.get("phone"),
        preferred_locales=params.get("preferred_locales", []),
        shipping=params.get("shipping") or None,
        tax_exempt=params.get("tax_exempt") or "none",
        test_clock=None,
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


def delete_customer(world: World, _: dict[str, Any], id_: str) -> Obj:
    """Delete a customer. Its subscriptions are cancelled by the caller of the operation."""
    customer = world.named(id_, "customer")
    world.emit("customer.deleted", customer)
    return world.store.put({"id": id_, "object": "customer", "deleted": True})


def list_customers(world: World, params: dict[str, Any]) -> Obj:
    """Return customers, by e-mail address where one is given."""
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


def create_product(world: World, params: dict[str, Any], *, active: bool = True) -> Obj:
    """Make a product; one made for a single price in passing is not *active*."""
    now = world.now()
    if world.store.get(params.get("id")):
        raise Refusal("Product already exists.", code="resource_already_exists", param="id")
    fields = {name: params.get(name) for name in PRODUCT_FIELDS}
    fields |= {"active": params.get("active", active), "images": params.get("images", [])}
    product = {
        "id": params.get("id") or new_id("prod_", 14),
        "object": "product",
        "created": now,
        "livemode": False,
        "default_price": None,
        "marketing_features": params.get("marketing_features", []),
        "metadata": merged_metadata({}, params.get("metadata")),
        "package_dimensions": None,
        "shippable": None,
        "tax_code": params.get("tax_code"),
        "type": params.get("type", "service"),
        "updated": now,
    }
    world.store.put(product | fields)
    if price := params.get("default_price_data"):
        made = create_price(world, price | {"product": product["id"]})
        product["default_price"] = made["id"]
        world.store.put(product | fields)
    world.emit("product.created", product | fields)
    return product | fields


def update_product(world: World, params: dict[str, Any], id_: str) -> Obj:
    """Change a product."""
    product = world.named(id_, "product")
    fields = {name: params[name] for name in PRODUCT_FIELDS if name in params}
    fields["metadata"] = merged_metadata(product["metadata"], params.get("metadata"))
    return world.change(product, "product.updated", **fields, updated=world.now())


def create_price(world: World, params: dict[str, Any], *, active: bool = True, at: str = "") -> Obj:
    """Make a price, and its product where it is described in passing. *at* names the place in the params."""
    path = f"{at}[{{}}]" if at else "{}"
    if "product" in params:
        product = world.named(params["product"], "product", path.format("product"))
    elif data := params.get("product_data"):
        product = create_product(world, data, active=active)
    else:
        raise missing(path.format("product"))
    amount = _amount(params, path)
    recurring = params.get("recurring")
    price = world.make(
        "price",
        "price_1",
        23,
        active=params.get("active", active),
        billing_scheme="per_unit",
        currency=_currency(params["currency"], path.format("currency")),
        custom_unit_amount=None,
        lookup_key=params.get("lookup_key"),
        metadata=merged_metadata({}, params.get("metadata")),
        nickname=params.get("nickname"),
        product=product["id"],
        recurring=recurring
        and {
            "interval": recurring["interval"],
            "interval_count": recurring.get("interval_count", 1),
            "meter": None,
            "trial_period_days": recurring.get("trial_period_days"),
            "usage_type": "licensed",
        },
        tax_behavior=params.get("tax_behavior", "unspecified"),
        tiers_mode=None,
        transform_quantity=None,
        type="recurring" if recurring else "one_time",
        unit_amount=amount,
        unit_amount_decimal=str(amount),
    )
    if active:
        world.emit("price.created", price)
    return price


def update_price(world: World, params: dict[str, Any], id_: str) -> Obj:
    """Change a price; its amount can never change."""
    price = world.named(id_, "price")
    fields: dict[str, Any] = {name: params[name] for name in ("active", "nickname", "lookup_key") if name in params}
    fields["metadata"] = merged_metadata(price["metadata"], params.get("metadata"))
    return world.change(price, "price.updated", **fields)


def list_prices(world: World, params: dict[str, Any]) -> Obj:
    """Return prices, by product, currency or type where one is given."""
    equal = {name: params.get(name) for name in ("product", "currency", "type", "active")}
    return views.page(world, "price", params, "/v1/prices", equal=equal)


def price_of(world: World, item: dict[str, Any], at: str) -> Obj:
    """Return the price that *item* names or describes. *at* names the place in the params."""
    if "price" in item and "price_data" in item:
        message = f"You may only specify one of these parameters: {at}[price], {at}[price_data]."
        raise Refusal(message, param=at)
    if "price" in item:
        price = world.named(item["price"], "price", f"{at}[price]")
        if not price["active"]:
            message = "The price specified is inactive. This field only accepts active prices."
            raise Refusal(message, param=f"{at}[price]")
        return price
    if "price_data" in item:
        return create_price(world, item["price_data"], active=False, at=f"{at}[price_data]")
    raise missing(f"{at}[price]")


def _amount(params: dict[str, Any], path: str) -> int:
    if "unit_amount" in params:
        amount = int(params["unit_amount"])
    elif "unit_amount_decimal" in params:
        amount = round(float(params["unit_amount_decimal"]))
    else:
        raise missing(path.format("unit_amount"))
    if amount < 0:
        message = "This value must be greater than or equal to 0."
        raise Refusal(message, code="parameter_invalid_integer", param=path.format("unit_amount"))
    if amount > MAX_AMOUNT:
        message = f"Amount must be no more than {MAX_AMOUNT}."
        raise Refusal(message, code="amount_too_large", param=path.format("unit_amount"))
    return amount


def _currency(raw: str, param: str) -> str:
    if len(raw) != 3 or not raw.isascii() or not raw.isalpha():
        raise Refusal(f"Invalid currency: {raw}. Stripe wants a three-letter ISO code.", param=param)
    return raw.lower()


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


def _retrieve(kind: str) -> Any:
    return lambda world, _, id_: world.named(id_, kind)


def _list_products(world: World, params: dict[str, Any]) -> Obj:
    return views.page(world, "product", params, "/v1/products", equal={"active": params.get("active")})


OPERATIONS = (
    Operation(
        "POST", "/v1/customers", "_customer_create_params", create_customer, ("source", "tax_id_data", "test_clock")
    ),
    Operation("GET", "/v1/customers", "_customer_list_params", list_customers, ("test_clock",)),
    Operation("GET", "/v1/customers/{}", "_customer_retrieve_params", retrieve_customer),
    Operation("POST", "/v1/customers/{}", "_customer_update_params", update_customer, ("source", "default_source")),
    Operation("GET", "/v1/payment_methods", "_payment_method_list_params", list_payment_methods),
    Operation("GET", "/v1/payment_methods/{}", "_payment_method_retrieve_params", _retrieve("payment_method")),
    Operation("POST", "/v1/payment_methods/{}/attach", "_payment_method_attach_params", attach_payment_method),
    Operation("POST", "/v1/products", "_product_create_params", create_product),
    Operation("GET", "/v1/products", "_product_list_params", _list_products, ("ids", "url", "shippable")),
    Operation("GET", "/v1/products/{}", "_product_retrieve_params", _retrieve("product")),
    Operation("POST", "/v1/products/{}", "_product_update_params", update_product, ("default_price",)),
    Operation(
        "POST",
        "/v1/prices",
        "_price_create_params",
        create_price,
        ("tiers", "currency_options", "custom_unit_amount", "transform_quantity"),
    ),
    Operation("GET", "/v1/prices", "_price_list_params", list_prices, ("lookup_keys", "recurring")),
    Operation("GET", "/v1/prices/{}", "_price_retrieve_params", _retrieve("price")),
    Operation("POST", "/v1/prices/{}", "_price_update_params", update_price, ("currency_options",)),
)
