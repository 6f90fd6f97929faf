"""Subscriptions at the provider in memory: periods that begin and end, invoices that are paid, late, or given up."""

from dataclasses import dataclass, field

from paidup.model.checkout import Checkout
from paidup.model.fact import Subscription, SubscriptionStatus

from tools.fakes.memory.charges import Charge

DAY_S = 86_400
PERIOD_S = 30 * DAY_S
DRAFT_S = 3_600

RUNNING = (SubscriptionStatus.TRIALING, SubscriptionStatus.ACTIVE, SubscriptionStatus.PAST_DUE)


@dataclass(slots=True, kw_only=True)
class Plan:
    """A subscription. Its card pays unless it *declines*; `billed_at` is when the newest invoice is to be paid."""

    ref: str
    token: str
    checkout: Checkout
    created_at: int
    period_start: int
    period_end: int
    status: SubscriptionStatus = SubscriptionStatus.ACTIVE
    declines: bool = False
    cancel_at: int | None = None
    ended_at: int | None = None
    unpaid_since: int | None = None
    billed_at: int | None = None
    invoices: int = 1
    charges: list[Charge] = field(default_factory=list)

    @property
    def running(self) -> bool:
        """Whether it goes on by itself."""
        return self.status in RUNNING

    @property
    def invoice(self) -> str:
        """The newest invoice."""
        return f"in_{self.ref}_{self.invoices}"

    @property
    def newest_charge(self) -> Charge | None:
        """What the newest invoice was paid with, if it was."""
        return next((one for one in self.charges if one.invoice == self.invoice), None)

    @property
    def next_at(self) -> int | None:
        """When something happens to it by itself next (epoch seconds)."""
        if not self.running:
            return None
        return min(filter(None, (self.billed_at, self.cancel_at, self.period_end)))

    def step(self) -> int | None:
        """Let happen what happens next, and return when that was."""
        at = self.next_at
        if at is None:
            return None
        if at == self.billed_at:
            self.billed_at = None
            if self.declines:
                self.status, self.unpaid_since = SubscriptionStatus.PAST_DUE, self.period_start
            else:
                self.pay(at)
        elif at == self.cancel_at:
            self.end(SubscriptionStatus.CANCELED, at)
        else:
            self._begin_a_period(at)
        return at

    def pay(self, at: int) -> None:
        """Pay the newest invoice; one that was late is not any more."""
        amount, currency = self.checkout.cart.amount, self.checkout.cart.currency
        if self.newest_charge is None:
            self.charges.append(
                Charge(
                    ref=f"pi_{self.invoice}",
                    amount=amount,
                    currency=currency,
                    at=at,
                    invoice=self.invoice,
                    period=self.period_start,
                )
            )
        self.status, self.unpaid_since = SubscriptionStatus.ACTIVE, None

    def end(self, status: SubscriptionStatus, at: int) -> None:
        """End it: given up unpaid, or cancelled."""
        self.status, self.billed_at, self.unpaid_since = status, None, None
        self.ended_at = at if status is SubscriptionStatus.CANCELED else None

    def value(self) -> Subscription:
        """Return what the provider says of it."""
        return Subscription(
            status=self.status,
            ref=self.ref,
            period_start=self.period_start,
            period_end=self.period_end,
            cancel_at=self.cancel_at,
            ended_at=self.ended_at,
            unpaid_since=self.unpaid_since,
            amount=self.checkout.cart.amount,
            currency=self.checkout.cart.currency,
        )

    def _begin_a_period(self, at: int) -> None:
        """Begin the next period; its invoice is a draft for an hour. One that is past due is given up instead."""
        if self.status is SubscriptionStatus.PAST_DUE:
            self.end(SubscriptionStatus.UNPAID, at)
            return
        self.status = SubscriptionStatus.ACTIVE
        self.period_start, self.period_end = at, at + PERIOD_S
        self.invoices += 1
        self.billed_at = at + DRAFT_S


def begun(ref: str, token: str, checkout: Checkout, now: int) -> Plan:
    """Return the subscription that a paid page begins; its first period is paid at once, unless it is a trial."""
    trial_days = checkout.cart.trial_days
    plan = Plan(
        ref=ref,
        token=token,
        checkout=checkout,
        created_at=now,
        period_start=now,
        period_end=now + (trial_days * DAY_S if trial_days else PERIOD_S),
    )
    if trial_days:
        plan.status = SubscriptionStatus.TRIALING
    else:
        plan.pay(now)
    return plan
