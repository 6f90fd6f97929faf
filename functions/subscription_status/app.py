"""GET /subscription-status: what the customer may use; with a checkout's id: how that purchase stands."""

from aws_lambda_powertools.event_handler import Response
from paidup.edge import clock, settings
from paidup.edge.caller import Buyer
from paidup.edge.http import answer, api, entry
from paidup.edge.services import SETTINGS, Shop
from paidup.edge.views import AccountView, ConfirmationView
from paidup.flows.confirm import confirm

settings.require(*SETTINGS)
app = api()


@app.get("/subscription-status/<checkout_id>")
def status_of_checkout(checkout_id: str, buyer: Buyer, shop: Shop) -> Response[ConfirmationView]:
    """Return how one purchase stands, and when to ask again."""
    now = clock.now()
    found = confirm(buyer.customer_id, checkout_id, shop, now=now)
    return answer(ConfirmationView.of(found, now=now, grace_s=shop.policy.grace_s))


@app.get("/subscription-status")
def status_of_account(buyer: Buyer, shop: Shop) -> Response[AccountView]:
    """Return the whole account in one snapshot."""
    now = clock.now()
    seen, passes = shop.table.snapshot(buyer.customer_id)
    return answer(AccountView.of(seen, passes, now=now, policy=shop.policy))


handler = entry(app)
