"""Purchases: what was bought, as a merge of the provider's facts, and the access that follows from it.

A purchase keeps the newest entry of each register. `Purchase.merge` takes the higher of two ranks per register, and the
earlier of two first payment times. So it is commutative, associative and idempotent: duplicates and any order of
arrival give the same purchase. `Purchase.status_at` derives the status from the registers and the clock.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from paidup.model.access import Access, PurchaseStatus, Status
from paidup.model.fact import (
    Channel,
    Dispute,
    DisputeStatus,
    Entry,
    Fact,
    Payment,
    PaymentStatus,
    Price,
    Refund,
    Subscription,
    SubscriptionStatus,
    Value,
)
from paidup.model.offer import Kind

DAY_S = 86_400
LONGEST_WAIT_S = 3_600

V = TypeVar("V", bound=Value)


NEVER_RENEWS = frozenset({SubscriptionStatus.CANCELED, SubscriptionStatus.INCOMPLETE_EXPIRED})
WITHOUT_ACCESS = {
    SubscriptionStatus.INCOMPLETE: PurchaseStatus.PENDING,
    SubscriptionStatus.INCOMPLETE_EXPIRED: PurchaseStatus.FAILED,
    SubscriptionStatus.PAUSED: PurchaseStatus.PAUSED,
    SubscriptionStatus.UNPAID: PurchaseStatus.UNPAID,
    SubscriptionStatus.CANCELED: PurchaseStatus.CANCELED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Which channel reported a register's newest entry first, and when (epoch seconds of our clock)."""

    channel: Channel
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundDecision:
    """The decision to refund a purchase. `why` is for people. Times are epoch seconds.

    `due_at` is when to try next. `tries` counts the tries so far. If the buyer paid twice, `paid_before` is the id of
    the purchase that they paid first.
    """

    why: str
    decided_at: int
    due_at: int
    tries: int = 0
    paid_before: str | None = None

    def tried(self, *, now: int) -> "RefundDecision":
        """Return this decision with one more try, due after 1, 2, 4 … at most 60 minutes."""
        return replace(self, due_at=now + min(60 * 2**self.tries, LONGEST_WAIT_S), tries=self.tries + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """What a customer bought. `registers` maps a register's name to its newest entry. Times are epoch seconds.

    `paid_at` is the earliest second of payment that the provider reported. `asked` is the price that the checkout asked
    for. `channels` says which channel reported each register's newest entry. Comparison ignores `channels`.

    Our own decisions are fields beside the registers. `refund_decision`: the money goes back. `used_at`: when the live
    session took place. `accepted`: support accepted an amount that differs from `asked`. `recheck_at`: access ended by
    the clock, and at this second we ask the provider again. `open_cases`: the ids of its open review cases.
    """

    purchase_id: str
    customer_id: str
    offer_id: str
    kind: Kind
    provider: str
    valid_days: int | None = None
    provider_ref: str | None = None
    asked: Price | None = None
    paid_at: int | None = None
    refund_decision: RefundDecision | None = None
    used_at: int | None = None
    accepted: bool = False
    recheck_at: int | None = None
    open_cases: tuple[str, ...] = ()
    registers: Mapping[str, Entry] = field(default_factory=dict)
    channels: Mapping[str, Provenance] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, fact: Fact) -> "Purchase":
        """Return the purchase that *fact* is about, without any entry."""
        return cls(
            purchase_id=fact.purchase_id,
            customer_id=fact.customer_id,
            offer_id=fact.offer_id,
            kind=fact.kind,
            provider=fact.provider,
            valid_days=fact.valid_days,
            asked=fact.asked,
        )

    def merge(self, fact: Fact) -> "Purchase":
        """Return this purchase with *fact* merged in. The newest entry of each register is kept.

        Metadata can be edited or lost at the provider. So offer, kind, days and price come from the fuller source.
        """
        entry, value = fact.entry, fact.entry.value
        paid = isinstance(value, Payment) and value.status is PaymentStatus.PAID
        paid_at = min(filter(None, (self.paid_at, fact.paid_at or (entry.at if paid else None))), default=None)
        sold: Purchase | Fact = self if _knowledge(self) >= _knowledge(fact) else fact
        return replace(
            self,
            offer_id=sold.offer_id,
            kind=sold.kind,
            valid_days=sold.valid_days,
            asked=sold.asked,
            paid_at=paid_at,
            provider_ref=max(filter(None, (self.provider_ref, fact.provider_ref)), default=None),
            registers={**self.registers, fact.register: entry.newer(self.registers.get(fact.register))},
        )

    def ties_with(self, fact: Fact) -> bool:
        """Whether *fact* and the known entry differ at the same second. Then the provider's object must be fetched."""
        return fact.entry.ties_with(self.registers.get(fact.register))

    @property
    def payment(self) -> Payment | None:
        """The newest payment of the checkout."""
        return next(self._values(Payment), None)

    @property
    def subscription(self) -> Subscription | None:
        """The newest state of the subscription."""
        return next(self._values(Subscription), None)

    @property
    def sells(self) -> str:
        """The id of the offer that the purchase grants now. A subscription's plan can change."""
        plan = self.subscription
        return plan.offer_id if plan and plan.offer_id else self.offer_id

    @property
    def refunded(self) -> int:
        """The refunded total so far, in minor units."""
        return sum(refund.refunded for refund in self._values(Refund))

    @property
    def amount_mismatch(self) -> bool:
        """Whether the paid subtotal or currency differs from the asked one, and support has not accepted that.

        A subscription that begins with a trial is paid with nothing at first. That is no mismatch.
        """
        payment = self.payment
        if self.accepted or self.asked is None or payment is None or payment.status is not PaymentStatus.PAID:
            return False
        free = self.kind is Kind.SUBSCRIPTION and payment.amount == 0
        return not free and (payment.subtotal, payment.currency) != (self.asked.amount, self.asked.currency)

    @property
    def fully_refunded(self) -> bool:
        """Whether all of the buyer's money went back, and no more will be taken."""
        plan = self.subscription
        if any(dispute.status is DisputeStatus.LOST and self._of_now(dispute) for dispute in self._values(Dispute)):
            return plan is None or plan.status in NEVER_RENEWS
        if self.kind is not Kind.SUBSCRIPTION:
            payment = self.payment
            nothing = payment is not None and (payment.amount == 0 or payment.status is PaymentStatus.FAILED)
            return nothing or any(refund.full for refund in self._values(Refund))
        ended = plan is not None and plan.status in NEVER_RENEWS
        return ended and any(refund.full and self._of_now(refund) for refund in self._values(Refund))

    @property
    def needs_review(self) -> bool:
        """Whether a person must decide about the payment: its amount is wrong, and we still have the money."""
        return self.amount_mismatch and not self.refund_decision and self._taken_back() is None

    @property
    def refund_key(self) -> str:
        """The prefix of the refund's idempotency keys. Each try has its own, because a provider replays failures.

        Each try asks to refund all that is left. So two tries never refund more than was paid.
        """
        tries = self.refund_decision.tries if self.refund_decision else 0
        return f"refund-{self.purchase_id}" + (f"-{tries}" if tries else "")

    @property
    def is_effective(self) -> bool:
        """Whether the purchase was paid as asked, and no money went back or is about to."""
        return self.paid and not (self.refund_decision or self.amount_mismatch or self._taken_back())

    @property
    def paid(self) -> bool:
        """Whether the payment succeeded, or a trial began. Later refunds and disputes do not count."""
        unpaid = self.payment is not None and self.payment.status is not PaymentStatus.PAID
        return self.paid_at is not None and not unpaid

    def to_refund(self, why: str, *, now: int, paid_before: str | None = None) -> "Purchase":
        """Return this purchase with the decision, made at *now*, to refund it. The first decision stays."""
        decision = RefundDecision(why=why, decided_at=now, due_at=now, paid_before=paid_before)
        return self if self.refund_decision else replace(self, refund_decision=decision)

    def due_at(self, *, now: int, grace_s: int) -> int | None:
        """Return when the sweep must act on the purchase next (epoch seconds): for its refund, or at its access's end.

        None: never.
        """
        if self.refund_decision:
            return None if self.fully_refunded else self.refund_decision.due_at
        status = self.status_at(now=now, grace_s=grace_s)
        return status.until if status.grants else self.recheck_at

    def status_at(self, *, now: int, grace_s: int) -> Status:
        """Return the status at *now* (epoch seconds). A past-due subscription keeps access for *grace_s* seconds.

        A full refund and a lost dispute revoke access. An open dispute holds it, a won dispute restores it, and a
        partial refund keeps it. For a subscription, only refunds and disputes of the present period count.
        If nothing is reported at the end of a renewing subscription's period, access goes on for the same grace.
        """
        taken_back = self._taken_back()
        if taken_back:
            return Status(state=taken_back)
        if self.refund_decision:
            return Status(state=PurchaseStatus.REFUNDED if self.fully_refunded else PurchaseStatus.REFUNDING)
        if self.amount_mismatch:
            return Status(state=PurchaseStatus.QUARANTINED)
        if self.used_at is not None:
            return Status(state=PurchaseStatus.ENDED)
        plan = self.subscription
        status = self._by_plan(plan, grace_s) if plan else self._by_payment(grace_s)
        if status.grants and status.until is not None and now >= status.until:
            ended = PurchaseStatus.UNPAID if status.state is PurchaseStatus.PAST_DUE else PurchaseStatus.ENDED
            return Status(state=ended)
        return status

    def access(self, *, now: int, grace_s: int) -> Access | None:
        """Return the access that the purchase grants at *now* (epoch seconds), or None."""
        status = self.status_at(now=now, grace_s=grace_s)
        if not status.grants:
            return None
        return Access(
            purchase_id=self.purchase_id,
            offer_id=self.sells,
            kind=self.kind,
            status=status.state,
            until=status.until,
        )

    def _taken_back(self) -> PurchaseStatus | None:
        disputes = {dispute.status for dispute in self._values(Dispute) if self._of_now(dispute)}
        if DisputeStatus.LOST in disputes:
            return PurchaseStatus.CHARGED_BACK
        if DisputeStatus.OPEN in disputes:
            return PurchaseStatus.DISPUTED
        if any(refund.full and self._of_now(refund) for refund in self._values(Refund)):
            return PurchaseStatus.REFUNDED
        return None

    def _of_now(self, taken: Refund | Dispute) -> bool:
        """Whether *taken* is about the payment that grants access now: for a subscription, the present period's."""
        plan = self.subscription
        return plan is None or taken.invoice is None or taken.period == plan.period_start

    def _by_payment(self, grace_s: int) -> Status:
        payment = self.payment
        if payment is None or payment.status is PaymentStatus.PENDING:
            return Status(state=PurchaseStatus.PENDING)
        if payment.status is not PaymentStatus.PAID or self.paid_at is None:
            return Status(state=PurchaseStatus.FAILED)
        if self.kind is Kind.SUBSCRIPTION:  # paid, but the subscription is not reported yet
            return Status(state=PurchaseStatus.ACTIVE, until=self.paid_at + grace_s)
        if self.valid_days is None:
            return Status(state=PurchaseStatus.ACTIVE)
        return Status(state=PurchaseStatus.ACTIVE, until=end_of_day(self.paid_at + self.valid_days * DAY_S))

    def _by_plan(self, plan: Subscription, grace_s: int) -> Status:
        if plan.status in WITHOUT_ACCESS:
            return Status(state=WITHOUT_ACCESS[plan.status])
        if plan.status is SubscriptionStatus.PAST_DUE:
            until = (plan.unpaid_since or plan.period_start) + grace_s
            return Status(state=PurchaseStatus.PAST_DUE, until=min(filter(None, (until, plan.cancel_at))))
        trialing = plan.status is SubscriptionStatus.TRIALING
        status = PurchaseStatus.TRIALING if trialing else PurchaseStatus.ACTIVE
        return Status(state=status, until=min(filter(None, (plan.cancel_at, plan.period_end + grace_s))))

    def _values(self, kind: type[V]) -> Iterator[V]:
        return (entry.value for entry in self.registers.values() if isinstance(entry.value, kind))


def end_of_day(second: int) -> int:
    """Return the end of the UTC day of *second*, both in epoch seconds. A pass is valid through its whole last day.

    So the end stays the same if the same payment is reported again with a stamp some seconds earlier.
    """
    return -(-second // DAY_S) * DAY_S


def _knowledge(thing: Purchase | Fact) -> tuple[object, ...]:
    """Return the rank of what *thing* says about the sale: the more it knows, the higher. The order is total."""
    asked, days = thing.asked, thing.valid_days
    said = (asked is not None, days is not None, thing.kind is not Kind.PASS)
    return (*said, asked.amount if asked else 0, asked.currency if asked else "", days or 0, thing.kind, thing.offer_id)
