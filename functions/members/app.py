"""GET /members: a route behind the gate, as a sample: what only those can read who have paid."""

from dataclasses import dataclass

from paidup.edge import clock, settings
from paidup.edge.gate import gate
from paidup.edge.http import Event, lambda_handler, own_url
from paidup.edge.refusals import refusals
from paidup.edge.routes import Routes, Text
from paidup.model.gate import AccessRequired, AccessUnknown, Admitted, InvalidBillingToken

settings.require("PAIDUP_TABLE", "PAIDUP_BILLING_AUDIENCE")
app = Routes()


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberView:
    """Who was let in, and all that they may use as of `billing_version`."""

    customer_id: str
    billing_version: int
    access: list[Admitted]


@app.route(
    "GET /members",
    responses=refusals(InvalidBillingToken, AccessRequired, AccessUnknown, public=True),
    offer_id=Text(most=100),
)
def members(request: Event, offer_id: str | None) -> MemberView:
    """Let in by a billing token who has access to `offer_id`, or to anything without it."""
    asked = [offer_id] if offer_id else []
    entrance = gate(mode="fresh", own=own_url(request))
    found = entrance.admit(request["headers"].get("authorization"), *asked, now=clock.now())
    return MemberView(customer_id=found.customer_id, billing_version=found.billing_version, access=list(found.access))


# The gate lets in, by another token than the identity provider's.
handler = lambda_handler(app, public=["GET /members"])
