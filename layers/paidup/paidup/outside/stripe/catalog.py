"""What Stripe's catalogue says: prices by id or lookup key, and promotion codes."""

import time
from collections.abc import Mapping
from typing import Any

import stripe

from paidup.model.errors import Malformed, ObjectMissing, ProviderRefused
from paidup.model.offer import CatalogPrice, Interval
from paidup.outside.stripe.client import translate_errors
from paidup.outside.stripe.metadata import NAME, id_of

KEPT_S = 60
PRICE_IDS = ("price_", "plan_")

_kept: dict[
    tuple[stripe.StripeClient, str], tuple[CatalogPrice, float]
] = {}  # by client and ref, until a monotonic second


def price(api: stripe.StripeClient, ref: str) -> CatalogPrice:
    """Return the active price *ref*: a price's id, or a lookup key. It is asked for once a minute in a process.

    A price's amount never changes, but a lookup key can move to another price, and a price can be archived.
    Raises ObjectMissing, and ProviderRefused if the price is archived or has no fixed amount.
    """
    known, until = _kept.get((api, ref), (None, 0.0))
    if known and time.monotonic() < until:
        return known
    found = _listed(ref, _asked_for(api, ref))
    _kept[api, ref] = found, time.monotonic() + KEPT_S
    return found


def promotion(api: stripe.StripeClient, code: str, *, customer: str | None) -> str:
    """Return the id of the active promotion code that buyers know as *code*. Raises Malformed if there is none.

    Several customers may each have a code of the same name. Stripe finds codes in any case. A code is inactive once it
    is expired or used up (https://docs.stripe.com/api/promotion_codes/object).
    """
    with translate_errors("for a promotion code"):
        listed = api.v1.promotion_codes.list({"code": code, "active": True, "limit": 100})
        found = [one.to_dict() for one in listed.data]
        for whose in (customer, None):
            for one in found:
                if id_of(one.get("customer")) == whose:
                    return str(one["id"])
    raise Malformed("promotion_code", f"there is no code {code!r} that can be used now")


def _asked_for(api: stripe.StripeClient, ref: str) -> Mapping[str, Any]:
    with translate_errors(f"for the price {ref!r}"):
        if ref.startswith(PRICE_IDS):
            return api.v1.prices.retrieve(ref).to_dict()
        listed = api.v1.prices.list({"lookup_keys": [ref], "active": True, "limit": 1})
        if listed.data:
            return listed.data[0].to_dict()
    raise ObjectMissing(NAME, f"no active price has the lookup key {ref!r}")


def _listed(ref: str, found: Mapping[str, Any]) -> CatalogPrice:
    with translate_errors(f"for the price {ref!r}"):
        recurring = found.get("recurring") or {}
        amount, metered = found.get("unit_amount"), recurring.get("usage_type") == "metered"
        if found["active"] and amount is not None and not metered and not found.get("transform_quantity"):
            return CatalogPrice(
                ref=found["id"],
                amount=int(amount),
                currency=found["currency"],
                interval=Interval(recurring["interval"]) if recurring else None,
                interval_count=recurring.get("interval_count", 1),
            )
    why = "has no fixed amount for each unit" if found["active"] else "is archived"
    raise ProviderRefused(NAME, f"the price {ref!r} {why}")
