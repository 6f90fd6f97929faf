"""What passes between table and flows: what one look at a customer saw, what one transaction writes, what is due."""

from collections.abc import Sequence
from dataclasses import dataclass

from paidup.model.account import Account
from paidup.model.booking import Booking
from paidup.model.checkout import Checkout, IdempotencyRecord
from paidup.model.purchase import Purchase
from paidup.model.timeline import EventRecord, TimelineEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One consistent look at a customer: the account, and what else was asked for, as far as it exists.

    `booking` is the one that the slot points at, or else the pass's own.
    """

    account: Account
    checkout: Checkout | None = None
    purchase: Purchase | None = None
    booking: Booking | None = None
    event: EventRecord | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What one transaction writes for a customer beside the account: whole rows, each as it is to be from now on."""

    account: Account
    checkouts: Sequence[Checkout] = ()
    purchases: Sequence[Purchase] = ()
    bookings: Sequence[Booking] = ()
    timeline: Sequence[TimelineEntry] = ()
    events: Sequence[EventRecord] = ()
    idempotency_record: IdempotencyRecord | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """Something that the clock must look at, as the due index holds it (which may lag: read it again to act)."""

    customer_id: str
    checkout_id: str | None = None
    purchase_id: str | None = None
    booking_id: str | None = None
