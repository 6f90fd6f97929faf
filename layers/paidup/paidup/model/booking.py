"""Bookings: a live session that was paid for, waiting for somebody to accept it in time."""

from dataclasses import dataclass, replace
from enum import StrEnum

from paidup.model.errors import Conflict

KEPT_AFTER_END_S = 90 * 86_400
LIVE_LASTS_S = 86_400
HEARD_AT_ONCE_S = 90  # a minute between the provider's clock and ours, and half a minute until a payment is heard of


class BookingStatus(StrEnum):
    """The states of a booking; it is open while waiting or live."""

    WAITING = "waiting"
    LIVE = "live"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


WHY_CLOSED = {
    BookingStatus.WAITING: "has not been accepted yet",
    BookingStatus.LIVE: "was accepted by somebody a moment ago",
    BookingStatus.FINISHED: "is finished",
    BookingStatus.CANCELLED: "was cancelled",
    BookingStatus.EXPIRED: "was not accepted in time",
}


class BookingClosed(Conflict):
    """What was asked of a booking is not possible (any more); the sentence says what happened instead."""

    slug = "booking-closed"
    title = "The booking has moved on"
    next_step = "Look at the list of bookings again."

    def __init__(self, booking: "Booking", *, late: bool = False) -> None:
        """Refuse to act on *booking* as it stands; *late*: its time has run out, though nobody wrote that down yet."""
        why = WHY_CLOSED[BookingStatus.EXPIRED if late else booking.status]
        super().__init__(f"Booking {booking.booking_id!r} {why}.")


class NotYourBooking(Conflict):
    """A live booking belongs to the one who accepted it."""

    slug = "not-your-booking"
    title = "Somebody else accepted this booking"
    next_step = "Accept another one from the list."

    def __init__(self, booking_id: str) -> None:
        """Refuse to let another provider act on *booking_id*."""
        super().__init__(f"Booking {booking_id!r} was accepted by somebody else.")


