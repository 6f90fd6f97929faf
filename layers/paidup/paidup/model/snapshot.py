"""Snapshots and change sets: what one read of a customer found, and what one transaction writes for them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from paidup.model.account import Account
from paidup.model.booking import Booking
from paidup.model.case import CaseReason, ReviewCase, case_id
from paidup.model.checkout import Checkout, IdempotencyRecord
from paidup.model.fact import Channel, Fact
from paidup.model.group import Running, TrialRecord
from paidup.model.policy import Policy
from paidup.model.purchase import Purchase
from paidup.model.timeline import TimelineEntry
from paidup.model.use import Use


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What was read of a customer. The account is read first: if it moves after that, the commit fails.

    The flow is about `checkout`, `purchase` and `booking`. `slot_booking` is the booking in the account's slot, and
    `slot_purchase` paid for it. `family` are the checkouts that are linked to `checkout`. `family_purchases` are the
    purchases that were paid on them, by id. `cases` are the open cases of `purchase` and `slot_purchase`.
    `all_purchases` is read only if the account's `access_cut` is set. `running` are the purchases that run, and
    `open_checkout` the checkout in the customer's slot. Both are read only if the facts begin a purchase.

    `moved_to` is the customer to whom support moved what the facts are about. `use` was taken from `purchase`.
    `trial_record` says that the e-mail address of `checkout` has had its trial. It is read only if a trial begins.
    """

    account: Account
    checkout: Checkout | None = None
    purchase: Purchase | None = None
    booking: Booking | None = None
    slot_booking: Booking | None = None
    slot_purchase: Purchase | None = None
    family: tuple[Checkout, ...] = ()
    family_purchases: Mapping[str, Purchase] = field(default_factory=dict)
    cases: tuple[ReviewCase, ...] = ()
    all_purchases: tuple[Purchase, ...] = ()
    running: tuple[Running, ...] = ()
    open_checkout: Checkout | None = None
    moved_to: str | None = None
    use: Use | None = None
    trial_record: TrialRecord | None = None

    def ties_with(self, fact: Fact) -> bool:
        """Whether *fact* and the known entry of its register differ at the same second."""
        return self.purchase is not None and self.purchase.ties_with(fact)


