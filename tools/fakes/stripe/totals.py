"""What a cart or an invoice adds up to: its lines, less the discount, plus the tax of the buyer's country.

The rates are a small table of standard rates. `tax_rates` of `/dev/stripe/settings` replaces it. A price whose
`tax_behavior` is `inclusive` holds its tax already.
"""

from dataclasses import dataclass

from tools.fakes.store import Obj
from tools.fakes.stripe import promotions
from tools.fakes.stripe.world import World

TAX_RATES = {"AT": 20, "BE": 21, "DE": 19, "ES": 21, "FR": 20, "GB": 20, "IE": 23, "IT": 22, "NL": 21, "PL": 23}
"""Percent by country; elsewhere nothing is collected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """What one line costs, in minor units. `tax` is part of `total`."""

    subtotal: int
    discount: int
    tax: int
    total: int
    inclusive: bool


def tax_rate(world: World, country: str | None) -> float:
    """Return the percentage of tax in a *country*."""
    rates: dict[str, float] = world.store.noted("settings", "tax_rates", TAX_RATES)
    return rates.get(country or "", 0)


def sums(amounts: list[int], prices: list[Obj], coupon: Obj | None, rate: float) -> list[Sum]:
    """Return what lines of *amounts* at *prices* cost with a *coupon* and tax at a *rate* in percent."""
    off = promotions.off(coupon, amounts, [price["product"] for price in prices]) if coupon else [0] * len(amounts)
    found = []
    for amount, less, price in zip(amounts, off, prices, strict=True):
        rest, inclusive = amount - less, price["tax_behavior"] == "inclusive"
        tax = round(rest * rate / (100 + rate)) if inclusive else round(rest * rate / 100)
        total = rest if inclusive else rest + tax
        found.append(Sum(subtotal=amount, discount=less, tax=tax, total=total, inclusive=inclusive))
    return found


def of_invoice(world: World, subscription: Obj, lines: list[Obj]) -> Obj:
    """Write discounts and taxes into the *lines* of a subscription's invoice, and return what it adds up to."""
    discount = _discount_now(world, subscription)
    taxed = subscription["automatic_tax"]["enabled"]
    address = world.store.need(subscription["customer"])["address"] or {}
    rate = tax_rate(world, address.get("country")) if taxed else 0
    prices = [world.store.need(one["pricing"]["price_details"]["price"]) for one in lines]
    coupon = world.store.get(discount["source"]["coupon"]) if discount else None
    costs = sums([one["amount"] for one in lines], prices, coupon, rate)
    for one, cost in zip(lines, costs, strict=True):
        if discount:
            one["discount_amounts"] = [{"amount": cost.discount, "discount": discount["id"]}]
        one["taxes"] = [_tax(cost)] if taxed else []
    subtotal, total = sum(cost.subtotal for cost in costs), sum(cost.total for cost in costs)
    tax, less = sum(cost.tax for cost in costs), sum(cost.discount for cost in costs)
    held = sum(cost.tax for cost in costs if cost.inclusive)
    return {
        "automatic_tax": {
            "disabled_reason": None,
            "enabled": taxed,
            "liability": {"type": "self"} if taxed else None,
            "provider": "stripe" if taxed else None,
            "status": "complete" if taxed else None,
        },
        "discounts": [discount["id"]] if discount else [],
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal - held,
        "total": total,
        "total_discount_amounts": [{"amount": less, "discount": discount["id"]}] if discount else [],
        "total_excluding_tax": total - tax,
        "total_taxes": [_tax(cost) for cost in costs if cost.tax],
    }


def _discount_now(world: World, subscription: Obj) -> Obj | None:
    """Return the discount of a *subscription* that its next invoice has; `once` is for the first alone."""
    for id_ in subscription["discounts"]:
        discount = world.store.need(id_)
        once = world.store.need(discount["source"]["coupon"])["duration"] == "once"
        if not (once and subscription.get("latest_invoice")) and (discount["end"] or world.now() + 1) > world.now():
            return discount
    return None


def _tax(cost: Sum) -> Obj:
    return {
        "amount": cost.tax,
        "tax_behavior": "inclusive" if cost.inclusive else "exclusive",
        "tax_rate_details": {"tax_rate": "txr_1StandIn"},
        "taxability_reason": "standard_rated" if cost.tax else "not_collecting",
        "taxable_amount": cost.total - cost.tax,
        "type": "tax_rate_details",
    }
