"""POST /client-metrics: what a payment page saw of its calls, for the alarms that watch what customers live through."""

from paidup.edge.client_metrics import ClientMetrics
from paidup.edge.http import Event, lambda_handler
from paidup.edge.refusals import refusals
from paidup.edge.routes import Answer, Routes
from paidup.edge.validated import Body

app = Routes()

TAKEN = {204: {"description": "They are recorded."}}
RESPONSES = {status: one for status, one in refusals(public=True).items() if status != 200} | TAKEN


@app.route("POST /client-metrics", responses=RESPONSES, sent=Body(ClientMetrics))
def record(request: Event, sent: ClientMetrics) -> Answer[None]:
    """Record how calls of a page ended. It needs no token: a page whose token could not be renewed has none."""
    sent.record()
    return Answer(body=None, status=204)


handler = lambda_handler(app, public=["POST /client-metrics"])
