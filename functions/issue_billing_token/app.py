"""POST /billing-token: what a customer may use, as a short token; and the public keys by which others verify it."""

from paidup.edge import billing, clock, settings
from paidup.edge.caller import identify
from paidup.edge.http import Event, lambda_handler, own_url
from paidup.edge.refusals import refusals
from paidup.edge.routes import Answer, Header, Routes
from paidup.edge.services import open_services
from paidup.edge.views.billing_token import BillingTokenView, Jwks
from paidup.flows.issue_token import issue_token

settings.require(*billing.SETTINGS)
app = Routes()

UNCHANGED = {304: {"description": "The keys with the tag in If-None-Match are still the ones."}}


@app.route("POST /billing-token", responses=refusals())
def issue_billing_token(request: Event) -> BillingTokenView:
    """Return a token that says what the customer may use now. It lives 15 minutes, or until the first access ends."""
    now, caller = clock.now(), identify(request)
    issuer, audience = settings.billing_issuer(own_url(request)), settings.text("PAIDUP_BILLING_AUDIENCE")
    services = open_services()
    issued = issue_token(
        caller.customer_id,
        services.table,
        billing.keys,
        issuer=issuer,
        audience=audience,
        now=now,
        noted_for_s=services.policy.timeline_retention_s,
    )
    return BillingTokenView.of(issued, now=now)


@app.route(
    "GET /.well-known/jwks.json",
    responses=refusals(public=True) | UNCHANGED,
    known=Header(header="If-None-Match", most=1_000),
)
def jwks(request: Event, known: str | None) -> Answer[Jwks]:
    """Return the public keys of billing tokens (RFC 7517)."""
    found = Jwks(keys=billing.keys().published(now=clock.now()))
    if found.headers["ETag"] in (known or ""):
        return Answer(body=None, status=304, headers=found.headers)
    return Answer(body=found, status=200, headers=found.headers)


handler = lambda_handler(app, public=["GET /.well-known/jwks.json"])
