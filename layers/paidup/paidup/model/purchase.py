"""Passes: what was bought, as a merge of what the provider said of it, and the access that follows from that.

A pass keeps the newest entry of each register. `Pass.heard` takes the larger of two ranks per register and the smaller
of two first payment times, so it is commutative, associative and idempotent: duplicates and any order of arrival give
the same pass. Access is never stored as an opinion: `Pass.standing` derives it from the registers and the clock.
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
    """Which channel brought a register's newest entry first, and when (epoch seconds of our own clock)."""

    channel: Channel
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundDecision:
    """The decision to give a buyer their money back: `why` for people, and when to try next (epoch seconds).

    `paid_before` is the purchase that was paid before, if the buyer paid twice.
    """

    why: str
    decided_at: int
    due_at: int
    tries: int = 0
    paid_before: str | None = None

    def tried(self, *, now: int) -> "RefundDecision":
        """Return it due again later, twice as late each time up to an hour, unless the money is back by then."""
        return replace(self, due_at=now + min(60 * 2**self.tries, LONGEST_WAIT_S), tries=self.tries + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """What a customer bought. `registers` maps a register's name to its newest entry.

    `paid_at` is the earliest second at which the provider says that it was paid. `channels` says which channel brought
    each register's newest entry; it takes no part in comparison. What we decided ourselves stands beside the registers:
    `refund_decision` (the money goes back), `used_at` (a live session took place), `accepted` (support took another
    amount than was `asked` for), `recheck_at` (access ended by the clock, and the provider has not confirmed it yet),
    `open_cases` (the review cases about it that wait for a decision).
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
        """Return the pass that *fact* speaks of, before anything was heard of it."""
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
        """Return this pass with *fact* merged in: the newest entry of each register is kept, and of what was sold the
        word that knows most, since metadata can be edited or lost at the provider.
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
        """Whether *fact* contradicts what was said in the same second: the provider's object must be fetched."""
        return fact.entry.ties_with(self.registers.get(fact.register))

    @property
    def payment(self) -> Payment | None:
        """What the checkout came to, as last heard."""
        return next(self._values(Payment), None)

    @property
    def subscription(self) -> Subscription | None:
        """The subscription, as last heard."""
        return next(self._values(Subscription), None)

    @property
    def sells(self) -> str:
        """The offer that the pass grants now: a subscription's plan can change."""
        plan = self.subscription
        return plan.offer_id if plan and plan.offer_id else self.offer_id

    @property
    def refunded(self) -> int:
        """What went back to the buyer so far, in minor units."""
        return sum(refund.refunded for refund in self._values(Refund))

    @property
    def amount_mismatch(self) -> bool:
        """Whether something else was paid than was asked for (currency or subtotal), and nobody has accepted that.

        A subscription that begins with a trial asks for nothing at first.
        """
        payment = self.payment
        if self.accepted or self.asked is None or payment is None or payment.status is not PaymentStatus.PAID:
            return False
        free = self.kind is Kind.SUBSCRIPTION and payment.amount == 0
        return not free and (payment.subtotal, payment.currency) != (self.asked.amount, self.asked.currency)

    @property
    def fully_refunded(self) -> bool:
        """Whether nothing of the buyer's money is left with us, and nothing more will be taken."""
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
        """Whether somebody must decide on what was paid: it is not what was asked for, and we still have it."""
        return self.amount_mismatch and not self.refund_decision and self._taken_back() is None

    @property
    def refund_key(self) -> str:
        """What begins the idempotency keys of giving money back: new for each try, since a provider replays failures.

        All that is left is asked for each time, so that two tries never give back more than was paid.
        """
        tries = self.refund_decision.tries if self.refund_decision else 0
        return f"refund-{self.purchase_id}" + (f"-{tries}" if tries else "")

    @property
    def is_effective(self) -> bool:
        """Whether it was paid as asked, and the money is neither back nor on its way back."""
        return self.paid and not (self.refund_decision or self.amount_mismatch or self._taken_back())

    @property
    def paid(self) -> bool:
        """Whether money was taken for it, or will be after a trial, whatever became of it since."""
        unpaid = self.payment is not None and self.payment.status is not PaymentStatus.PAID
        return self.paid_at is not None and not unpaid

    def to_refund(self, why: str, *, now: int, paid_before: str | None = None) -> "Purchase":
        """Return it with the decision, taken at *now*, to give the money back; the first decision stands."""
        decision = RefundDecision(why=why, decided_at=now, due_at=now, paid_before=paid_before)
        return self if self.refund_decision else replace(self, refund_decision=decision)

    def due_at(self, *, now: int, grace_s: int) -> int | None:
        """Return when the clock must look at it next: for money to go back, or when its access ends."""
        if self.refund_decision:
            return None if self.fully_refunded else self.refund_decision.due_at
        status = self.status_at(now=now, grace_s=grace_s)
        return status.until if status.grants else self.recheck_at

    def status_at(self, *, now: int, grace_s: int) -> Status:
        """Return how the pass stands at *now* (epoch seconds); past due keeps access for *grace_s* seconds.

        A full refund and a lost dispute revoke, an open dispute holds, a won one restores, a partial refund keeps; of a
        subscription, those of the present period's payment.
        A renewing subscription of which nothing is heard at its period's end is given the same grace.
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
        """Return what the pass lets its customer use at *now* (epoch seconds), or None."""
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
        """Whether the payment that was *taken* back is what access stands on: a subscription's present period."""
        plan = self.subscription
        return plan is None or taken.invoice is None or taken.period == plan.period_start

    def _by_payment(self, grace_s: int) -> Status:
        payment = self.payment
        if payment is None or payment.status is PaymentStatus.PENDING:
            return Status(state=PurchaseStatus.PENDING)
        if payment.status is not PaymentStatus.PAID or self.paid_at is None:
            return Status(state=PurchaseStatus.FAILED)
        if self.kind is Kind.SUBSCRIPTION:  # paid, and the subscription itself not heard of yet
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
    """Return the end of the UTC day of *second* (epoch seconds): a pass holds through its whole last day.

    It also keeps the end from moving when the same payment is heard again with a stamp some seconds earlier.
    """
    return -(-second // DAY_S) * DAY_S


def _knowledge(thing: Purchase | Fact) -> tuple[object, ...]:
    """Return what orders the words about what was sold, whoever came first: equal only where they say the same."""
    asked, days = thing.asked, thing.valid_days
    said = (asked is not None, days is not None, thing.kind is not Kind.PASS)
    return (*said, asked.amount if asked else 0, asked.currency if asked else "", days or 0, thing.kind, thing.offer_id)
