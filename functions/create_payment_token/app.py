"""POST /payment-tokens: open the buyer's checkout, or hand back the one already open for the same cart."""

import json
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Header
from paidup.edge import clock, settings
from paidup.edge.buyer import Buyer
from paidup.edge.http import answer, api, entry
from paidup.edge.returning import return_url
from paidup.edge.shop import SETTINGS, Shop
from paidup.edge.views import PaymentToken
from paidup.flows.buy import Order, buy
from paidup.model.offer import MAX_QUANTITY
from pydantic import BaseModel, ConfigDict, Field, field_validator

CONTEXT_LIMIT = 4 * 1024
DEEPEST = 32

settings.require(*SETTINGS)
settings.origins()
app = api()


class Cart(BaseModel):
    """What the buyer chose. `context` (JSON, at most 4 KB) is the caller's own state: kept, and given back."""

    model_config = ConfigDict(extra="forbid", strict=True)

    offer_id: str = Field(min_length=1, max_length=100)
    quantity: int = Field(default=1, ge=1, le=MAX_QUANTITY)
    provider: str | None = Field(default=None, min_length=1, max_length=50)
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


def _depth(value: Any) -> int:
    """Return how many maps and lists lie in one another at most."""
    depth, level = 0, [value]
    while level := [one for one in level if isinstance(one, dict | list)]:
        depth += 1
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)]
    return depth


@app.post("/payment-tokens")
def create_payment_token(
    cart: Cart,
    buyer: Buyer,
    shop: Shop,
    idempotency_key: Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)] = None,
) -> Response[PaymentToken]:
    """Open the buyer's checkout (201), or hand back the one already open for the same cart (200)."""
    now = clock.now()
    order = Order(
        customer_id=buyer.customer_id,
        email=buyer.email,
        offer_id=cart.offer_id,
        quantity=cart.quantity,
        provider=cart.provider,
        context=cart.context,
        success_url=return_url("success_url", cart.success_url, default="/success"),
        cancel_url=return_url("cancel_url", cart.cancel_url, default="/cancel"),
        key=idempotency_key,
    )
    checkout, opened = buy(order, shop, now=now)
    return answer(PaymentToken.of_checkout(checkout, now=now), status=201 if opened else 200)


handler = entry(app)
