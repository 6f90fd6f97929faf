"""/purchases/{id}: change, cancel and resume a subscription, take uses from a pass; and the provider's portal."""

from paidup.edge import clock, settings
from paidup.edge import purchases as sent
from paidup.edge.caller import HOST, SERVICE, identify
from paidup.edge.http import Event, lambda_handler
from paidup.edge.refusals import refusals
from paidup.edge.returning import return_url
from paidup.edge.routes import IDEMPOTENCY_KEY, Answer, Flag, Routes
from paidup.edge.services import SETTINGS, open_services
from paidup.edge.validated import Body
from paidup.edge.views.purchase import PurchaseView
from paidup.flows import manage, redeem
from paidup.model import manage as refused
from paidup.model.errors import Contended, Forbidden, NotFound, ProviderRefused, ProviderUnavailable, UnknownOffer
from paidup.model.use import NotEnoughUses, NotUsable, TooLate

settings.require(*SETTINGS)
settings.origins()
app = Routes()

ASKED = (ProviderRefused, ProviderUnavailable, Contended)
RUNS = (NotFound, refused.NotASubscription, refused.SubscriptionEnded, refused.MoneyGoesBack, refused.NotReportedYet)
CHANGE = (UnknownOffer, refused.PaymentDue, refused.ResumeFirst, refused.CollectionPaused)
PAID = (refused.ChangeDeclined, refused.ChangeImpossible)
CHANGED = {200: {"description": "It is changed."}, 202: {"description": "The customer must approve the payment."}}
TAKEN = {200: {"description": "The use that the same key took."}, 201: {"description": "A new use."}}


@app.route(
    "POST /purchases/{purchase_id}/change",
    responses=refusals(*RUNS, *CHANGE, *PAID, *ASKED) | CHANGED,
    change=Body(sent.ChangeRequest),
    preview=Flag(),
    idempotency_key=IDEMPOTENCY_KEY,
)
def change_purchase(
    request: Event, purchase_id: str, change: sent.ChangeRequest, preview: bool, idempotency_key: str | None
) -> Answer[sent.ChangeView | sent.ChangePreviewView]:
    """Let a subscription sell another offer or quantity; with `preview`, only say what that costs."""
    now, who, services = clock.now(), identify(request).customer_id, open_services()
    if preview:
        cart, costs = manage.preview(who, purchase_id, change.wanted, services)
        return Answer(body=sent.ChangePreviewView.of(cart, costs), status=200)
    after, waits = manage.change(who, purchase_id, change.wanted, services, key=idempotency_key, now=now)
    view = sent.ChangeView.of_change(after, pending=waits, now=now, policy=services.policy)
    return Answer(body=view, status=202 if waits else 200)


@app.route(
    "POST /purchases/{purchase_id}/cancel",
    responses=refusals(*RUNS, refused.CancelNowRefused, *ASKED),
    cancel=Body(sent.CancelRequest, optional=True),
)
def cancel_purchase(request: Event, purchase_id: str, cancel: sent.CancelRequest) -> PurchaseView:
    """End a subscription with its period, or at once if the shop allows that."""
    now, who, services = clock.now(), identify(request).customer_id, open_services()
    after = manage.cancel(who, purchase_id, services, at_once=cancel.at == "now", now=now)
    return PurchaseView.of(after, now=now, policy=services.policy)


@app.route("POST /purchases/{purchase_id}/resume", responses=refusals(*RUNS, *ASKED))
def resume_purchase(request: Event, purchase_id: str) -> PurchaseView:
    """Take back the cancellation of a subscription that has not ended yet."""
    now, who, services = clock.now(), identify(request).customer_id, open_services()
    return PurchaseView.of(manage.resume(who, purchase_id, services, now=now), now=now, policy=services.policy)


@app.route(
    "POST /billing-portal",
    responses=refusals(refused.NothingToManage, *ASKED),
    portal=Body(sent.PortalRequest, optional=True),
)
def open_portal(request: Event, portal: sent.PortalRequest) -> sent.PortalView:
    """Open the provider's page on which the customer changes cards and finds bills."""
    back = return_url("return_url", portal.return_url, default="/account")
    return sent.PortalView(url=manage.portal(identify(request).customer_id, back, open_services()))


@app.route(
    "POST /purchases/{purchase_id}/uses",
    responses=refusals(Forbidden, NotFound, NotEnoughUses, NotUsable, Contended) | TAKEN,
    use=Body(sent.UseRequest, optional=True),
    idempotency_key=IDEMPOTENCY_KEY,
)
def take_uses(
    request: Event, purchase_id: str, use: sent.UseRequest, idempotency_key: str | None
) -> Answer[sent.UseView]:
    """Take uses from a pass, once for each Idempotency-Key. For hosts and other backends."""
    now, host, services = clock.now(), identify(request), open_services()
    host.require_role(HOST, SERVICE)
    found = redeem.redeem(purchase_id, use.count, host.customer_id, services, key=idempotency_key, now=now)
    return Answer(body=sent.UseView.of(found, now=now, policy=services.policy), status=201 if found.taken else 200)


@app.route(
    "DELETE /purchases/{purchase_id}/uses/{use_id}",
    responses=refusals(Forbidden, NotFound, TooLate, Contended),
)
def give_uses_back(request: Event, purchase_id: str, use_id: str) -> sent.UseView:
    """Give uses back within a day after they were taken. For hosts and other backends."""
    now, host, services = clock.now(), identify(request), open_services()
    host.require_role(HOST, SERVICE)
    found = redeem.take_back(purchase_id, use_id, host.customer_id, services, now=now)
    return sent.UseView.of(found, now=now, policy=services.policy)


handler = lambda_handler(app)
