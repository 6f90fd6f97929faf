"""POST /sync: a customer misses a purchase, so everything that the provider knows of them is settled."""

from paidup.edge import clock, settings
from paidup.edge.caller import identify
from paidup.edge.http import Event, lambda_handler
from paidup.edge.refusals import refusals
from paidup.edge.routes import Routes
from paidup.edge.services import SETTINGS, open_services
from paidup.flows.sync import SyncResult, sync
from paidup.model.errors import Contended, ProviderRefused, ProviderUnavailable, TooManyRequests

settings.require(*SETTINGS)
app = Routes()


@app.route("POST /sync", responses=refusals(TooManyRequests, ProviderRefused, ProviderUnavailable, Contended))
def sync_customer(request: Event) -> SyncResult:
    """Settle the caller's last 30 days at the provider, and tell what that brought."""
    caller = identify(request)
    return sync(caller.customer_id, caller.email, open_services(), now=clock.now())


handler = lambda_handler(app)
