"""What a buyer sends to buy something: a cart, with the caller's own state in it."""

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from paidup.edge.caller import Identity
from paidup.edge.returning import return_url
from paidup.model.offer import MAX_QUANTITY
from paidup.model.order import Order

CONTEXT_LIMIT = 4 * 1024
DEEPEST = 32


class CartRequest(BaseModel):
    """What the buyer chose. `context` (JSON, at most 4 KB) is the caller's own state: kept, and given back."""

    model_config = ConfigDict(extra="forbid", strict=True)

    offer_id: str = Field(min_length=1, max_length=100)
    quantity: int = Field(default=1, ge=1, le=MAX_QUANTITY)
    provider: str | None = Field(default=None, min_length=1, max_length=50)
    promotion_code: str | None = Field(default=None, min_length=1, max_length=100)
    context: dict[str, Any] | None = None
    success_url: str | None = Field(default=None, max_length=2_000)
    cancel_url: str | None = Field(default=None, max_length=2_000)

    @field_validator("context")
    @classmethod
    def fits(cls, context: dict[str, Any] | None) -> dict[str, Any] | None:
        """Refuse a context over 4 KB, or nested deeper than 32 levels."""
        if _depth(context) > DEEPEST:
            raise ValueError(f"must be nested at most {DEEPEST} levels deep")
        if len(json.dumps(context, ensure_ascii=False).encode()) > CONTEXT_LIMIT:
            raise ValueError(f"must be at most {CONTEXT_LIMIT} bytes of JSON")
        return context

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


def _depth(value: Any) -> int:
    """Return how many maps and lists lie in one another at most."""
    depth, level = 0, [value]
    while level := [one for one in level if isinstance(one, dict | list)]:
        depth += 1
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)]
    return depth
