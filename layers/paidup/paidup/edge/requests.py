"""What a buyer sends to buy something: a cart, with the caller's own state in it."""

from dataclasses import dataclass
from typing import Any

from paidup.edge.caller import Identity
from paidup.edge.fields import Fields, Integer, Object, String
from paidup.edge.returning import return_url
from paidup.model.offer import MAX_QUANTITY
from paidup.model.order import Order


@dataclass(frozen=True, slots=True, kw_only=True)
class CartRequest:
    """What the buyer chose. `context` (JSON, at most 4 KB) is the caller's own state: kept, and given back."""

    offer_id: str
    quantity: int
    provider: str | None
    promotion_code: str | None
    context: dict[str, Any] | None
    success_url: str | None
    cancel_url: str | None

    def ordered_by(self, buyer: Identity, *, key: str | None) -> Order:
        """Return *buyer*'s order for this cart; *key* is its Idempotency-Key. Raises Malformed for a foreign URL."""
        return Order(
            customer_id=buyer.customer_id,
            email=buyer.email,
            email_digest=buyer.email_digest,
            offer_id=self.offer_id,
            quantity=self.quantity,
            provider=self.provider,
            promotion_code=self.promotion_code,
            context=self.context,
            success_url=return_url("success_url", self.success_url, default="/success"),
            cancel_url=return_url("cancel_url", self.cancel_url, default="/cancel"),
            key=key,
        )


CART = Fields(
    CartRequest,
    offer_id=String(least=1, most=100, required=True),
    quantity=Integer(least=1, most=MAX_QUANTITY, default=1),
    provider=String(least=1, most=50),
    promotion_code=String(least=1, most=100),
    context=Object(most=4 * 1024, deepest=32),
    success_url=String(most=2_000),
    cancel_url=String(most=2_000),
)
