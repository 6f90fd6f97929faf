"""Coupons, the promotion codes that buyers type for them, and the discounts that they become."""

from typing import Any

from tools.fakes.store import Obj, new_id
from tools.fakes.stripe import currencies, periods, views
from tools.fakes.stripe.operation import Operation, merged_metadata
from tools.fakes.stripe.wire import Refusal, missing
from tools.fakes.stripe.world import World

COUPON_FIELDS = ("amount_off", "duration", "duration_in_months", "max_redemptions", "name", "percent_off", "redeem_by")
CODE_FIELDS = ("active", "customer", "expires_at", "max_redemptions")


def create_coupon(world: World, params: dict[str, Any]) -> Obj:
    """Make a coupon of a percentage or of an amount."""
    if ("percent_off" in params) == ("amount_off" in params):
        raise Refusal("You must pass either `percent_off` or `amount_off`, and not both.", param="percent_off")
    if not 0 < params.get("percent_off", 100) <= 100:
        raise Refusal("Invalid percent_off: must be greater than 0 and at most 100.", param="percent_off")
    fields = {name: params[name] for name in COUPON_FIELDS if name in params}
    if "amount_off" in params:
        if "currency" not in params:
            raise missing("currency")
        fields["currency"] = currencies.read(params["currency"], "currency")
        currencies.check_amount(params["amount_off"], fields["currency"], "amount_off")
    if (params.get("duration") == "repeating") != ("duration_in_months" in params):
        message = "`duration_in_months` is required for, and only for, the duration `repeating`."
        raise Refusal(message, param="duration_in_months")
    if world.store.get(id_ := params.get("id") or new_id("", 8)):
        raise Refusal("Coupon already exists.", code="resource_already_exists", param="id")
    metadata = merged_metadata({}, params.get("metadata"))
    coupon = world.draft("coupon", "", 8, **fields, id=id_, metadata=metadata)
    if products := params.get("applies_to", {}).get("products"):
        coupon["applies_to"] = {"products": [world.named(one, "product", "applies_to")["id"] for one in products]}
    world.store.put(coupon)
    world.emit("coupon.created", coupon)
    return coupon


def create_code(world: World, params: dict[str, Any]) -> Obj:
    """Make a code that buyers type to redeem a coupon. An active code is there once."""
    coupon = world.named(params["promotion"].get("coupon"), "coupon", "promotion[coupon]")
    code = params.get("code") or new_id("", 8).upper()
    if _active(world, code):
        message = f"An active promotion code with `code: {code}` already exists."
        raise Refusal(message, code="resource_already_exists", param="code")
    if "customer" in params:
        world.named(params["customer"], "customer", "customer")
    made = world.make(
        "promotion_code",
        "promo_1",
        code=code,
        metadata=merged_metadata({}, params.get("metadata")),
        promotion={"coupon": coupon["id"], "type": "coupon"},
        restrictions=params.get("restrictions", {}),
        **{name: params[name] for name in CODE_FIELDS if name in params},
    )
    world.emit("promotion_code.created", made)
    return made


def asked(world: World, discounts: list[dict[str, Any]]) -> Obj | None:
    """Return the discount, as a session shows it, that the merchant's `discounts` of a page ask for."""
    if not discounts:
        return None
    if len(discounts) > 1:
        raise Refusal("You can only apply one discount to a Checkout Session.", param="discounts")
    if len(discounts[0]) != 1:
        message = "You may only specify one of these parameters: discounts[0][coupon], discounts[0][promotion_code]."
        raise Refusal(message, param="discounts[0]")
    if "coupon" in discounts[0]:
        coupon, code = world.named(discounts[0]["coupon"], "coupon", "discounts[0][coupon]"), None
    else:
        param = "discounts[0][promotion_code]"
        code = world.named(discounts[0]["promotion_code"], "promotion_code", param)
        coupon = world.store.need(code["promotion"]["coupon"])
    return {"coupon": coupon["id"], "promotion_code": code and code["id"]}


def typed(world: World, text: str) -> Obj | None:
    """Return the discount, as a session shows it, of the active code that a buyer typed, if there is one."""
    code = _active(world, text.strip())
    return code and {"coupon": code["promotion"]["coupon"], "promotion_code": code["id"]}


