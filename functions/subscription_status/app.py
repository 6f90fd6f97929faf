"""GET /subscription-status: what the customer may use; with a checkout's id: how that purchase stands."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from paidup.edge import clock, settings
from paidup.edge.api import Caller, api, json_response
from paidup.edge.http import lambda_handler
from paidup.edge.refusals import refusals
from paidup.edge.services import SETTINGS, Services
from paidup.edge.views import AccountView, ConfirmationView
from paidup.flows.confirm import confirm
from paidup.model.errors import Contended, NotFound

settings.require(*SETTINGS)
app = api()


@app.get("/subscription-status/<checkout_id>", responses=refusals(NotFound, Contended))
def status_of_checkout(checkout_id: str, caller: Caller, services: Services) -> Response[ConfirmationView]:
    """Return how one purchase stands, and when to ask again."""
    now = clock.now()
    found = confirm(caller.customer_id, checkout_id, services, now=now)
    return json_response(ConfirmationView.of(found, now=now, grace_s=services.policy.grace_s))


@app.get("/subscription-status", responses=refusals(Contended))
def status_of_account(
    caller: Caller,
    services: Services,
    limit: Annotated[int, Query(ge=1, le=200)] = 100,
    after: Annotated[str | None, Query(max_length=1_000)] = None,
) -> Response[AccountView]:
    """Return the whole account in one snapshot, its purchases page by page."""
    now = clock.now()
    snapshot, purchases, following = services.table.load_account(caller.customer_id, most=limit, after=after)
    return json_response(AccountView.of(snapshot, purchases, following, now=now, policy=services.policy))


handler = lambda_handler(app)
