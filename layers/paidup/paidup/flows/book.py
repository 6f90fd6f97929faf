"""Booking: live sessions that were paid for are listed, accepted, finished and cancelled."""

from collections.abc import Callable
from dataclasses import replace

from paidup.flows.consequences import call_off
from paidup.flows.draft import Draft
from paidup.flows.services import Shop
from paidup.model.booking import Booking, BookingStatus, waiting
from paidup.model.errors import Contended, NotFound
from paidup.model.purchase import Pass
from paidup.model.snapshot import Seen
from paidup.outside.dynamo.client import LostRace, attempts
from paidup.outside.dynamo.items import Key
from paidup.outside.log import logger

NEWEST = 100

Step = Callable[[Booking, Pass | None, Draft], None]


def listed(
    who: str, status: str | None, shop: Shop, *, gives: bool, most: int, after: Key | None, now: int
) -> tuple[list[Booking], Key | None]:
    """Return up to *most* bookings of one *status*, and where the next page begins.

    Whoever *gives* live sessions is told who waits, or who is live with them, the longest first; everybody, of *status*
    or of any, their own of the newest hundred, the newest first. Raises Malformed for an *after* of another list.
    """
    if gives and status == BookingStatus.WAITING:
        found, following = shop.table.waiting_bookings(most=most, after=after)
        return [one for one in found if not one.stale(now=now)], following
    if gives and status == BookingStatus.LIVE:
        return shop.table.live_bookings(who, most=most, after=after)
    newest = shop.table.bookings_of(who, most=NEWEST)
    return [one for one in newest if status in (None, one.status_at(now))][:most], None


def accept(booking_id: str, mechanic: str, shop: Shop, *, now: int) -> Booking:
    """Return the booking live with *mechanic*; of two at once exactly one wins. Raises BookingClosed or NotFound."""

    def step(booking: Booking, _: Pass | None, draft: Draft) -> None:
        draft.put_booking(booking.accept(mechanic, now=now))

    return _taken(booking_id, None, step, shop, now=now)


def finish(booking_id: str, mechanic: str, shop: Shop, *, now: int) -> Booking:
    """Return the booking finished and its pass used up. Raises BookingClosed, NotYourBooking or NotFound."""

    def step(booking: Booking, held: Pass | None, draft: Draft) -> None:
        draft.put_booking(booking.finish(mechanic, now=now))
        if held:
            draft.put_pass(replace(held, used_at=held.used_at or now))

    return _taken(booking_id, None, step, shop, now=now)


def cancel(booking_id: str, by: str, shop: Shop, *, of: str | None, now: int) -> Booking:
    """Return the booking cancelled *by* its customer while it waits, or by the mechanic who has it; the money goes
    back, or the pass is kept for the next booking. With *of*, only that customer's bookings are found.

    Raises BookingClosed, NotYourBooking or NotFound.
    """

    def step(booking: Booking, held: Pass | None, draft: Draft) -> None:
        cancelled = booking.cancel(by, now=now)
        if cancelled != booking and held:
            call_off(held, booking, "it was cancelled", draft, shop)
        draft.put_booking(cancelled)

    return _taken(booking_id, of, step, shop, now=now)


def lapse(customer_id: str, booking_id: str, shop: Shop, *, now: int) -> Booking | None:
    """End a booking that nobody accepted in time, or that nobody finished within a day; others stay as they are."""

    def step(booking: Booking, held: Pass | None, draft: Draft) -> None:
        if booking.stale(now=now):
            if held:
                call_off(held, booking, "nobody accepted it in time", draft, shop)
            else:
                draft.put_booking(booking.lapse(now=now))
        elif booking.overlong(now=now):
            draft.put_booking(booking.over(now=now))
            if held:
                draft.put_pass(replace(held, used_at=held.used_at or now))

    return _taken(booking_id, customer_id, step, shop, now=now)


def book_on_credit(held: Pass, booking_id: str, draft: Draft, shop: Shop) -> None:
    """Open another booking for *held*, whose earlier one did not take place."""
    draft.put_booking(
        waiting(
            booking_id=booking_id,
            customer_id=held.customer_id,
            pass_id=held.pass_id,
            offer_id=held.offer_id,
            paid_at=draft.now,
            within_s=shop.policy.accept_within_s,
        )
    )


def _taken(booking_id: str, of: str | None, step: Step, shop: Shop, *, now: int) -> Booking:
    """Take *step* with the booking in one transaction, and return it as it is then."""
    customer_id = of or shop.table.whose_booking(booking_id)
    for _ in attempts():
        account = shop.table.account(customer_id or "nobody")
        booking = shop.table.booking(account.customer_id, booking_id)
        if booking is None:
            raise NotFound("booking", booking_id)
        held = shop.table.held(booking.customer_id, booking.pass_id)
        seen = Seen(account=account, held=held, booking=booking)
        draft = Draft(seen=seen, account=account, now=now, grace_s=shop.policy.grace_s)
        step(booking, held, draft)
        if (change := draft.change()) is not None:
            try:
                shop.table.commit(account, change, now=now)
            except LostRace:
                continue
        after = draft.bookings.get(booking_id, booking)
        logger.info("booking.moved", booking_id=booking_id, before=booking.status, after=after.status)
        return after
    raise Contended(customer_id or booking_id)
