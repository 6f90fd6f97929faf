"""/support/…: the desk, for the role `support`. It finds customers, shows what is known of them, and mends it."""

import time

from paidup.edge import clock, settings
from paidup.edge import desk as sent
from paidup.edge.http import Event, lambda_handler
from paidup.edge.refusals import refusals
from paidup.edge.routes import Routes
from paidup.edge.services import SETTINGS, dead_letters, open_services
from paidup.edge.validated import Body
from paidup.edge.views import desk as shown
from paidup.flows import desk, replay, support
from paidup.flows.move import move
from paidup.flows.sync import sync
from paidup.model.booking import BookingInTheWay
from paidup.model.errors import (
    Contended,
    NotFound,
    ProviderRefused,
    ProviderUnavailable,
    SecondNotOver,
    TooManyRequests,
    UnknownOffer,
)
from paidup.model.move import BothBooked

REPLAY_FOR_S = 24.0
MOST_LISTED = 100

settings.require(*SETTINGS, "PAIDUP_DEAD_LETTERS_URL")
app = Routes()

ASKED = (ProviderRefused, ProviderUnavailable)
REASON = Body(sent.ReasonRequest)


@app.route("POST /support/find", responses=refusals(NotFound, *ASKED), wanted=Body(sent.FindRequest))
def find(request: Event, wanted: sent.FindRequest) -> shown.FoundView:
    """Find customers by id, e-mail address, reference, or any id of a payment provider."""
    return shown.FoundView.of(desk.find(wanted.query.strip(), open_services()))


@app.route("GET /support/customers/{customer_id}", responses=refusals(NotFound, Contended))
def customer(request: Event, customer_id: str) -> shown.CustomerView:
    """Show all that is known of a customer."""
    now, services = clock.now(), open_services()
    return shown.CustomerView.of(desk.customer_file(customer_id, services, now=now), now=now, policy=services.policy)


@app.route(
    "POST /support/customers/{customer_id}/sync",
    responses=refusals(NotFound, TooManyRequests, *ASKED, Contended),
    asked=Body(sent.SyncRequest),
)
def sync_customer(request: Event, customer_id: str, asked: sent.SyncRequest) -> shown.DoneView:
    """Settle a customer's last 30 days at the providers."""
    decision, services = asked.decision(request, now=clock.now()), open_services()
    found = sync(customer_id, asked.email, services, now=decision.now)
    what = f"synced by support: {found.scanned} looked at, {len(found.granted)} granted, {len(found.problems)} problems"
    support.note(customer_id, "", what, services, decision)
    return shown.DoneView(done=f"{what[:1].upper()}{what[1:]}.")


@app.route(
    "POST /support/customers/{customer_id}/purchases/{purchase_id}/grant",
    responses=refusals(NotFound, BookingInTheWay, Contended),
    asked=REASON,
)
def grant(request: Event, customer_id: str, purchase_id: str, asked: sent.ReasonRequest) -> shown.DoneView:
    """Grant what was bought as it was paid, and close its cases."""
    return _reviewed(request, customer_id, purchase_id, asked, grant=True)


@app.route(
    "POST /support/customers/{customer_id}/purchases/{purchase_id}/refund",
    responses=refusals(NotFound, support.NothingPaid, Contended),
    asked=REASON,
)
def refund(request: Event, customer_id: str, purchase_id: str, asked: sent.ReasonRequest) -> shown.DoneView:
    """Return what was paid. A subscription ends, too."""
    return _reviewed(request, customer_id, purchase_id, asked, grant=False)


@app.route(
    "POST /support/customers/{customer_id}/assign",
    responses=refusals(NotFound, UnknownOffer, desk.PaymentTaken, desk.NothingToAssign, *ASKED, Contended),
    asked=Body(sent.AssignRequest),
)
def assign(request: Event, customer_id: str, asked: sent.AssignRequest) -> shown.DoneView:
    """Give a payment that belongs to nobody to a customer, as an offer."""
    decision = asked.decision(request, now=clock.now())
    settled = desk.assign(customer_id, asked.payment, asked.offer_id, open_services(), decision)
    granted = "It grants access." if settled.granted else "It grants nothing now."
    return shown.DoneView(done=f"{asked.payment} belongs to {customer_id} as {asked.offer_id}. {granted}")


