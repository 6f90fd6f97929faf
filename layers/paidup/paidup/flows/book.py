"""Booking: list, accept, finish and cancel live sessions that were paid for."""

from collections.abc import Callable
from dataclasses import replace

from paidup.flows.services import Services
from paidup.flows.transact import transact
from paidup.model.booking import Booking, BookingStatus
from paidup.model.booking_slot import NOT_ACCEPTED, call_off
from paidup.model.errors import NotFound
from paidup.model.purchase import Purchase
from paidup.model.snapshot import ChangeSet, Snapshot
from paidup.outside.log import logger

NEWEST = 100

Step = Callable[[Booking, Purchase | None, ChangeSet], None]


def list_bookings(
    caller_id: str, status: str | None, services: Services, *, is_host: bool, most: int, after: str | None, now: int
) -> tuple[list[Booking], str | None]:
    """Return up to *most* bookings, and the token of the next page (None: no more).

    A host sees the bookings that wait, or those that are live with them, the oldest first. A customer sees their own
    bookings, the newest first: those of *status* (None: any) among their newest 100. Raises Malformed if *after* is not
    a token of this list.
    """
    if is_host and status == BookingStatus.WAITING:
        found, following = services.table.waiting_bookings(most=most, after=after)
        return [one for one in found if not one.stale(now=now)], following
    if is_host and status == BookingStatus.LIVE:
        return services.table.live_bookings(caller_id, most=most, after=after)
    newest = services.table.bookings_of(caller_id, most=NEWEST)
    return [one for one in newest if status in (None, one.status_at(now))][:most], None


def accept(booking_id: str, host: str, services: Services, *, now: int) -> Booking:
    """Return the booking live with *host*. Of two hosts at once, one wins. Raises BookingClosed and NotFound."""

    def step(booking: Booking, _: Purchase | None, change: ChangeSet) -> None:
        change.put_booking(booking.accept(host, now=now))

    return _moved(booking_id, None, step, services, now=now)


def finish(booking_id: str, host: str, services: Services, *, now: int) -> Booking:
    """Return the booking finished, and mark its purchase as used.

    Raises BookingClosed, NotYourBooking and NotFound.
    """

    def step(booking: Booking, purchase: Purchase | None, change: ChangeSet) -> None:
        change.put_booking(booking.finish(host, now=now))
        _use(purchase, change)

    return _moved(booking_id, None, step, services, now=now)


def cancel(booking_id: str, by: str, services: Services, *, of: str | None, now: int) -> Booking:
    """Return the booking cancelled. Its customer may cancel it while it waits, its host while it is live.

    *by* is the id of the customer or the host. The money goes back, or the purchase pays for the next booking. If *of*
    is given, only that customer's bookings are found. Raises BookingClosed, NotYourBooking and NotFound.
    """

    def step(booking: Booking, purchase: Purchase | None, change: ChangeSet) -> None:
        cancelled = booking.cancel(by, now=now)
        if cancelled != booking and purchase:
            call_off(purchase, booking, "it was cancelled", change)
        change.put_booking(cancelled)

    return _moved(booking_id, of, step, services, now=now)


def expire_booking(customer_id: str, booking_id: str, services: Services, *, now: int) -> Booking:
    """End a booking that was not accepted in time, or not finished within a day. Return it. Raises NotFound.

    A booking whose time is not over stays as it is.
    """

    def step(booking: Booking, purchase: Purchase | None, change: ChangeSet) -> None:
        if booking.stale(now=now):
            if purchase:
                call_off(purchase, booking, NOT_ACCEPTED, change)
            else:
                change.put_booking(booking.expire(now=now))
        elif booking.overlong(now=now):
            change.put_booking(booking.over(now=now))
            _use(purchase, change)

    return _moved(booking_id, customer_id, step, services, now=now)


def _use(purchase: Purchase | None, change: ChangeSet) -> None:
    if purchase:
        change.put_purchase(replace(purchase, used_at=purchase.used_at or change.now))


def _moved(booking_id: str, of: str | None, step: Step, services: Services, *, now: int) -> Booking:
    """Apply *step* to the booking in one transaction, and return the new booking. Raises NotFound."""
    customer_id = of or services.table.booking_owner(booking_id)
    if customer_id is None:
        raise NotFound("booking", booking_id)

    def decide(snapshot: Snapshot) -> ChangeSet:
        if snapshot.booking is None:
            raise NotFound("booking", booking_id)
        change = ChangeSet(snapshot=snapshot, policy=services.policy, now=now)
        step(snapshot.booking, snapshot.purchase, change)
        return change

    def load() -> Snapshot:
        return services.table.load_booking(customer_id, booking_id)

    committed = transact(customer_id, load, decide, services)
    before = committed.loaded.booking
    after = committed.change.bookings.get(booking_id) or before
    if before is None or after is None:
        raise NotFound("booking", booking_id)
    logger.info("booking.moved", booking_id=booking_id, before=before.status, after=after.status)
    return after
