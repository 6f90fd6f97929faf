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
from paidup.model.offer import Kind, Offer
from paidup.model.purchase import Purchase

NAME = "stripe"

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """The customer and the purchase of a Stripe object, and what was sold, by which catalogue `price` (`price_…`)."""

    customer_id: str
    purchase_id: str
    offer_id: str
    kind: Kind
    valid_days: int | None = None
    quantity: int = 1
    max_quantity: int | None = None
    price: str | None = None
    uses_each: int | None = None
    asked: Price | None = None

    @property
    def unit(self) -> Price | None:
        """The price of one, as the checkout asked for it."""
        if self.asked is None or self.asked.amount % self.quantity:
            return None
        return Price(amount=self.asked.amount // self.quantity, currency=self.asked.currency)


def sale_of(thing: Fact | Purchase) -> Sale:
    """Return the sale of a fact or a purchase that we know already."""
    return Sale(
        customer_id=thing.customer_id,
        purchase_id=thing.purchase_id,
        offer_id=thing.offer_id,
        kind=thing.kind,
        valid_days=thing.valid_days,
        quantity=thing.quantity,
        max_quantity=thing.max_quantity,
        uses_each=thing.uses_each,
        asked=thing.asked,
    )


def sale_of_checkout(checkout: Checkout) -> Sale:
    """Return what *checkout* sells."""
    cart = checkout.cart
    return Sale(
        customer_id=checkout.customer_id,
        purchase_id=checkout.checkout_id,
        offer_id=cart.offer_id,
        kind=cart.kind,
        valid_days=cart.valid_days,
        quantity=cart.quantity,
        max_quantity=cart.max_quantity,
        price=cart.price,
        uses_each=cart.uses,
        asked=Price(amount=cart.amount, currency=cart.currency),
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
        "quantity": str(cart.quantity),
    }
    more = {"price": cart.price, "valid_days": cart.valid_days, "max_quantity": cart.max_quantity, "uses": cart.uses}
    return metadata | {name: str(value) for name, value in more.items() if value is not None}


def sale_in(metadata: Mapping[str, str] | None) -> Sale | None:
    """Return the sale that *metadata* describes, or None if the metadata is not ours."""
    if not metadata or not metadata.get("customer_id") or not metadata.get("checkout_id"):
        return None
    try:
        kind = Kind(metadata.get("kind", Kind.PASS))
        days = int(metadata["valid_days"]) if metadata.get("valid_days") else None
        uses = int(metadata["uses"]) if metadata.get("uses") else None
        amount, _, currency = metadata.get("asked", "").partition(" ")
        asked = Price(amount=int(amount), currency=currency) if amount else None
        quantity = max(1, int(metadata.get("quantity", 1)))
        most = int(metadata["max_quantity"]) if metadata.get("max_quantity") else None
    except ValueError:  # edited in the dashboard: customer and checkout are still known
        kind, days, uses, asked, quantity, most = Kind.PASS, None, None, None, 1, None
    return Sale(
        customer_id=metadata["customer_id"],
        purchase_id=metadata["checkout_id"],
        offer_id=metadata.get("offer_id", ""),
        kind=kind,
        valid_days=days,
        quantity=quantity,
        max_quantity=most,
        price=metadata.get("price"),
        uses_each=uses,
        asked=asked,
    )


def sale_of_offer(offer: Offer | None, kind: Kind, customer_id: str, purchase_id: str, *, quantity: int = 1) -> Sale:
    """Return the sale of *offer* that paidup opened no page for. Without an offer, nobody knows what was sold."""
    return Sale(
        customer_id=customer_id,
        purchase_id=purchase_id,
        offer_id=offer.offer_id if offer else "",
        kind=offer.kind if offer else kind,
        valid_days=offer.valid_days if offer else None,
        quantity=quantity,
        uses_each=offer.uses if offer else None,
    )


def offer_of_price(price: Object) -> str | None:
    """Return the offer that a catalogue price names: in its metadata, by its lookup key, or in its product's metadata.

    Events hold the product's id alone, so None is not final if the product is not expanded.
    """
    said: str | None = (price.get("metadata") or {}).get("offer_id") or price.get("lookup_key")
    product = price.get("product")
    of_product = (product.get("metadata") or {}).get("offer_id") if isinstance(product, Mapping) else None
    return said or of_product


def id_of(thing: Any) -> str | None:
    """Return the id of an expandable field, whether it is expanded or not."""
    found: str | None = thing["id"] if isinstance(thing, Mapping) else thing
    return found
