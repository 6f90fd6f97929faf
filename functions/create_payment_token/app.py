"""POST /payment-tokens: open the buyer's checkout, or hand back the one already open for the same cart."""

from paidup.edge import clock, settings
from paidup.edge.caller import identify
from paidup.edge.http import Event, lambda_handler
from paidup.edge.measured import measured
from paidup.edge.refusals import refusals
from paidup.edge.requests import CART, CartRequest
from paidup.edge.routes import IDEMPOTENCY_KEY, Answer, Routes
from paidup.edge.services import SETTINGS, open_services
from paidup.edge.views.payment_token import PaymentToken
from paidup.flows.buy import REFUSALS, buy
from paidup.model.errors import UnknownOffer

settings.require(*SETTINGS)
settings.origins()
app = Routes()

ANSWERS = {
    200: {"description": "The checkout that was open for the same cart."},
    201: {"description": "A new checkout."},
}


@app.route(
    "POST /payment-tokens",
    responses=refusals(UnknownOffer, *REFUSALS) | ANSWERS,
    cart=CART,
    idempotency_key=IDEMPOTENCY_KEY,
)
def create_payment_token(request: Event, cart: CartRequest, idempotency_key: str | None) -> Answer[PaymentToken]:
    """Open the buyer's checkout (201), or hand back the one already open for the same cart (200)."""
    now, order = clock.now(), cart.ordered_by(identify(request), key=idempotency_key)
    checkout, opened = buy(order, open_services(), now=now)
    return Answer(body=PaymentToken.of_checkout(checkout, now=now), status=201 if opened else 200)


handler = measured(lambda_handler(app), "PaymentToken", "PaymentTokenTime")
