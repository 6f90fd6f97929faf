"""A live session."""

from dataclasses import dataclass
from typing import Literal, Self

from paidup.model.booking import Booking, BookingStatus
from paidup.model.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingView:
    """A live session: `accept_by` and the other times in epoch seconds; `checkout_id` is where it was paid.

    `if_called_off` is what becomes of what was paid where nobody accepts it in time, or it is cancelled: `refunded`, or
    `credited`, which makes the next booking of the same offer free of charge.
    """

    booking_id: str
    checkout_id: str
    purchase_id: str
    offer_id: str
    status: str
    created_at: int
    accept_by: int
    remaining_s: int
    if_called_off: Literal["refunded", "credited"]
    accepted_at: int | None = None
    ended_at: int | None = None

    @classmethod
    def of(cls, booking: Booking, *, now: int, policy: Policy) -> Self:
        """Return the view of *booking* at *now*."""
        waits = booking.status is BookingStatus.WAITING
        return cls(
            booking_id=booking.booking_id,
            checkout_id=booking.purchase_id,
            purchase_id=booking.purchase_id,
            offer_id=booking.offer_id,
            status=booking.status_at(now),
            created_at=booking.created_at,
            accept_by=booking.accept_by,
            remaining_s=max(0, booking.accept_by - now) if waits else 0,
            if_called_off="credited" if policy.credit_unaccepted_bookings else "refunded",
            accepted_at=booking.accepted_at,
            ended_at=booking.ended_at,
        )
