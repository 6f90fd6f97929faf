"""Bookings: the states of a paid live session, and who may move it from one state to the next."""

from dataclasses import dataclass, replace
from enum import StrEnum

from paidup.model.errors import Conflict

KEPT_AFTER_END_S = 90 * 86_400
LIVE_LASTS_S = 86_400
FOUND_WITHIN_S = 3_660  # the sweep looks at an open page once an hour at least


class BookingStatus(StrEnum):
    """The states of a booking. A booking is open while it is waiting or live."""

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
    """The booking's state does not allow the request (any more). The sentence names the state."""

    slug = "booking-closed"
    title = "The booking has moved on"
    next_step = "Look at the list of bookings again."

    def __init__(self, booking: "Booking", *, late: bool = False) -> None:
        """Refuse to act on *booking* in its present state. *late*: its time is over, but it is stored as waiting."""
        why = WHY_CLOSED[BookingStatus.EXPIRED if late else booking.status]
        super().__init__(f"Booking {booking.booking_id!r} {why}.")


class NotYourBooking(Conflict):
    """Another host accepted the booking. Only that host may act on it."""

    slug = "not-your-booking"
    title = "Somebody else accepted this booking"
    next_step = "Accept another one from the list."

    def __init__(self, booking_id: str) -> None:
        """Refuse to let another host act on *booking_id*."""
        super().__init__(f"Booking {booking_id!r} was accepted by somebody else.")


class BookingInTheWay(Conflict):
    """The customer has an open booking already. A customer has one at a time."""

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
    """One live session for one customer, paid by the purchase `purchase_id`. Times are epoch seconds.

    `host` accepted the booking. `ended_by` is an id of a person, `clock`, or the reason why the booking ended. If a
    booking with `lost_payment` gets its payment back, it waits again.
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
        """Whether the booking takes the customer's one slot."""
        return self.status in (BookingStatus.WAITING, BookingStatus.LIVE)

    @property
    def due_at(self) -> int | None:
        """When the sweep must act on the booking: when its wait ends, or a day after it was accepted. Else None."""
        if self.status is BookingStatus.LIVE and self.accepted_at is not None:
            return self.accepted_at + LIVE_LASTS_S
        return self.accept_by if self.status is BookingStatus.WAITING else None

    def overlong(self, *, now: int) -> bool:
        """Whether the booking was accepted at least a day ago and is still live."""
        return self.status is BookingStatus.LIVE and self.due_at is not None and now >= self.due_at

    def stale(self, *, now: int) -> bool:
        """Whether the booking is stored as waiting, but its time to be accepted is over."""
        return self.status is BookingStatus.WAITING and now >= self.accept_by

    def status_at(self, now: int) -> BookingStatus:
        """Return the status at *now*: a stale booking has expired, even if it is stored as waiting."""
        return BookingStatus.EXPIRED if self.stale(now=now) else self.status

    def accept(self, host: str, *, now: int) -> "Booking":
        """Return this booking live with *host*. If *host* has it already, nothing changes. Raises BookingClosed."""
        if self.status is BookingStatus.LIVE and self.host == host:
            return self
        if self.status is not BookingStatus.WAITING or now >= self.accept_by:
            raise BookingClosed(self, late=self.stale(now=now))
        return replace(self, status=BookingStatus.LIVE, host=host, accepted_at=now)

    def finish(self, host: str, *, now: int) -> "Booking":
        """Return this booking finished by the *host* who accepted it. Raises BookingClosed and NotYourBooking."""
        if self.status is BookingStatus.FINISHED and self.host == host:
            return self
        if self.status is not BookingStatus.LIVE:
            raise BookingClosed(self, late=self.stale(now=now))
        if self.host != host:
            raise NotYourBooking(self.booking_id)
        return replace(self, status=BookingStatus.FINISHED, ended_at=now, ended_by=host)

    def cancel(self, by: str, *, now: int) -> "Booking":
        """Return this booking cancelled. The customer may cancel it while it waits, its host while it is live.

        *by* is the id of the customer or the host. Raises BookingClosed and NotYourBooking.
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
        """Return this booking cancelled. *by* is an id of a person, or the reason."""
        return replace(self, status=BookingStatus.CANCELLED, ended_at=now, ended_by=by)

    def unpaid(self, by: str, *, now: int) -> "Booking":
        """Return this booking cancelled because its payment was taken back. *by* is the reason."""
        return replace(self.called_off(by, now=now), lost_payment=True)

    def over(self, *, now: int) -> "Booking":
        """Return this booking finished by the clock, a day after it was accepted. Raises BookingClosed before that."""
        if not self.overlong(now=now):
            raise BookingClosed(self)
        return replace(self, status=BookingStatus.FINISHED, ended_at=now, ended_by="clock")

    def waiting_again(self, *, now: int, within_s: int) -> "Booking":
        """Return this booking waiting again for *within_s* seconds, because its payment came back."""
        return replace(
            self,
            status=BookingStatus.WAITING,
            accept_by=now + within_s,
            ended_at=None,
            ended_by=None,
            lost_payment=False,
        )

    def expire(self, *, now: int) -> "Booking":
        """Return this booking expired: it was not accepted by `accept_by`. Raises BookingClosed before that."""
        if not self.stale(now=now):
            raise BookingClosed(self)
        return replace(self, status=BookingStatus.EXPIRED, ended_at=now, ended_by="clock")


def waiting_since(paid_at: int, *, now: int) -> int:
    """Return when a booking begins to wait, in epoch seconds of our clock. *paid_at* is the provider's epoch second.

    A payment whose webhook is lost is found within the hour. It waits for a host from *now* on, as if it was just paid.
    A payment that is found later counts from *paid_at*: its buyer is not there any more.
    """
    return now if now - paid_at <= FOUND_WITHIN_S else paid_at


def waiting(
    *, booking_id: str, customer_id: str, purchase_id: str, offer_id: str, paid_at: int, within_s: int
) -> Booking:
    """Return a new booking that waits for *within_s* seconds, counted from *paid_at* (epoch seconds)."""
    return Booking(
        booking_id=booking_id,
        customer_id=customer_id,
        purchase_id=purchase_id,
        offer_id=offer_id,
        status=BookingStatus.WAITING,
        created_at=paid_at,
        accept_by=paid_at + within_s,
    )
