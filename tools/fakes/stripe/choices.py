"""What the buyer chooses on the page before they pay: quantity, promotion code, country, tax id."""

from collections.abc import Mapping
from typing import Any

from tools.fakes.store import Obj
from tools.fakes.stripe import promotions, totals
from tools.fakes.stripe.objects import made
from tools.fakes.stripe.wire import Refusal
from tools.fakes.stripe.world import World

MOST_BY_DEFAULT = 99


def check(params: dict[str, Any], customer: Obj | None) -> None:
    """Refuse *params* of a page on which the buyer could not choose what it must know of them."""
    if "allow_promotion_codes" in params and "discounts" in params:
        message = "You may only specify one of these parameters: allow_promotion_codes, discounts."
        raise Refusal(message, param="allow_promotion_codes")
    update = params.get("customer_update", {})
    if update and customer is None:
        raise Refusal("`customer_update` can only be used with `customer`.", param="customer_update")
    if customer is None:
        return
    located = (customer["address"] or {}).get("country") or "auto" in (update.get("address"), update.get("shipping"))
    if params.get("automatic_tax", {}).get("enabled") and not located:
        message = (
            "Automatic tax calculation in Checkout requires a valid address on the Customer. Add a valid address to "
            "the Customer or set either `customer_update[address]` to 'auto' or `customer_update[shipping]` to 'auto' "
            "to save the address entered in Checkout to the Customer."
        )
        raise Refusal(message, code="customer_tax_location_invalid")
    if params.get("tax_id_collection", {}).get("enabled") and update.get("name") != "auto":
        message = (
            "Tax ID collection requires updating business name on the customer. To enable tax ID collection for an "
            "existing customer, please set `customer_update[name]` to `auto`."
        )
        raise Refusal(message)


def adjustable(asked: dict[str, Any], at: str) -> Obj | None:
    """Return between which quantities the buyer of a line *asked* for may choose. *at* names the line."""
    limits = asked.get("adjustable_quantity")
    if not limits or not limits["enabled"]:
        return None
    least, most = limits.get("minimum", 0), limits.get("maximum", MOST_BY_DEFAULT)
    if not least <= asked["quantity"] <= most:
        message = f"The quantity must be between the minimum ({least}) and the maximum ({most}) of the line item."
        raise Refusal(message, param=f"{at}[adjustable_quantity]")
    return {"enabled": True, "maximum": most, "minimum": least}


def take(world: World, session: Obj, lines: list[Obj], form: Mapping[str, str]) -> str:
    """Let an open *session* follow the buyer's *form*. Return what is wrong with the form, or nothing."""
    if problem := _take_quantity(lines, form.get("quantity", "")):
        return problem
    customer = session["customer"]
    if session["allow_promotion_codes"] and (text := form.get("promotion_code", "")):
        discount, sum_ = promotions.typed(world, text), sum(_full(one) for one in lines)
        if discount is None:
            return "This code is invalid."
        if problem := promotions.why_not(world, discount, customer, sum_, session["currency"]):
            return problem
        session["discounts"] = [discount]
    country = form.get("country", "").strip().upper()
    if session["automatic_tax"]["enabled"] and country:
        world.store.note(session["id"], "country", country)
    if session["tax_id_collection"]["enabled"] and (number := form.get("tax_id", "").strip()):
        kept = {"business_name": form.get("business_name") or None, "type": form.get("tax_id_type", "eu_vat")}
        world.store.note(session["id"], "tax_id", kept | {"value": number})
    total_up(world, session, lines)
    if session["automatic_tax"]["status"] == "requires_location_inputs":
        return "Please choose your country."
    return ""


def total_up(world: World, session: Obj, lines: list[Obj]) -> None:
    """Write what the *lines* of a *session* cost now. Nothing is due today if the session begins with a trial."""
    taxed, country = session["automatic_tax"]["enabled"], country_of(world, session)
    discounts = session["discounts"]
    coupon = world.store.need(discounts[0]["coupon"]) if discounts else None
    rate = totals.tax_rate(world, country) if taxed else 0
    costs = totals.sums([_full(one) for one in lines], [one["price"] for one in lines], coupon, rate)
    for one, cost in zip(lines, costs, strict=True):
        one |= {"amount_subtotal": cost.subtotal, "amount_total": cost.total}
        one |= {"amount_discount": cost.discount, "amount_tax": cost.tax}
    due = [] if world.store.noted(session["id"], "trial") else costs
    sums = {
        "amount_discount": sum(cost.discount for cost in due),
        "amount_shipping": 0,
        "amount_tax": sum(cost.tax for cost in due),
    }
    if taxed:
        status = "complete" if country else "requires_location_inputs"
        session["automatic_tax"] |= {"liability": {"type": "self"}, "provider": "stripe", "status": status}
    session["amount_subtotal"] = sum(cost.subtotal for cost in due)
    session["amount_total"] = sum(cost.total for cost in due)
    session["total_details"] = sums
    world.store.note(session["id"], "lines", lines)
    world.store.put(session)
    intent = world.store.get(world.store.noted(session["id"], "intent"))
    if intent and intent["status"] == "requires_payment_method":
        world.change(intent, amount=session["amount_total"])


def country_of(world: World, session: Obj) -> str | None:
    """Return the country of the buyer of a *session*, as chosen on the page or as on file."""
    customer = world.store.get(session["customer"]) or {"address": None}
    known: str | None = (customer["address"] or {}).get("country")
    chosen: str | None = world.store.noted(session["id"], "country")
    return chosen or known


def collected(world: World, session: Obj) -> Obj:
    """Return what the page learned of its buyer, as `customer_details` shows it."""
    shown: Obj = {}
    if country := country_of(world, session):
        shown["address"] = _address(country)
    if tax := world.store.noted(session["id"], "tax_id"):
        shown |= {"business_name": tax["business_name"], "name": tax["business_name"]}
        shown["tax_ids"] = [{"type": tax["type"], "value": tax["value"]}]
    return shown


def keep(world: World, session: Obj, customer: Obj, *, new: bool) -> None:
    """Save what the page learned to its *customer*, where they are *new* or the merchant wanted it."""
    update = world.store.noted(session["id"], "customer_update", {})
    found, fields = collected(world, session), {}
    if "address" in found and (new or update.get("address") == "auto"):
        fields["address"] = (customer["address"] or {}) | found["address"]
    if found.get("name") and (new or update.get("name") == "auto"):
        fields |= {"name": found["name"], "business_name": found["name"]}
    world.change(customer, "customer.updated", **fields)


def _take_quantity(lines: list[Obj], text: str) -> str:
    line = next((one for one in lines if one.get("adjustable_quantity")), None)
    if line is None or not text:
        return ""
    limits = line["adjustable_quantity"]
    least, most = max(1, limits["minimum"]), limits["maximum"]
    if not text.isdecimal() or not least <= int(text) <= most:
        return f"The quantity must be a number from {least} to {most}."
    line["quantity"] = int(text)
    return ""


def _full(line: Obj) -> int:
    return int(line["price"]["unit_amount"] * line["quantity"])


def _address(country: str) -> Obj:
    address: Obj = made("checkout.session.customer_details")["address"]
    return address | {"country": country}
