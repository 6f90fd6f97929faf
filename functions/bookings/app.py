"""/bookings: live sessions that were paid for are listed, accepted, finished and cancelled."""

from dataclasses import dataclass
from typing import Annotated, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from paidup.edge import clock, settings
from paidup.edge.api import Caller, Services, api, json_response
from paidup.edge.caller import HOST
from paidup.edge.http import lambda_handler
from paidup.edge.refusals import refusals
from paidup.edge.views.booking import BookingView
from paidup.flows import book
from paidup.model.booking import BookingClosed, NotYourBooking
from paidup.model.errors import Contended, Forbidden, NotFound

settings.require("PAIDUP_TABLE")
app = api()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bookings:
    """A page of bookings; `next` asks for the following one."""

    bookings: list[BookingView]
    next: str | None = None


@app.get("/bookings", responses=refusals())
def list_bookings(
    caller: Caller,
    services: Services,
    status: Annotated[Literal["waiting", "live"] | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[str | None, Query(max_length=1_000)] = None,
) -> Response[Bookings]:
    """Return who waits, or who is live with the caller, the longest first, to those who accept bookings; to customers
    their own, the newest first.
    """
    now, is_host = clock.now(), HOST in caller.roles
    found, following = book.list_bookings(
        caller.customer_id, status, services, is_host=is_host, most=limit, after=after, now=now
    )
    views = [BookingView.of(one, now=now, policy=services.policy) for one in found]
    return json_response(Bookings(bookings=views, next=following))


@app.post("/bookings/<booking_id>/accept", responses=refusals(Forbidden, NotFound, BookingClosed, Contended))
def accept_booking(booking_id: str, caller: Caller, services: Services) -> Response[BookingView]:
    """Take a waiting booking; of two who accept at once exactly one has it."""
    caller.require_role(HOST)
    now = clock.now()
    accepted = book.accept(booking_id, caller.customer_id, services, now=now)
    return json_response(BookingView.of(accepted, now=now, policy=services.policy))


@app.post(
    "/bookings/<booking_id>/finish",
    responses=refusals(Forbidden, NotFound, BookingClosed, NotYourBooking, Contended),
)
def finish_booking(booking_id: str, caller: Caller, services: Services) -> Response[BookingView]:
    """End a live session that took place."""
    caller.require_role(HOST)
    now = clock.now()
    finished = book.finish(booking_id, caller.customer_id, services, now=now)
    return json_response(BookingView.of(finished, now=now, policy=services.policy))


@app.post("/bookings/<booking_id>/cancel", responses=refusals(NotFound, BookingClosed, NotYourBooking, Contended))
def cancel_booking(booking_id: str, caller: Caller, services: Services) -> Response[BookingView]:
    """Call a booking off: its customer while it waits, or the one who accepted it. `if_called_off` says what becomes
    of the money.
    """
    now = clock.now()
    of = None if HOST in caller.roles else caller.customer_id
    cancelled = book.cancel(booking_id, caller.customer_id, services, of=of, now=now)
    return json_response(BookingView.of(cancelled, now=now, policy=services.policy))


handler = lambda_handler(app)
