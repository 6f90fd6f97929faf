"""POST /sync: a customer misses a pass, so everything that the provider knows of them is settled."""

from aws_lambda_powertools.event_handler import Response
from paidup.edge import clock, settings
from paidup.edge.caller import Buyer
from paidup.edge.http import answer, api, entry
from paidup.edge.services import SETTINGS, Shop
from paidup.flows.sync import Synced, sync

settings.require(*SETTINGS)
app = api()


@app.post("/sync")
def sync_customer(buyer: Buyer, shop: Shop) -> Response[Synced]:
    """Settle the caller's last 30 days at the provider, and tell what that brought."""
    return answer(sync(buyer.customer_id, buyer.email, shop, now=clock.now()))


handler = entry(app)
