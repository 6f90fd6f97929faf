"""Policy: the numbers and rules that a business may choose, with their defaults."""

from dataclasses import dataclass, field

from paidup.model.bucket import Limits

DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The choices of the business. Names that end in `_s` are seconds.

    A customer opens at most `new_pages` new payment pages in `new_pages_within_s`. If a booking is not accepted, or is
    cancelled, its payment is refunded. With `credit_unaccepted_bookings`, it pays for the next booking instead.

    With `keep_paused_collection`, a subscription whose collection is paused goes on as a gift. With
    `grant_pending_debits`, a delayed payment grants access before the money is there, until it bounces. With
    `cancel_now`, customers may end a subscription within its period.

    `reads` is how often polls, syncs, the sweep and the reconciler may ask a provider.
    """

    checkout_lifetime_s: int = DAY_S
    grace_s: int = 7 * DAY_S
    event_retention_s: int = 90 * DAY_S
    sync_window_s: int = 30 * DAY_S
    timeline_retention_s: int = 400 * DAY_S
    accept_within_s: int = 15 * 60
    refund_duplicate_payments: bool = True
    credit_unaccepted_bookings: bool = False
    keep_paused_collection: bool = False
    grant_pending_debits: bool = False
    cancel_now: bool = False
    ask_every_s: int = 3
    poll_every_s: int = 2
    new_pages: int = 10
    new_pages_within_s: int = 10 * 60
    reads: Limits = field(default_factory=Limits)
