"""POST /webhooks/{provider}: verify the raw body, settle or queue it, and only then answer."""

from aws_lambda_powertools.event_handler import Response
from paidup.edge import clock, settings
from paidup.edge.api import api, json_response
from paidup.edge.http import lambda_handler, raw_body
from paidup.edge.refusals import refusals
from paidup.edge.services import SETTINGS, open_services
from paidup.flows.events import Received, receive
from paidup.model.errors import BadSignature, NotFound

BODY_LIMIT = 1_000_000  # bytes; the queue takes 1,048,576 with the attributes

settings.require(*SETTINGS, "PAIDUP_WEBHOOK_QUEUE_URL")
app = api()


@app.post("/webhooks/<provider>", responses=refusals(BadSignature, NotFound, public=True))
def receive_webhook(provider: str) -> Response[Received]:
    """Answer 200 once the event is settled, on the queue, or known to be of no concern."""
    now, request, services = clock.now(), app.current_event, open_services()
    headers = {name.lower(): value for name, value in request.headers.items()}
    event = services.provider(provider).verify(raw_body(request.raw_event), headers, now=now)
    return json_response(receive(event, services, now=now))


handler = lambda_handler(app, public=["POST /webhooks/{provider}"], limit=BODY_LIMIT)
