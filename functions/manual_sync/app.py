"""POST /sync: a customer misses a pass, so everything that the provider knows of them is settled."""

from aws_lambda_powertools.event_handler import Response
from paidup.edge import clock, settings
from paidup.edge.api import Caller, api, json_response
from paidup.edge.http import lambda_handler
from paidup.edge.refusals import refusals
from paidup.edge.services import SETTINGS, Services
from paidup.flows.sync import SyncResult, sync
from paidup.model.errors import Contended, ProviderRefused, ProviderUnavailable, TooManyRequests

settings.require(*SETTINGS)
app = api()


@app.post("/sync", responses=refusals(TooManyRequests, ProviderRefused, ProviderUnavailable, Contended))
def sync_customer(caller: Caller, services: Services) -> Response[SyncResult]:
    """Settle the caller's last 30 days at the provider, and tell what that brought."""
    return json_response(sync(caller.customer_id, caller.email, services, now=clock.now()))


handler = lambda_handler(app)
