"""A payment page at Stripe, which is a checkout session: what paidup asks it for, and what it says of itself."""

from typing import Any

from paidup.model.checkout import Checkout
from paidup.model.offer import Cart, Kind
from paidup.model.provider import Page, PageStatus
from paidup.outside.stripe.metadata import NAME, Object, id_of, metadata_of

LONGEST_LIFE_S = 86_400  # Stripe's limit and default. Not sent if it is nearer than SKEW_S: the clocks may differ
SHORTEST_LIFE_S = 1_800
SKEW_S = 120
OPENED_WITHIN_S = 180  # a page may be asked for again until the sweep that follows its two minutes


def params(checkout: Checkout, customer: str) -> Any:
    """Return the parameters of the checkout session for *checkout* and the Stripe *customer* (`cus_…`)."""
    cart, metadata = checkout.cart, metadata_of(checkout)
    asked: dict[str, Any] = {
        "customer": customer,
        "client_reference_id": checkout.customer_id[:200],
        "success_url": checkout.success_url,
        "cancel_url": checkout.cancel_url,
        "metadata": metadata,
        "line_items": [_line_item(cart)],
    }
    if cart.kind is Kind.SUBSCRIPTION:
        trial = {"trial_period_days": cart.trial_days} if cart.trial_days else {}
        asked |= {"mode": "subscription", "subscription_data": {"metadata": metadata, **trial}}
    else:
        asked |= {"mode": "payment", "payment_intent_data": {"metadata": metadata}}
    if checkout.lifetime_s <= LONGEST_LIFE_S - SKEW_S:
        asked["expires_at"] = checkout.created_at + max(checkout.lifetime_s, SHORTEST_LIFE_S + SKEW_S + OPENED_WITHIN_S)
    return asked | _options(cart)


def read(session: Object) -> Page:
    """Return the page that a checkout session is."""
    customer = id_of(session.get("customer"))
    return Page(
        token=session["id"],
        url=session.get("url") or "",
        expires_at=session["expires_at"],
        status=PageStatus(session["status"]),
        customer_ref=f"{NAME}#{customer}" if customer else None,
    )


def _line_item(cart: Cart) -> dict[str, Any]:
    item: dict[str, Any] = {"quantity": cart.quantity}
    if cart.max_quantity:
        item["adjustable_quantity"] = {"enabled": True, "minimum": 1, "maximum": cart.max_quantity}
    if cart.price:
        return item | {"price": cart.price}
    price: dict[str, Any] = {
        "currency": cart.currency,
        "unit_amount": cart.unit_amount,
        "product_data": {"name": cart.name, "metadata": {"offer_id": cart.offer_id}},
    }
    if cart.interval:
        price["recurring"] = {"interval": cart.interval.value, "interval_count": cart.interval_count}
    return item | {"price_data": price}


def _options(cart: Cart) -> dict[str, Any]:
    """Return what the page offers beside paying. Stripe takes either a discount, or a field for codes.

    Stripe taxes a known customer only if the page may save the address, and takes a tax id only if it may save the name
    (https://docs.stripe.com/api/checkout/sessions/create).
    """
    asked: dict[str, Any] = {}
    if cart.promotion:
        asked["discounts"] = [{"promotion_code": cart.promotion}]
    elif cart.promotion_codes:
        asked["allow_promotion_codes"] = True
    updates: dict[str, str] = {}
    if cart.automatic_tax:
        asked["automatic_tax"] = {"enabled": True}
        updates["address"] = "auto"
    if cart.tax_id_collection:
        asked["tax_id_collection"] = {"enabled": True}
        updates["name"] = "auto"
    return asked | {"customer_update": updates} if updates else asked