@dataclass(slots=True, kw_only=True)
class ChangeSet:
    """What one transaction writes for a customer: whole things in their new state, by id.

    `put_purchase` updates the account's access too. If the checkout or booking in a slot ends, the slot becomes free.
    `now` is in epoch seconds.
    """

    snapshot: Snapshot
    policy: Policy
    now: int
    account: Account = field(init=False)
    checkouts: dict[str, Checkout] = field(default_factory=dict)
    purchases: dict[str, Purchase] = field(default_factory=dict)
    bookings: dict[str, Booking] = field(default_factory=dict)
    cases: dict[str, ReviewCase] = field(default_factory=dict)
    timeline: list[TimelineEntry] = field(default_factory=list)
    idempotency_record: IdempotencyRecord | None = None
    trial_record: TrialRecord | None = None
    use: Use | None = None

    def __post_init__(self) -> None:
        """Begin with the account of the snapshot."""
        self.account = self.snapshot.account

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        written = self.checkouts or self.purchases or self.bookings or self.cases or self.timeline
        return not (written or self.idempotency_record or self.use) and self.account == self.snapshot.account

    def put_checkout(self, checkout: Checkout) -> None:
        """Write *checkout* if it changed. If it ended, free its slot."""
        seen = self.snapshot
        known = {one.checkout_id: one for one in (*seen.family, seen.open_checkout, seen.checkout) if one}
        _put(self.checkouts, checkout.checkout_id, checkout, known)
        if checkout.ended and self.account.open_checkout_id == checkout.checkout_id:
            self.account = replace(self.account, open_checkout_id=None)

    def put_purchase(self, purchase: Purchase, *, reschedule: bool = False) -> None:
        """Write *purchase* if it changed, and update the account's access.

        *reschedule* writes an unchanged purchase too, so that its item gets the right `due_at`.
        """
        known = {} if reschedule else self._known_purchases()
        _put(self.purchases, purchase.purchase_id, purchase, known)
        self.account = self.account.granting(
            purchase, now=self.now, policy=self.policy, among=self.snapshot.all_purchases
        )

    def put_booking(self, booking: Booking) -> None:
        """Write *booking* if it changed. If it is open, it takes the slot. If it ended, its slot becomes free."""
        seen = self.snapshot
        known = {one.booking_id: one for one in (seen.booking, seen.slot_booking) if one}
        _put(self.bookings, booking.booking_id, booking, known)
        if booking.open:
            self.account = replace(self.account, open_booking_id=booking.booking_id)
        elif self.account.open_booking_id == booking.booking_id:
            self.account = replace(self.account, open_booking_id=None)

    def purchase(self, purchase_id: str) -> Purchase | None:
        """Return the purchase in its new state, or else as it was read."""
        return self.purchases.get(purchase_id) or self._known_purchases().get(purchase_id)

    @property
    def newly_counted(self) -> list[Purchase]:
        """The written purchases whose uses are counted, and were not counted before."""
        known = self._known_purchases()
        counted = (one for one in self.purchases.values() if one.uses_each is not None)
        return [one for one in counted if (before := known.get(one.purchase_id)) is None or before.uses_each is None]

    @property
    def slot_booking(self) -> Booking | None:
        """The open booking in the customer's slot, in its new state."""
        in_slot = self.account.open_booking_id
        if in_slot is None:
            return None
        seen = self.snapshot
        known = {one.booking_id: one for one in (seen.booking, seen.slot_booking) if one}
        booking = self.bookings.get(in_slot) or known.get(in_slot)
        return booking if booking and booking.open else None

    @property
    def purchases_due(self) -> Mapping[str, int | None]:
        """When the sweep must act on each written purchase next (epoch seconds; None: never)."""
        return {an_id: one.due_at(now=self.now, policy=self.policy) for an_id, one in self.purchases.items()}

    def note(
        self,
        purchase: Purchase,
        change: str,
        *,
        channel: Channel,
        said_by: str = "paidup",
        register: str = "decision",
        occurred_at: int | None = None,
        fact_id: str | None = None,
        provider_paid_at: int | None = None,
        heard_at: int | None = None,
        decided_by: str | None = None,
        reason: str | None = None,
    ) -> None:
        """Add a timeline entry about *purchase*. All times are epoch seconds. *occurred_at* None: now."""
        entry_id = fact_id or f"{purchase.purchase_id}@{self.snapshot.account.version}#{len(self.timeline)}"
        self.timeline.append(
            TimelineEntry(
                customer_id=purchase.customer_id,
                occurred_at=self.now if occurred_at is None else occurred_at,
                fact_id=entry_id,
                purchase_id=purchase.purchase_id,
                said_by=said_by,
                channel=channel,
                register=register,
                change=change,
                settled_at=self.now,
                billing_version=self.account.billing_version,
                provider_paid_at=provider_paid_at,
                heard_at=heard_at,
                decided_by=decided_by,
                reason=reason,
                purge_at=self.now + self.policy.timeline_retention_s,
            )
        )

    def open_case(self, purchase: Purchase, reason: CaseReason, why: str, *, facts: tuple[str, ...] = ()) -> Purchase:
        """Open a case about *purchase*, and return the purchase with it. A case that is open already stays as it is."""
        an_id = case_id(reason, purchase.purchase_id)
        if an_id in purchase.open_cases:
            return purchase
        self.cases[an_id] = ReviewCase(
            case_id=an_id,
            reason=reason,
            customer_id=purchase.customer_id,
            purchase_id=purchase.purchase_id,
            why=why,
            opened_at=self.now,
            facts=facts,
        )
        return replace(purchase, open_cases=(*purchase.open_cases, an_id))

    def decide_case(self, purchase: Purchase, reason: CaseReason, decision: str, *, by: str = "paidup") -> Purchase:
        """If the case about *purchase* is open, close it with *decision*. Return the purchase without it."""
        an_id = case_id(reason, purchase.purchase_id)
        if an_id not in purchase.open_cases:
            return purchase
        case = self.cases.get(an_id) or next(one for one in self.snapshot.cases if one.case_id == an_id)
        self.cases[an_id] = case.decided(
            decision, by=by, now=self.now, purge_at=self.now + self.policy.timeline_retention_s
        )
        return replace(purchase, open_cases=tuple(one for one in purchase.open_cases if one != an_id))

    def _known_purchases(self) -> dict[str, Purchase]:
        seen = self.snapshot
        known = {one.purchase_id: one for one in (seen.purchase, seen.slot_purchase) if one}
        return {one.purchase.purchase_id: one.purchase for one in seen.running} | {**seen.family_purchases, **known}


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """The ids of something that the sweep must act on since `due_at` (epoch seconds), from an index.

    The index may lag: read again before acting.
    """

    customer_id: str
    due_at: int
    checkout_id: str | None = None
    purchase_id: str | None = None
    booking_id: str | None = None


def _put[T](into: dict[str, T], an_id: str, thing: T, known: Mapping[str, T]) -> None:
    """Put *thing* into *into*. If it is as it was read, take it out instead."""
    if known.get(an_id) == thing:
        into.pop(an_id, None)
    else:
        into[an_id] = thing
