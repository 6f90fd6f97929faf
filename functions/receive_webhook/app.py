"""POST /webhooks/stripe: verify the raw body, settle or queue it, and only then answer."""

from aws_lambda_powertools.event_handler import Response
from paidup.edge import clock, settings
from paidup.edge.http import api, json_response, lambda_handler, raw_body
from paidup.edge.services import SETTINGS, open_services, webhook_secrets
from paidup.flows.events import Received, receive
from paidup.outside import queue
from paidup.outside.stripe import webhook

BODY_LIMIT = 1024 * 1024

settings.require(*SETTINGS, "PAIDUP_WEBHOOK_QUEUE_URL")
app = api()


@app.post("/webhooks/stripe")
def receive_stripe_webhook() -> Response[Received]:
    """Answer 200 once the event is settled, on the queue, or known to be of no concern."""
    now, request = clock.now(), app.current_event
    body = raw_body(request.raw_event)
    webhook.verify(body, request.headers.get("stripe-signature"), webhook_secrets(), now=now)
    event = webhook.read(body)
    webhooks = queue.connect(settings.text("PAIDUP_WEBHOOK_QUEUE_URL"))
    return json_response(receive(event, open_services, webhooks, now=now))


handler = lambda_handler(app, limit=BODY_LIMIT)