@app.route(
    "POST /support/customers/{customer_id}/move",
    responses=refusals(NotFound, BothBooked, Contended),
    asked=Body(sent.MoveRequest),
)
def move_customer(request: Event, customer_id: str, asked: sent.MoveRequest) -> shown.DoneView:
    """Give everything of a customer to another. A move that was stopped is finished by the next."""
    decision, services = asked.decision(request, now=clock.now()), open_services()
    moved = move(customer_id, asked.to, services, reason=decision.reason, by=decision.by, now=decision.now)
    what = f"{moved.purchases} purchases, {moved.checkouts} checkouts and {moved.bookings} bookings"
    return shown.DoneView(done=f"{what} moved from {customer_id} to {asked.to}.")


@app.route("GET /support/cases", responses=refusals(NotFound))
def cases(request: Event) -> shown.CasesView:
    """List what waits for a decision."""
    found = open_services().table.cases_before(clock.now() + 1, most=MOST_LISTED + 1)
    listed = [shown.CaseView.of(one) for one in found[:MOST_LISTED]]
    return shown.CasesView(cases=listed, more=len(found) > MOST_LISTED)


@app.route("GET /support/events", responses=refusals(NotFound))
def failed_events(request: Event) -> shown.EventsView:
    """List failed events, and those among the dead letters."""
    now, services = clock.now(), open_services()
    replay.collect_dead(dead_letters(), services, now=now)
    found = services.table.failed_before(now + 1, most=MOST_LISTED + 1)
    listed = [shown.EventView.of(one) for one in found[:MOST_LISTED]]
    return shown.EventsView(events=listed, more=len(found) > MOST_LISTED)


@app.route("GET /support/events/{provider}/{event_id}", responses=refusals(NotFound))
def event(request: Event, provider: str, event_id: str) -> shown.EventWithBody:
    """Show what the log has of an event, with its raw body."""
    if (record := open_services().table.event(provider, event_id)) is None:
        raise NotFound("event", event_id)
    return shown.EventWithBody.of(record)


@app.route(
    "POST /support/events/{provider}/{event_id}/replay",
    responses=refusals(NotFound, SecondNotOver, *ASKED, Contended),
    asked=REASON,
)
def replay_event(request: Event, provider: str, event_id: str, asked: sent.ReasonRequest) -> shown.EventView:
    """Settle an event once more, and show what became of it. It may have failed again."""
    decision = asked.decision(request, now=clock.now())
    return shown.EventView.of(replay.replay(provider, event_id, open_services(), decision))


@app.route("POST /support/replays", responses=refusals(NotFound, *ASKED, Contended), asked=Body(sent.ReplaysRequest))
def replay_events(request: Event, asked: sent.ReplaysRequest) -> shown.ReplaysView:
    """Replay failed events, the longest failed first; with `dry_run`, only say which."""
    ends_at = time.monotonic() + REPLAY_FOR_S
    run = replay.replay_failed(
        open_services(),
        asked.decision(request, now=clock.now()),
        dry_run=asked.dry_run,
        most=asked.most,
        before=asked.before,
        time_left=lambda: ends_at - time.monotonic(),
    )
    return shown.ReplaysView.of(run, dry_run=asked.dry_run)


def _reviewed(
    request: Event, customer_id: str, purchase_id: str, asked: sent.ReasonRequest, *, grant: bool
) -> shown.DoneView:
    """Carry out a decision about a purchase, and say how it stands after that."""
    decision, services = asked.decision(request, now=clock.now()), open_services()
    support.review(customer_id, purchase_id, services, decision, grant=grant)
    after = services.table.purchase(customer_id, purchase_id)
    status = after.status_at(now=decision.now, policy=services.policy).state if after else "gone"
    return shown.DoneView(done=f"{purchase_id} is {status}.")


handler = lambda_handler(sent.for_support(app))
