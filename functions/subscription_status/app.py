"""GET /subscription-status: what the customer may use; with a checkout's id: how that purchase stands."""

from paidup.edge import clock, settings
from paidup.edge.caller import identify
from paidup.edge.http import Event, lambda_handler
from paidup.edge.refusals import refusals
from paidup.edge.routes import Routes, Text, Whole
from paidup.edge.services import SETTINGS, open_services
from paidup.edge.views.account import AccountView
from paidup.edge.views.confirmation import ConfirmationView
from paidup.flows.confirm import confirm
from paidup.model.errors import Contended, NotFound

settings.require(*SETTINGS)
app = Routes()


@app.route("GET /subscription-status/{checkout_id}", responses=refusals(NotFound))
def status_of_checkout(request: Event, checkout_id: str) -> ConfirmationView:
    """Return how one purchase stands, and when to ask again."""
    now, caller, services = clock.now(), identify(request), open_services()
    found = confirm(caller.customer_id, checkout_id, services, now=now)
    return ConfirmationView.of(found, now=now, policy=services.policy)


@app.route(
    "GET /subscription-status",
    responses=refusals(Contended),
    limit=Whole(least=1, most=200, default=100),
    after=Text(most=1_000),
)
def status_of_account(request: Event, limit: int, after: str | None) -> AccountView:
    """Return the whole account in one snapshot, its purchases page by page."""
    now, caller, services = clock.now(), identify(request), open_services()
    snapshot, purchases, following = services.table.load_account(caller.customer_id, most=limit, after=after)
    return AccountView.of(snapshot, purchases, following, now=now, policy=services.policy)


handler = lambda_handler(app)
