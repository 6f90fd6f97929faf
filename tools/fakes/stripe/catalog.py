"""Products and prices."""

from typing import Any

from tools.fakes.store import Obj
from tools.fakes.stripe import views
from tools.fakes.stripe.operation import Operation, merged_metadata
from tools.fakes.stripe.wire import Refusal, missing
from tools.fakes.stripe.world import World

MAX_AMOUNT = 99_999_999
PRODUCT_FIELDS = ("active", "description", "images", "name", "statement_descriptor", "unit_label", "url")


def create_product(world: World, params: dict[str, Any], *, active: bool = True) -> Obj:
    """Make a product; one made for a single price in passing is not *active*."""
    if world.store.get(params.get("id")):
        raise Refusal("Product already exists.", code="resource_already_exists", param="id")
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
        active=params.get("active", active),
        currency=_currency(params["currency"], path.format("currency")),
        metadata=merged_metadata({}, params.get("metadata")),
        product=product["id"],
        recurring=recurring and _recurring(recurring),
        type="recurring" if recurring else "one_time",
        unit_amount=amount,
        unit_amount_decimal=str(amount),
        **{name: params[name] for name in ("lookup_key", "nickname", "tax_behavior") if name in params},
    )
    if active:
        world.emit("price.created", price)
    return price


def _recurring(asked: dict[str, Any]) -> Obj:
    return {
        "interval": asked["interval"],
        "interval_count": asked.get("interval_count", 1),
        "meter": None,
        "trial_period_days": asked.get("trial_period_days"),
        "usage_type": "licensed",
    }


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
    Operation("GET", "/v1/prices", "_price_list_params", list_prices, ("lookup_keys", "recurring")),
    Operation("GET", "/v1/prices/{}", "_price_retrieve_params", views.retrieve("price")),
    Operation("POST", "/v1/prices/{}", "_price_update_params", update_price, ("currency_options",)),
)
