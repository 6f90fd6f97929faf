"""GET /subscription-status: what the customer may use; with a checkout's id: how that purchase stands."""

from aws_lambda_powertools.event_handler import Response
from paidup.edge import clock, settings
from paidup.edge.caller import Caller
from paidup.edge.http import api, json_response, lambda_handler
from paidup.edge.services import SETTINGS, Services
from paidup.edge.views import AccountView, ConfirmationView
from paidup.flows.confirm import confirm

settings.require(*SETTINGS)
app = api()


@app.get("/subscription-status/<checkout_id>")
def status_of_checkout(checkout_id: str, caller: Caller, services: Services) -> Response[ConfirmationView]:
    """Return how one purchase stands, and when to ask again."""
    now = clock.now()
    found = confirm(caller.customer_id, checkout_id, services, now=now)
    return json_response(ConfirmationView.of(found, now=now, grace_s=services.policy.grace_s))


@app.get("/subscription-status")
def status_of_account(caller: Caller, services: Services) -> Response[AccountView]:
    """Return the whole account in one snapshot."""
    now = clock.now()
    seen, purchases = services.table.load_account(caller.customer_id)
    return json_response(AccountView.of(seen, purchases, now=now, policy=services.policy))


handler = lambda_handler(app)
