"""POST /webhooks/{provider}: verify the raw body, settle or queue it, and only then answer."""

from paidup.edge import clock, settings
from paidup.edge.http import Event, lambda_handler, raw_body
from paidup.edge.measured import is_checkup, measured
from paidup.edge.refusals import refusals
from paidup.edge.routes import Routes
from paidup.edge.services import SETTINGS, open_services
from paidup.flows.events import Received, receive
from paidup.model.errors import BadSignature, NotFound

ROUTE = "POST /webhooks/{provider}"
BODY_LIMIT = 1_000_000  # bytes; the queue takes 1,048,576 with the attributes

settings.require(*SETTINGS, "PAIDUP_WEBHOOK_QUEUE_URL")
app = Routes()


@app.route(ROUTE, responses=refusals(BadSignature, NotFound, public=True))
def receive_webhook(request: Event, provider: str) -> Received:
    """Answer 200 once the event is settled, on the queue, or known to be of no concern."""
    now, services = clock.now(), open_services()
    event = services.provider(provider).verify(raw_body(request), request["headers"], now=now)
    return receive(event, services, now=now)


handler = measured(lambda_handler(app, public=[ROUTE], limit=BODY_LIMIT), "WebhookDelivery", unless=is_checkup)
