"""What the desk shows to support. Times are epoch seconds."""

from dataclasses import asdict, dataclass
from typing import Self

from paidup.edge.views.access import AccessView, access_of
from paidup.edge.views.copied import copied
from paidup.edge.views.purchase import PurchaseView
from paidup.edge.views.register import RegisterView, registers_of
from paidup.flows.desk import CustomerFile, Found
from paidup.flows.replay import ReplayRun
from paidup.model.case import ReviewCase
from paidup.model.event import EventRecord
from paidup.model.policy import Policy
from paidup.model.provider import FoundPayment
from paidup.model.purchase import Purchase
from paidup.model.timeline import TimelineEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    """A webhook event as the log has it: its `status` (settled, ignored, failed), and why it failed.

    `ms` is how long the last try took. `dead_at`: it was found among the dead letters. `replayed_by` and `reason` are
    of the last replay that failed.
    """

    provider: str
    event_id: str
    type: str
    status: str
    received_at: int
    attempts: int
    ms: int
    error: str | None
    traceback: str | None
    customer_id: str | None
    purchase_id: str | None
    dead_at: int | None
    replayed_by: str | None
    reason: str | None

    @classmethod
    def of(cls, record: EventRecord) -> "EventView":
        """Return the view of *record*."""
        return copied(cls, record)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventWithBody:
    """A webhook event with its raw `body`. It is null if it was too large to be kept."""

    event: EventView
    body: str | None

    @classmethod
    def of(cls, record: EventRecord) -> Self:
        """Return the view of *record* with its body."""
        return cls(event=EventView.of(record), body=record.body or None)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsView:
    """Failed events, the longest failed first. `more`: there are others."""

    events: list[EventView]
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaysView:
    """What a run replayed, or would replay. To go on if there is `more`, send `begun_at` as `before`."""

    dry_run: bool
    begun_at: int
    more: bool
    events: list[EventView]

    @classmethod
    def of(cls, run: ReplayRun, *, dry_run: bool) -> Self:
        """Return the view of *run*."""
        events = [EventView.of(one) for one in run.events]
        return cls(dry_run=dry_run, begun_at=run.begun_at, more=run.more, events=events)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseView:
    """An open review case: why somebody must decide about a purchase."""

    case_id: str
    reason: str
    why: str
    customer_id: str
    purchase_id: str
    opened_at: int

    @classmethod
    def of(cls, case: ReviewCase) -> "CaseView":
        """Return the view of *case*."""
        return copied(cls, case)


@dataclass(frozen=True, slots=True, kw_only=True)
class CasesView:
    """Open review cases, the oldest first. `more`: there are others."""

    cases: list[CaseView]
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundView:
    """Who was found. `unassigned` is a payment at `provider` that belongs to no customer; `renews`: a subscription."""

    customers: list[str]
    provider: str | None
    unassigned: str | None
    renews: bool

    @classmethod
    def of(cls, found: Found) -> Self:
        """Return the view of what was *found*."""
        payment: FoundPayment | None = found.payment
        return cls(
            customers=list(found.customer_ids),
            provider=found.provider,
            unassigned=payment.ref.partition("#")[2] if payment else None,
            renews=payment.renews if payment else False,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskPurchase(PurchaseView):
    """A purchase, with the provider's `refs`, what each register says, and the reasons of its open cases."""

    refs: list[str]
    registers: list[RegisterView]
    open_cases: list[str]

    @classmethod
    def whole(cls, purchase: Purchase, *, now: int, policy: Policy) -> Self:
        """Return the view of *purchase* at *now*."""
        view = asdict(PurchaseView.of(purchase, now=now, policy=policy))
        return cls(
            **view,
            refs=list(purchase.refs),
            registers=list(registers_of(purchase)),
            open_cases=list(purchase.open_cases),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskMoment:
    """Something that happened: what, when by the clock of the one who said it, and by which channel it was heard.

    `settled_at` is when it took effect here. `heard_at` is when it reached us, and `provider_paid_at` when the provider
    took the payment, if that is known. `fact_id` begins with the event's id if an event told it. If a person
    decided it, `decided_by` says who, and `reason` why.
    """

    what: str
    at: int
    said_by: str
    channel: str
    register: str
    settled_at: int
    fact_id: str
    purchase_id: str
    billing_version: int
    decided_by: str | None
    reason: str | None
    provider_paid_at: int | None
    heard_at: int | None

    @classmethod
    def of(cls, entry: TimelineEntry) -> "DeskMoment":
        """Return the view of a timeline *entry*."""
        return copied(cls, entry, what=entry.change, at=entry.occurred_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerView:
    """All that is known of a customer. `cut`: there are more purchases than the newest that are listed."""

    customer_id: str
    billing_version: int
    provider_customers: list[str]
    access: list[AccessView]
    purchases: list[DeskPurchase]
    cut: bool
    timeline: list[DeskMoment]
    cases: list[CaseView]
    failed_events: list[EventView]

    @classmethod
    def of(cls, found: CustomerFile, *, now: int, policy: Policy) -> Self:
        """Return the view of *found* at *now*."""
        return cls(
            customer_id=found.account.customer_id,
            billing_version=found.account.billing_version,
            provider_customers=sorted(found.account.customers.values()),
            access=access_of(found.account, now=now),
            purchases=[DeskPurchase.whole(one, now=now, policy=policy) for one in found.purchases],
            cut=found.cut,
            timeline=[DeskMoment.of(one) for one in found.timeline],
            cases=[CaseView.of(one) for one in found.cases],
            failed_events=[EventView.of(one) for one in found.failed],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DoneView:
    """What an action of support did, in a sentence."""

    done: str