def why_not(world: World, discount: Obj, customer: str | None, total: int, currency: str) -> str:
    """Return why a *discount* cannot be had on a page of *total* for a *customer*, or nothing if it can."""
    coupon, code, now = world.store.need(discount["coupon"]), world.store.get(discount["promotion_code"]), world.now()
    if not coupon["valid"] or (coupon["redeem_by"] or now + 1) <= now or _used_up(coupon):
        return f"Coupon expired: {coupon['id']}"
    if coupon["currency"] not in (None, currency):
        return f"The coupon `{coupon['id']}` cannot be applied in the currency {currency}."
    if code is None:
        return ""
    if not code["active"] or (code["expires_at"] or now + 1) <= now or _used_up(code):
        return "This promotion code is expired or has been redeemed too often."
    if code["customer"] not in (None, customer):
        return "This promotion code is restricted to another customer."
    rules = code["restrictions"]
    if rules["first_time_transaction"] and customer and _has_paid(world, customer):
        return "This promotion code cannot be redeemed because the associated customer has prior transactions."
    if total < (rules["minimum_amount"] or 0):
        return f"This promotion code needs a total of {currencies.shown(rules['minimum_amount'], currency)} at least."
    return ""


def redeem(world: World, session: Obj) -> None:
    """Count that the discounts of a paid *session* were redeemed."""
    for discount in session["discounts"]:
        for used in (world.store.need(discount["coupon"]), world.store.get(discount["promotion_code"])):
            if used:
                world.change(used, times_redeemed=used["times_redeemed"] + 1)


def begin_discounts(world: World, session: Obj, customer: str) -> list[str]:
    """Make the discounts that a subscription bought by *session* starts with, and return their ids."""
    ids, now = [], world.now()
    for one in session["discounts"]:
        coupon = world.store.need(one["coupon"])
        months = coupon["duration_in_months"]
        until = months and periods.after(now, {"interval": "month", "interval_count": months}, now)
        discount = world.draft(
            "discount",
            "di_1",
            checkout_session=session["id"],
            customer=customer,
            end=until,
            promotion_code=one["promotion_code"],
            source={"coupon": coupon["id"], "type": "coupon"},
            start=now,
        )
        del discount["created"]
        world.store.put(discount)
        ids.append(discount["id"])
    return ids


def off(coupon: Obj, amounts: list[int], products: list[str]) -> list[int]:
    """Return how much a *coupon* takes off each of the line *amounts*. An amount off is shared by their size."""
    only = coupon.get("applies_to", {}).get("products")
    bases = [
        amount if only is None or product in only else 0 for amount, product in zip(amounts, products, strict=True)
    ]
    if coupon["percent_off"] is not None:
        return [round(base * coupon["percent_off"] / 100) for base in bases]
    whole = max(0, min(coupon["amount_off"], sum(bases)))
    shares, left, rest = [], whole, sum(bases)
    for base in bases:
        share = round(left * base / rest) if rest else 0
        shares.append(share)
        left, rest = left - share, rest - base
    return shares


def _active(world: World, code: str) -> Obj | None:
    where = "json_extract(body, '$.active') AND upper(json_extract(body, '$.code')) = ?"
    return next(iter(world.store.find("promotion_code", where, (code.upper(),))), None)


def _used_up(obj: Obj) -> bool:
    return obj["max_redemptions"] is not None and obj["times_redeemed"] >= obj["max_redemptions"]


def _has_paid(world: World, customer: str) -> bool:
    return bool(world.store.by("charge", customer=customer, status="succeeded"))


def _update_code(world: World, params: dict[str, Any], id_: str) -> Obj:
    code = world.named(id_, "promotion_code")
    metadata = merged_metadata(code["metadata"], params.get("metadata"))
    active = params.get("active", code["active"])
    return world.change(code, "promotion_code.updated", active=active, metadata=metadata)


def _list_codes(world: World, params: dict[str, Any]) -> Obj:
    equal = {name: params.get(name) for name in ("active", "customer")}
    equal["promotion__coupon"] = params.get("coupon")
    also = ("upper(json_extract(body, '$.code')) = ?", params["code"].upper()) if "code" in params else ("1",)
    return views.page(world, "promotion_code", params, "/v1/promotion_codes", also=also, equal=equal)


def _list_coupons(world: World, params: dict[str, Any]) -> Obj:
    return views.page(world, "coupon", params, "/v1/coupons")


OPERATIONS = (
    Operation("POST", "/v1/coupons", "_coupon_create_params", create_coupon, ("currency_options",)),
    Operation("GET", "/v1/coupons", "_coupon_list_params", _list_coupons),
    Operation("GET", "/v1/coupons/{}", "_coupon_retrieve_params", views.retrieve("coupon")),
    Operation(
        "POST",
        "/v1/promotion_codes",
        "_promotion_code_create_params",
        create_code,
        ("customer_account", "restrictions.currency_options"),
    ),
    Operation("GET", "/v1/promotion_codes", "_promotion_code_list_params", _list_codes, ("customer_account",)),
    Operation("GET", "/v1/promotion_codes/{}", "_promotion_code_retrieve_params", views.retrieve("promotion_code")),
    Operation("POST", "/v1/promotion_codes/{}", "_promotion_code_update_params", _update_code, ("restrictions",)),
)
