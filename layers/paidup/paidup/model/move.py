"""Moves: support gives everything of one customer to another, some things in each transaction. Pure.

A move can stop anywhere and be done again: what was moved is no longer the first customer's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from paidup.model.account import Account
from paidup.model.booking import Booking
from paidup.model.case import ReviewCase
from paidup.model.checkout import Checkout
from paidup.model.errors import Conflict
from paidup.model.fact import Channel
from paidup.model.policy import Policy
from paidup.model.purchase import Purchase
from paidup.model.timeline import TimelineEntry


class BothBooked(Conflict):
    """Both customers have an open booking, and a customer has one at a time."""

    slug = "both-booked"
    title = "Both customers have an open booking"
    next_step = "Finish or cancel one of the two bookings, then move again."

    def __init__(self, first: str, second: str) -> None:
        """Refuse to move, because the bookings *first* and *second* (ids) are both open."""
        super().__init__(f"The bookings {first!r} and {second!r} are both open.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Belongings:
    """Some things of a customer that move together: checkouts with their purchases, bookings and open cases."""

    checkouts: tuple[Checkout, ...] = ()
    purchases: tuple[Purchase, ...] = ()
    bookings: tuple[Booking, ...] = ()
    cases: tuple[ReviewCase, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing."""
        return not (self.checkouts or self.purchases or self.bookings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Who asked for a move, and why, at `now` (epoch seconds)."""

    reason: str
    by: str
    now: int
    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What one transaction of a move writes. `source` and `target` are the accounts as they were read.

    `belongings` are the target's already. `purchases_due` is as in `ChangeSet`.
    """

    source: Account
    target: Account
    source_after: Account
    target_after: Account
    belongings: Belongings = Belongings()
    purchases_due: Mapping[str, int | None] = field(default_factory=dict)
    timeline: tuple[TimelineEntry, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        same = (self.source, self.target) == (self.source_after, self.target_after)
        return same and self.belongings.empty and not self.timeline


def hand_over(
    source: Account, target: Account, found: Belongings, request: Request, *, among: Sequence[Purchase] = ()
) -> Move:
    """Return the move of *found* from *source* to *target*.

    An open checkout ends if the target has an open one already. *among* is as in `Account.granting`. Raises BothBooked.
    """
    whose, now = target.customer_id, request.now
    checkouts = tuple(_theirs(one, target, now=now) for one in found.checkouts)
    purchases = tuple(replace(one, customer_id=whose) for one in found.purchases)
    after, ids = target, {one.checkout_id for one in checkouts}
    for purchase in purchases:
        after = after.granting(purchase, now=now, policy=request.policy, among=among)
    open_one = next((one.checkout_id for one in checkouts if not one.ended), None)
    booked = next((one.booking_id for one in found.bookings if one.open), None)
    if booked and target.open_booking_id:
        raise BothBooked(booked, target.open_booking_id)
    after = replace(
        after,
        open_checkout_id=open_one or after.open_checkout_id,
        open_booking_id=booked or after.open_booking_id,
    )
    rest = source.without([one.purchase_id for one in purchases], now=now)
    rest = replace(
        rest,
        open_checkout_id=None if rest.open_checkout_id in ids else rest.open_checkout_id,
        cancelled_checkout_id=None if rest.cancelled_checkout_id in ids else rest.cancelled_checkout_id,
        open_booking_id=None if booked else rest.open_booking_id,
    )
    return Move(
        source=source,
        target=target,
        source_after=rest,
        target_after=after,
        belongings=Belongings(
            checkouts=checkouts,
            purchases=purchases,
            bookings=tuple(replace(one, customer_id=whose) for one in found.bookings),
            cases=tuple(replace(one, customer_id=whose) for one in found.cases),
        ),
        purchases_due={one.purchase_id: one.due_at(now=now, policy=request.policy) for one in purchases},
        timeline=tuple(entry for one in purchases for entry in _entries(one.purchase_id, rest, after, request)),
    )


def hand_over_account(source: Account, target: Account, request: Request) -> Move:
    """Return the move of what the account itself holds: the customers at the providers, and the used trials.

    The source remembers its trials, too. Only one customer of a provider pays in a currency: further ones are read.
    """
    customers = dict(target.customers)
    for slot, ref in source.customers.items():
        provider, _, name = ref.partition("#")
        customers[slot if slot not in customers else f"{provider}#{name}"] = ref
    after = replace(
        target,
        customers=customers,
        emails={**source.emails, **target.emails},
        trials=tuple(sorted({*source.trials, *target.trials})),
    )
    rest = replace(source, customers={}, emails={})
    moved = rest != source or after != target
    entries = _entries("", rest, after, request) if moved else []
    return Move(source=source, target=target, source_after=rest, target_after=after, timeline=tuple(entries))


def _theirs(checkout: Checkout, target: Account, *, now: int) -> Checkout:
    moved = replace(checkout, customer_id=target.customer_id)
    if moved.ended or target.open_checkout_id is None:
        return moved
    return moved.invalidated(by=None, now=now)


def _entries(purchase_id: str, source: Account, target: Account, request: Request) -> list[TimelineEntry]:
    """Return what the timelines of both say about the move of a purchase, or of the account (an empty id)."""

    def entry(account: Account, change: str) -> TimelineEntry:
        return TimelineEntry(
            customer_id=account.customer_id,
            occurred_at=request.now,
            fact_id=f"{purchase_id or 'account'}@moved-to-{target.customer_id}",
            purchase_id=purchase_id,
            said_by="paidup",
            channel=Channel.SUPPORT,
            register="decision",
            change=change,
            settled_at=request.now,
            billing_version=account.billing_version,
            decided_by=request.by,
            reason=request.reason,
            purge_at=request.now + request.policy.timeline_retention_s,
        )

    return [
        entry(source, f"moved to the customer {target.customer_id!r}"),
        entry(target, f"moved from the customer {source.customer_id!r}"),
    ]
