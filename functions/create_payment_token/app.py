"""POST /payment-tokens: open the buyer's checkout, or hand back the one already open for the same cart."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Header
from paidup.edge import clock, settings
from paidup.edge.api import Caller, Services, api, json_response
from paidup.edge.http import lambda_handler
from paidup.edge.refusals import refusals
from paidup.edge.requests import CartRequest
from paidup.edge.services import SETTINGS
from paidup.edge.views import PaymentToken
from paidup.flows.buy import buy
from paidup.flows.open_page import Replaced
from paidup.model.booking import BookingInTheWay
from paidup.model.errors import Contended, ProviderRefused, ProviderUnavailable, TooManyRequests, UnknownOffer

settings.require(*SETTINGS)
settings.origins()
app = api()

ANSWERS = {
    200: {"description": "The checkout that was open for the same cart."},
    201: {"description": "A new checkout."},
}
REFUSALS = (
    UnknownOffer,
    Replaced,
    BookingInTheWay,
    TooManyRequests,
    ProviderRefused,
    ProviderUnavailable,
    Contended,
)


@app.post("/payment-tokens", responses=refusals(*REFUSALS) | ANSWERS)
def create_payment_token(
    cart: CartRequest,
    caller: Caller,
    services: Services,
    idempotency_key: Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)] = None,
) -> Response[PaymentToken]:
    """Open the buyer's checkout (201), or hand back the one already open for the same cart (200)."""
    now = clock.now()
    checkout, opened = buy(cart.ordered_by(caller, key=idempotency_key), services, now=now)
    return json_response(PaymentToken.of_checkout(checkout, now=now), status=201 if opened else 200)


handler = lambda_handler(app)
