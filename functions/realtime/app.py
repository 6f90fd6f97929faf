"""The WebSocket API, and POST /realtime-tickets: tabs connect, ask what changed, and leave."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from paidup.edge import clock, settings
from paidup.edge.caller import identify
from paidup.edge.handshake import SETTINGS, answer_connect
from paidup.edge.http import Event, lambda_handler
from paidup.edge.realtime import RealtimeTicket, answer_disconnect, answer_message, open_realtime
from paidup.edge.refusals import refusals
from paidup.edge.routes import Answer, Routes
from paidup.flows import notify

for name in SETTINGS:
    settings.text(name)
settings.origins()
app = Routes()

REFUSED = {status: response for status, response in refusals().items() if status != 200}


@app.route("POST /realtime-tickets", responses=REFUSED | {201: {"description": "A new ticket."}})
def create_realtime_ticket(request: Event) -> Answer[RealtimeTicket]:
    """Return a ticket that opens one WebSocket connection within a minute, for clients that cannot send their token."""
    caller = identify(request)
    ticket, expires_at = notify.open_ticket(caller.customer_id, caller.token_ends_at, open_realtime(), now=clock.now())
    return Answer(body=RealtimeTicket(ticket=ticket, expires_at=expires_at), status=201)


http = lambda_handler(app)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer a route of the WebSocket API, or a request of the HTTP API."""
    match event["requestContext"].get("routeKey"):
        case "$connect":
            return answer_connect(event, now=clock.now())
        case "$disconnect":
            return answer_disconnect(event)
        case "$default" if "connectionId" in event["requestContext"]:
            return answer_message(event, now=clock.now())
    return http(event, context)
