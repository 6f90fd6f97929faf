"""Booking: live sessions that were paid for are listed, accepted, finished and cancelled."""

from collections.abc import Callable
from dataclasses import replace

from paidup.flows.consequences import call_off
from paidup.flows.draft import Draft
from paidup.flows.services import Services
from paidup.model.booking import Booking, BookingStatus, waiting
from paidup.model.errors import Contended, NotFound
from paidup.model.purchase import Purchase
from paidup.model.snapshot import Seen
from paidup.outside.dynamo.client import LostRace, attempts
from paidup.outside.dynamo.items import Key
from paidup.outside.log import logger

NEWEST = 100

Step = Callable[[Booking, Purchase | None, Draft], None]


def listed(
    who: str, status: str | None, services: Services, *, is_host: bool, most: int, after: Key | None, now: int
) -> tuple[list[Booking], Key | None]:
    """Return up to *most* bookings of one *status*, and where the next page begins.

    Whoever *gives* live sessions is told who waits, or who is live with them, the longest first; everybody, of *status*
    or of any, their own of the newest hundred, the newest first. Raises Malformed for an *after* of another list.
    """
    if is_host and status == BookingStatus.WAITING:
        found, following = services.table.waiting_bookings(most=most, after=after)
        return [one for one in found if not one.stale(now=now)], following
    if is_host and status == BookingStatus.LIVE:
        return services.table.live_bookings(who, most=most, after=after)
    newest = services.table.bookings_of(who, most=NEWEST)
    return [one for one in newest if status in (None, one.status_at(now))][:most], None


def accept(booking_id: str, host: str, services: Services, *, now: int) -> Booking:
    """Return the booking live with *host*; of two at once exactly one wins. Raises BookingClosed or NotFound."""

    def step(booking: Booking, _: Purchase | None, draft: Draft) -> None:
        draft.put_booking(booking.accept(host, now=now))

    return _taken(booking_id, None, step, services, now=now)


def finish(booking_id: str, host: str, services: Services, *, now: int) -> Booking:
    """Return the booking finished and its pass used up. Raises BookingClosed, NotYourBooking or NotFound."""

    def step(booking: Booking, purchase: Purchase | None, draft: Draft) -> None:
        draft.put_booking(booking.finish(host, now=now))
        if purchase:
            draft.put_purchase(replace(purchase, used_at=purchase.used_at or now))

    return _taken(booking_id, None, step, services, now=now)


def cancel(booking_id: str, by: str, services: Services, *, of: str | None, now: int) -> Booking:
    """Return the booking cancelled *by* its customer while it waits, or by the host who has it; the money goes
    back, or the pass is kept for the next booking. With *of*, only that customer's bookings are found.

    Raises BookingClosed, NotYourBooking or NotFound.
    """

    def step(booking: Booking, purchase: Purchase | None, draft: Draft) -> None:
        cancelled = booking.cancel(by, now=now)
        if cancelled != booking and purchase:
            call_off(purchase, booking, "it was cancelled", draft, services)
        draft.put_booking(cancelled)

    return _taken(booking_id, of, step, services, now=now)


def expire_booking(customer_id: str, booking_id: str, services: Services, *, now: int) -> Booking | None:
    """End a booking that nobody accepted in time, or that nobody finished within a day; others stay as they are."""

    def step(booking: Booking, purchase: Purchase | None, draft: Draft) -> None:
        if booking.stale(now=now):
            if purchase:
                call_off(purchase, booking, "nobody accepted it in time", draft, services)
            else:
                draft.put_booking(booking.expire(now=now))
        elif booking.overlong(now=now):
            draft.put_booking(booking.over(now=now))
            if purchase:
                draft.put_purchase(replace(purchase, used_at=purchase.used_at or now))

    return _taken(booking_id, customer_id, step, services, now=now)


def book_on_credit(purchase: Purchase, booking_id: str, draft: Draft, services: Services) -> None:
    """Open another booking for *held*, whose earlier one did not take place."""
    draft.put_booking(
        waiting(
            booking_id=booking_id,
            customer_id=purchase.customer_id,
            purchase_id=purchase.purchase_id,
            offer_id=purchase.offer_id,
            paid_at=draft.now,
            within_s=services.policy.accept_within_s,
        )
    )


def _taken(booking_id: str, of: str | None, step: Step, services: Services, *, now: int) -> Booking:
    """Take *step* with the booking in one transaction, and return it as it is then."""
    customer_id = of or services.table.booking_owner(booking_id)
    for _ in attempts():
        account = services.table.account(customer_id or "nobody")
        booking = services.table.booking(account.customer_id, booking_id)
        if booking is None:
            raise NotFound("booking", booking_id)
        purchase = services.table.purchase(booking.customer_id, booking.purchase_id)
        seen = Seen(account=account, purchase=purchase, booking=booking)
        draft = Draft(seen=seen, account=account, now=now, grace_s=services.policy.grace_s)
        step(booking, purchase, draft)
        if (change := draft.change()) is not None:
            try:
                services.table.commit(account, change, now=now)
            except LostRace:
                continue
        after = draft.bookings.get(booking_id, booking)
        logger.info("booking.moved", booking_id=booking_id, before=booking.status, after=after.status)
        return after
    raise Contended(customer_id or booking_id)
