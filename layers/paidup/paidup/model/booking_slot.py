"""The booking slot: a paid live session fills the customer's one slot, and a stale booking makes it free."""

from dataclasses import replace

from paidup.model.booking import Booking, BookingInTheWay, BookingStatus, waiting, waiting_since
from paidup.model.fact import Channel
from paidup.model.policy import Policy
from paidup.model.purchase import Purchase
from paidup.model.snapshot import ChangeSet

TAKEN_BACK = "its payment was taken back"
NOT_ACCEPTED = "nobody accepted it in time"
IN_THE_WAY = "another booking is open"


def open_or_end_booking(purchase: Purchase, change: ChangeSet) -> None:
    """Open the booking of a paid live session. If the payment was taken back, end the booking."""
    now, policy, seen = change.now, change.policy, change.snapshot
    purchase = change.purchase(purchase.purchase_id) or purchase
    grants = purchase.status_at(now=now, policy=policy).grants
    in_slot = change.slot_booking
    if in_slot and in_slot.purchase_id == purchase.purchase_id:  # the first booking, or a later one on credit
        if not grants:
            _close(in_slot.unpaid(TAKEN_BACK, now=now), purchase, TAKEN_BACK, change)
        return
    mine = seen.booking
    granted_before = seen.purchase is None or seen.purchase.status_at(now=now, policy=policy).grants
    came_back = grants and not granted_before
    refunds = not change.policy.credit_unaccepted_bookings
    if came_back and refunds and mine and mine.status is BookingStatus.EXPIRED:
        change.put_purchase(purchase.to_refund(NOT_ACCEPTED, now=now))
        return
    if (mine and not mine.lost_payment) or not grants or purchase.paid_at is None:
        return
    if mine is None and seen.purchase and seen.purchase.paid_at is not None and granted_before:
        return  # it had its booking when it was paid: that is purged by now, or was one on credit
    if mine and mine.accepted_at is not None:  # a host accepted it before: the session is used
        change.put_purchase(replace(purchase, used_at=mine.accepted_at))
    elif not release_stale_booking(change):
        change.put_purchase(purchase.to_refund(IN_THE_WAY, now=now))
        change.note(purchase, f"refund due: {IN_THE_WAY}", channel=Channel.SWEEP)
    elif mine:
        change.put_booking(mine.waiting_again(now=now, within_s=change.policy.accept_within_s))
    else:
        paid_at = waiting_since(purchase.paid_at, now=now)
        change.put_booking(_waiting(purchase, purchase.purchase_id, paid_at=paid_at, policy=change.policy))


def book_again(purchase: Purchase, booking_id: str, change: ChangeSet) -> None:
    """Open the booking *booking_id* for *purchase*. An earlier booking of the purchase did not take place."""
    change.put_booking(_waiting(purchase, booking_id, paid_at=change.now, policy=change.policy))


def ensure_booking_slot(change: ChangeSet) -> None:
    """Make the customer's booking slot free. Raises BookingInTheWay if its booking is live or waits."""
    booking = change.slot_booking
    if booking and not release_stale_booking(change):
        raise BookingInTheWay(booking)


def release_stale_booking(change: ChangeSet) -> bool:
    """End the booking in the customer's slot if it is stale, and return whether the slot is free."""
    booking = change.slot_booking
    if booking is None:
        return True
    if not booking.stale(now=change.now):
        return False
    if paid_by := change.purchase(booking.purchase_id):
        call_off(paid_by, booking, NOT_ACCEPTED, change)
    else:
        change.put_booking(booking.expire(now=change.now))
    return True


def call_off(purchase: Purchase, booking: Booking, why: str, change: ChangeSet) -> None:
    """End the open *booking* of *purchase*. The money goes back, or the purchase pays for the next booking."""
    stale = booking.stale(now=change.now)
    _close(booking.expire(now=change.now) if stale else booking.called_off(why, now=change.now), purchase, why, change)


def _close(ended: Booking, purchase: Purchase, why: str, change: ChangeSet) -> None:
    change.put_booking(ended)
    if purchase.is_effective and not change.policy.credit_unaccepted_bookings:
        purchase = purchase.to_refund(why, now=change.now)
    change.put_purchase(purchase)
    change.note(purchase, f"booking {ended.status}: {why}", channel=Channel.SWEEP)


def _waiting(purchase: Purchase, booking_id: str, *, paid_at: int, policy: Policy) -> Booking:
    return waiting(
        booking_id=booking_id,
        customer_id=purchase.customer_id,
        purchase_id=purchase.purchase_id,
        offer_id=purchase.offer_id,
        paid_at=paid_at,
        within_s=policy.accept_within_s,
    )