class BookingInTheWay(Conflict):
    """A customer has one open booking at a time; this one is theirs."""

    slug = "booking-in-the-way"
    title = "You have a booking already"

    def __init__(self, booking: "Booking") -> None:
        """Refuse a second booking while *booking* is open."""
        live = booking.status is BookingStatus.LIVE
        state = "is live now" if live else f"waits to be accepted until {booking.accept_by} (epoch seconds)"
        self.next_step = "It ends when it is finished, a day after it began at the latest" if live else ""
        self.next_step = self.next_step or "Wait for it, or cancel it first"
        self.next_step += "; passes and subscriptions can be bought as ever."
        super().__init__(f"Booking {booking.booking_id!r} {state}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """One live session for one customer, paid by the pass `purchase_id`. Times are epoch seconds; `host` is who
    accepted it, `ended_by` who or what ended it; one that `lost_payment` waits again if its payment comes back.
    """

    booking_id: str
    customer_id: str
    purchase_id: str
    offer_id: str
    status: BookingStatus
    created_at: int
    accept_by: int
    host: str | None = None
    accepted_at: int | None = None
    ended_at: int | None = None
    ended_by: str | None = None
    lost_payment: bool = False

    @property
    def open(self) -> bool:
        """Whether it takes the customer's one slot."""
        return self.status in (BookingStatus.WAITING, BookingStatus.LIVE)

    @property
    def due_at(self) -> int | None:
        """When the clock must look at it: at the end of its waiting, or a day after it was accepted."""
        if self.status is BookingStatus.LIVE and self.accepted_at is not None:
            return self.accepted_at + LIVE_LASTS_S
        return self.accept_by if self.status is BookingStatus.WAITING else None

    def overlong(self, *, now: int) -> bool:
        """Whether it was accepted a day ago and nobody has said that it is over."""
        return self.status is BookingStatus.LIVE and self.due_at is not None and now >= self.due_at

    def stale(self, *, now: int) -> bool:
        """Whether nobody accepted it in time, written down or not."""
        return self.status is BookingStatus.WAITING and now >= self.accept_by

    def status_at(self, now: int) -> BookingStatus:
        """How it stands at *now*: one that nobody accepted in time has expired, written down or not."""
        return BookingStatus.EXPIRED if self.stale(now=now) else self.status

    def accept(self, host: str, *, now: int) -> "Booking":
        """Return this booking live with *host*; accepting again what is theirs changes nothing.

        Raises BookingClosed.
        """
        if self.status is BookingStatus.LIVE and self.host == host:
            return self
        if self.status is not BookingStatus.WAITING or now >= self.accept_by:
            raise BookingClosed(self, late=self.stale(now=now))
        return replace(self, status=BookingStatus.LIVE, host=host, accepted_at=now)

    def finish(self, host: str, *, now: int) -> "Booking":
        """Return this booking finished by the *host* who accepted it. Raises BookingClosed or NotYourBooking."""
        if self.status is BookingStatus.FINISHED and self.host == host:
            return self
        if self.status is not BookingStatus.LIVE:
            raise BookingClosed(self, late=self.stale(now=now))
        if self.host != host:
            raise NotYourBooking(self.booking_id)
        return replace(self, status=BookingStatus.FINISHED, ended_at=now, ended_by=host)

    def cancel(self, by: str, *, now: int) -> "Booking":
        """Return this booking cancelled *by* its customer while it waits, or by the host who has it.

        Raises BookingClosed or NotYourBooking.
        """
        if self.status is BookingStatus.CANCELLED:
            return self
        if not self.open or self.stale(now=now):
            raise BookingClosed(self, late=self.stale(now=now))
        if self.status is BookingStatus.LIVE and by != self.host:
            raise BookingClosed(self) if by == self.customer_id else NotYourBooking(self.booking_id)
        if self.status is BookingStatus.WAITING and by != self.customer_id:
            raise BookingClosed(self)
        return self.called_off(by, now=now)

    def called_off(self, by: str, *, now: int) -> "Booking":
        """Return this booking cancelled; *by* says by whom or what."""
        return replace(self, status=BookingStatus.CANCELLED, ended_at=now, ended_by=by)

    def unpaid(self, by: str, *, now: int) -> "Booking":
        """Return this booking cancelled because what paid for it was taken back (*by* says by what)."""
        return replace(self.called_off(by, now=now), lost_payment=True)

    def over(self, *, now: int) -> "Booking":
        """Return this booking finished by the clock: it was live for a day. Raises BookingClosed before that."""
        if not self.overlong(now=now):
            raise BookingClosed(self)
        return replace(self, status=BookingStatus.FINISHED, ended_at=now, ended_by="clock")

    def waiting_again(self, *, now: int, within_s: int) -> "Booking":
        """Return this booking open once more: what had been taken back from its payment came back."""
        return replace(
            self,
            status=BookingStatus.WAITING,
            accept_by=now + within_s,
            ended_at=None,
            ended_by=None,
            lost_payment=False,
        )

    def expire(self, *, now: int) -> "Booking":
        """Return this booking ended because nobody accepted it by `accept_by`. Raises BookingClosed before that."""
        if not self.stale(now=now):
            raise BookingClosed(self)
        return replace(self, status=BookingStatus.EXPIRED, ended_at=now, ended_by="clock")


def waiting_since(paid_at: int, *, now: int) -> int:
    """Return the second of our own clock at which a booking paid for at *paid_at*, by the provider's, begins to wait.

    A payment is heard of within seconds: what else lies between the two seconds is a difference of the clocks, which
    neither takes from the time to accept the booking nor adds to it. Old news began to wait when it was paid.
    """
    return now if now - paid_at <= HEARD_AT_ONCE_S else paid_at


def waiting(
    *, booking_id: str, customer_id: str, purchase_id: str, offer_id: str, paid_at: int, within_s: int
) -> Booking:
    """Return a new booking that waits to be accepted within *within_s* seconds of *paid_at* (epoch seconds)."""
    return Booking(
        booking_id=booking_id,
        customer_id=customer_id,
        purchase_id=purchase_id,
        offer_id=offer_id,
        status=BookingStatus.WAITING,
        created_at=paid_at,
        accept_by=paid_at + within_s,
    )
