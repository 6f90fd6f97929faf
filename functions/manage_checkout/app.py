"""/checkouts/{id}: look at a checkout, cancel it, or go on from where its buyer was."""

from aws_lambda_powertools.event_handler import Response
from paidup.edge import clock, settings
from paidup.edge.api import Caller, Services, api, json_response
from paidup.edge.http import lambda_handler
from paidup.edge.refusals import refusals
from paidup.edge.services import SETTINGS
from paidup.edge.views.checkout import CheckoutStory
from paidup.flows import recover
from paidup.flows.buy import REFUSALS
from paidup.model.errors import Contended, NotFound

settings.require(*SETTINGS)
app = api()

RECOVERED = {
    200: {"description": "The checkout that can be paid, or was paid."},
    201: {"description": "A new checkout."},
}


@app.get("/checkouts/<checkout_id>", responses=refusals(NotFound))
def validate_checkout(checkout_id: str, caller: Caller, services: Services) -> Response[CheckoutStory]:
    """Return how a checkout stands, what remains of it, the caller's context, and what to do next."""
    now = clock.now()
    seen = recover.validate(caller.customer_id, checkout_id, services, now=now)
    return json_response(CheckoutStory.of(seen, now=now, policy=services.policy))


@app.delete("/checkouts/<checkout_id>", responses=refusals(NotFound, Contended))
def cancel_checkout(checkout_id: str, caller: Caller, services: Services) -> Response[CheckoutStory]:
    """End a checkout that its buyer does not want any more; one that was paid is told as paid."""
    now = clock.now()
    seen = recover.cancel(caller.customer_id, checkout_id, services, now=now)
    return json_response(CheckoutStory.of(seen, now=now, policy=services.policy))


@app.post("/checkouts/<checkout_id>/recover", responses=refusals(NotFound, *REFUSALS) | RECOVERED)
def recover_checkout(checkout_id: str, caller: Caller, services: Services) -> Response[CheckoutStory]:
    """Go on with a checkout: the same while it can be paid (200), a new one with its cart and context (201)."""
    now = clock.now()
    seen, opened = recover.recover(
        caller.customer_id, checkout_id, caller.email, services, now=now, email_digest=caller.email_digest
    )
    return json_response(CheckoutStory.of(seen, now=now, policy=services.policy), status=201 if opened else 200)


handler = lambda_handler(app)
