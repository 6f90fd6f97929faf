"""Products and prices."""

from typing import Any

from tools.fakes.store import Obj
from tools.fakes.stripe import currencies, views
from tools.fakes.stripe.operation import Operation, merged_metadata
from tools.fakes.stripe.wire import Refusal, missing
from tools.fakes.stripe.world import World

LONGEST = {"day": 3 * 365, "week": 156, "month": 36, "year": 3}
"""The longest that a period may be: three years."""
NAME_LENGTH, LOOKUP_KEY_LENGTH, MAX_LOOKUP_KEYS = 250, 200, 10
PRODUCT_FIELDS = ("active", "description", "images", "name", "statement_descriptor", "unit_label", "url")


def create_product(world: World, params: dict[str, Any], *, active: bool = True, at: str = "") -> Obj:
    """Make a product. If it is made in passing for a single price, it is not *active*.

    *at* names the place in the params.
    """
    if world.store.get(params.get("id")):
        raise Refusal("Product already exists.", code="resource_already_exists", param="id")
    _check_length(params["name"], NAME_LENGTH, f"{at}[name]" if at else "name")
    fields = {
        name: params[name]
        for name in (*PRODUCT_FIELDS, "id", "marketing_features", "tax_code", "type")
        if name in params
    }
    metadata = merged_metadata({}, params.get("metadata"))
    product = world.draft("product", "prod_", 14, **{"active": active} | fields, metadata=metadata, updated=world.now())
    world.store.put(product)
    if price := params.get("default_price_data"):
        product["default_price"] = create_price(world, price | {"product": product["id"]})["id"]
        world.store.put(product)
    world.emit("product.created", product)
    return product


def update_product(world: World, params: dict[str, Any], id_: str) -> Obj:
    """Change a product."""
    product = world.named(id_, "product")
    _check_length(params.get("name", ""), NAME_LENGTH, "name")
    fields = {name: params[name] for name in PRODUCT_FIELDS if name in params}
    fields["metadata"] = merged_metadata(product["metadata"], params.get("metadata"))
    return world.change(product, "product.updated", **fields, updated=world.now())


def create_price(world: World, params: dict[str, Any], *, active: bool = True, at: str = "") -> Obj:
    """Make a price, and its product if it is described in passing. *at* names the place in the params."""
    path = f"{at}[{{}}]" if at else "{}"
    if "product" in params:
        product = world.named(params["product"], "product", path.format("product"))
    elif data := params.get("product_data"):
        product = create_product(world, data, active=active, at=path.format("product_data"))
    else:
        raise missing(path.format("product"))
    currency = currencies.read(params["currency"], path.format("currency"))
    amount = _amount(params, currency, path)
    recurring = params.get("recurring")
    if key := params.get("lookup_key"):
        _take_lookup_key(world, key, transfer=params.get("transfer_lookup_key", False))
    price = world.make(
        "price",
        "price_1",
        active=params.get("active", active),
        currency=currency,
        metadata=merged_metadata({}, params.get("metadata")),
        product=product["id"],
        recurring=recurring and _recurring(recurring, path.format("recurring")),
        type="recurring" if recurring else "one_time",
        unit_amount=amount,
        unit_amount_decimal=str(amount),
        **{name: params[name] for name in ("lookup_key", "nickname", "tax_behavior") if name in params},
    )
    if active:
        world.emit("price.created", price)
    return price


def _recurring(asked: dict[str, Any], at: str) -> Obj:
    interval, count = asked["interval"], asked.get("interval_count", 1)
    if not 1 <= count <= LONGEST[interval]:
        message = "Invalid positive integer" if count < 1 else "The maximum interval allowed is 3 years."
        raise Refusal(message, code="parameter_invalid_integer", param=f"{at}[interval_count]")
    return {
        "interval": interval,
        "interval_count": count,
        "meter": None,
        "trial_period_days": asked.get("trial_period_days"),
        "usage_type": "licensed",
    }


def update_price(world: World, params: dict[str, Any], id_: str) -> Obj:
    """Change a price. Its amount can never change."""
    price = world.named(id_, "price")
    fields: dict[str, Any] = {name: params[name] for name in ("active", "nickname", "tax_behavior") if name in params}
    if "lookup_key" in params:
        key = params["lookup_key"] or None
        if key and key != price["lookup_key"]:
            _take_lookup_key(world, key, transfer=params.get("transfer_lookup_key", False))
        fields["lookup_key"] = key
    fields["metadata"] = merged_metadata(price["metadata"], params.get("metadata"))
    return world.change(price, "price.updated", **fields)


def list_prices(world: World, params: dict[str, Any]) -> Obj:
    """Return prices, by product, currency, type, lookup keys or interval."""
    equal = {name: params.get(name) for name in ("product", "currency", "type", "active")}
    equal |= {f"recurring__{name}": value for name, value in params.get("recurring", {}).items()}
    keys = params.get("lookup_keys", [])
    if len(keys) > MAX_LOOKUP_KEYS:
        raise Refusal(f"You can pass up to {MAX_LOOKUP_KEYS} lookup keys.", param="lookup_keys")
    named = f"json_extract(body, '$.lookup_key') IN ({', '.join('?' * len(keys))})" if keys else "1"
    return views.page(world, "price", params, "/v1/prices", also=(named, *keys), equal=equal)


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


def _amount(params: dict[str, Any], currency: str, path: str) -> int:
    if "unit_amount" in params:
        amount = int(params["unit_amount"])
    elif "unit_amount_decimal" in params:
        amount = round(float(params["unit_amount_decimal"]))
    else:
        raise missing(path.format("unit_amount"))
    currencies.check_amount(amount, currency, path.format("unit_amount"))
    return amount


def _take_lookup_key(world: World, key: str, *, transfer: bool) -> None:
    """Let another price have the lookup *key*; the active price that has it loses it only if *transfer* says so."""
    _check_length(key, LOOKUP_KEY_LENGTH, "lookup_key")
    for holder in world.store.by("price", lookup_key=key):
        if not transfer and holder["active"]:
            message = f"A price (`{holder['id']}`) already uses that lookup key."
            raise Refusal(message, code="resource_already_exists", param="lookup_key")
        if transfer:
            world.change(holder, "price.updated", lookup_key=None)


def _check_length(text: str, most: int, param: str) -> None:
    if len(text) > most:
        message = f"Invalid string: {text[:10]}...{text[-4:]}; must be at most {most} characters"
        raise Refusal(message, code="parameter_invalid_string", param=param)


def _list_products(world: World, params: dict[str, Any]) -> Obj:
    return views.page(world, "product", params, "/v1/products", equal={"active": params.get("active")})


OPERATIONS = (
    Operation("POST", "/v1/products", "_product_create_params", create_product),
    Operation("GET", "/v1/products", "_product_list_params", _list_products, ("ids", "url", "shippable")),
    Operation("GET", "/v1/products/{}", "_product_retrieve_params", views.retrieve("product")),
    Operation("POST", "/v1/products/{}", "_product_update_params", update_product, ("default_price",)),
    Operation(
        "POST",
        "/v1/prices",
        "_price_create_params",
        create_price,
        ("tiers", "currency_options", "custom_unit_amount", "transform_quantity"),
    ),
    Operation("GET", "/v1/prices", "_price_list_params", list_prices, ("recurring.meter",)),
    Operation("GET", "/v1/prices/{}", "_price_retrieve_params", views.retrieve("price")),
    Operation("POST", "/v1/prices/{}", "_price_update_params", update_price, ("currency_options",)),
)
