"""Our metadata on Stripe's objects: it says which customer owns an object and what was sold. It makes no calls.

Stripe keeps at most 50 keys of metadata with 500 characters each. Stripe does not copy a session's metadata to its
payment intent or subscription, so we set it on all three. A charge copies its payment intent's metadata when it is
made. A dispute has no metadata (https://docs.stripe.com/metadata).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from paidup.model.checkout import Checkout
from paidup.model.fact import Fact, Price
from paidup.model.offer import Kind
from paidup.model.purchase import Purchase

NAME = "stripe"

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """The customer and the purchase of a Stripe object, and what was sold."""

    customer_id: str
    purchase_id: str
    offer_id: str
    kind: Kind
    valid_days: int | None = None
    asked: Price | None = None


def sale_of(thing: Fact | Purchase) -> Sale:
    """Return the sale of a fact or a purchase that we know already."""
    return Sale(
        customer_id=thing.customer_id,
        purchase_id=thing.purchase_id,
        offer_id=thing.offer_id,
        kind=thing.kind,
        valid_days=thing.valid_days,
        asked=thing.asked,
    )


def metadata_of(checkout: Checkout) -> dict[str, str]:
    """Return the metadata for session, payment intent and subscription. A purchase can be rebuilt from it."""
    cart = checkout.cart
    metadata = {
        "customer_id": checkout.customer_id,
        "checkout_id": checkout.checkout_id,
        "offer_id": cart.offer_id,
        "kind": cart.kind.value,
        "asked": f"{cart.amount} {cart.currency}",
    }
    return metadata if cart.valid_days is None else {**metadata, "valid_days": str(cart.valid_days)}


def sale_in(metadata: Mapping[str, str] | None) -> Sale | None:
    """Return the sale that *metadata* describes, or None if the metadata is not ours."""
    if not metadata or not metadata.get("customer_id") or not metadata.get("checkout_id"):
        return None
    try:
        kind = Kind(metadata.get("kind", Kind.PASS))
        days = int(metadata["valid_days"]) if metadata.get("valid_days") else None
        amount, _, currency = metadata.get("asked", "").partition(" ")
        asked = Price(amount=int(amount), currency=currency) if amount else None
    except ValueError:  # edited in the dashboard: customer and checkout are still known
        kind, days, asked = Kind.PASS, None, None
    return Sale(
        customer_id=metadata["customer_id"],
        purchase_id=metadata["checkout_id"],
        offer_id=metadata.get("offer_id", ""),
        kind=kind,
        valid_days=days,
        asked=asked,
    )


def sale_of_plan(subscription: Object, customer_id: str, *, purchase_id: str | None = None) -> Sale:
    """Return the sale of a subscription without our metadata, which was made in Stripe's dashboard.

    It belongs to *customer_id*. If *purchase_id* is None, the subscription's own id becomes the purchase's id.
    """
    price = subscription["items"]["data"][0]["price"]
    return Sale(
        customer_id=customer_id,
        purchase_id=purchase_id or subscription["id"],
        offer_id=offer_of_price(price) or price["id"],
        kind=Kind.SUBSCRIPTION,
    )


def offer_of_price(price: Object) -> str | None:
    """Return the offer's id of a catalogue price: `offer_id` in its metadata, else its lookup key, else None."""
    return (price.get("metadata") or {}).get("offer_id") or price.get("lookup_key")


def id_of(thing: Any) -> str | None:
    """Return the id of an expandable field, whether it is expanded or not."""
    found: str | None = thing["id"] if isinstance(thing, Mapping) else thing
    return found
