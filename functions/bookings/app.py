"""/bookings: live sessions that were paid for are listed, accepted, finished and cancelled."""

from typing import Annotated, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from paidup.edge import clock, settings
from paidup.edge.caller import Buyer
from paidup.edge.http import answer, api, entry
from paidup.edge.paging import page_after, page_token
from paidup.edge.services import SETTINGS, Shop
from paidup.edge.views import BookingView
from paidup.flows import book
from pydantic import BaseModel

PROVIDER = "provider"

settings.require(*SETTINGS)
app = api()


class Bookings(BaseModel):
    """A page of bookings; `next` asks for the following one."""

    bookings: list[BookingView]
    next: str | None = None


@app.get("/bookings")
def list_bookings(
    buyer: Buyer,
    shop: Shop,
    status: Annotated[Literal["waiting", "live"] | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[str | None, Query(max_length=1_000)] = None,
) -> Response[Bookings]:
    """Return who waits, or who is live with the caller, the longest first, to those who accept bookings; to customers
    their own, the newest first.
    """
    now, gives = clock.now(), PROVIDER in buyer.roles
    found, following = book.listed(
        buyer.customer_id, status, shop, gives=gives, most=limit, after=page_after(after), now=now
    )
    views = [BookingView.of(one, now=now, policy=shop.policy) for one in found]
    return answer(Bookings(bookings=views, next=page_token(following)))


@app.post("/bookings/<booking_id>/accept")
def accept_booking(booking_id: str, buyer: Buyer, shop: Shop) -> Response[BookingView]:
    """Take a waiting booking; of two who accept at once exactly one has it."""
    buyer.must_be(PROVIDER)
    now = clock.now()
    accepted = book.accept(booking_id, buyer.customer_id, shop, now=now)
    return answer(BookingView.of(accepted, now=now, policy=shop.policy))


@app.post("/bookings/<booking_id>/finish")
def finish_booking(booking_id: str, buyer: Buyer, shop: Shop) -> Response[BookingView]:
    """End a live session that took place."""
    buyer.must_be(PROVIDER)
    now = clock.now()
    finished = book.finish(booking_id, buyer.customer_id, shop, now=now)
    return answer(BookingView.of(finished, now=now, policy=shop.policy))


@app.post("/bookings/<booking_id>/cancel")
def cancel_booking(booking_id: str, buyer: Buyer, shop: Shop) -> Response[BookingView]:
    """Call a booking off: its customer while it waits, or the one who accepted it. `if_called_off` says what becomes
    of the money.
    """
    now = clock.now()
    of = None if PROVIDER in buyer.roles else buyer.customer_id
    cancelled = book.cancel(booking_id, buyer.customer_id, shop, of=of, now=now)
    return answer(BookingView.of(cancelled, now=now, policy=shop.policy))


handler = entry(app)
