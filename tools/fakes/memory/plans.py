"""Subscriptions at the provider in memory: items, periods, and invoices that are paid, late, void or given up."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from paidup.model.checkout import Checkout
from paidup.model.fact import InvoiceStatus, Item, Line, Subscription, SubscriptionStatus
from paidup.model.offer import Interval

from tools.fakes.memory.bills import DAY_S, PERIOD_S, Bill, Reason, Tariff
from tools.fakes.memory.charges import Charge

DRAFT_S = 3_600
DAYS = {Interval.DAY: 1, Interval.WEEK: 7, Interval.MONTH: 30, Interval.YEAR: 360}

RUNNING = (SubscriptionStatus.TRIALING, SubscriptionStatus.ACTIVE, SubscriptionStatus.PAST_DUE)


@dataclass(slots=True, kw_only=True, eq=False)
class Plan:
    """A subscription. Its card pays unless it `declines`. `billed_at` is when the newest invoice is to be paid.

    `debit`: the first payment takes days. `cancels`: it ends with its period. `paused`: its invoices are void.
    `lapsed`: the provider gave up collecting, and ended it for that.
    """

    ref: str
    checkout: Checkout
    created_at: int
    items: tuple[Item, ...]
    period_s: int = PERIOD_S
    status: SubscriptionStatus = SubscriptionStatus.ACTIVE
    declines: bool = False
    debit: bool = False
    cancels: bool = False
    paused: bool = False
    lapsed: bool = False
    trial_end: int | None = None
    ended_at: int | None = None
    billed_at: int | None = None
    bills: list[Bill] = field(default_factory=list)

    @property
    def running(self) -> bool:
        """Whether it goes on by itself."""
        return self.status in RUNNING and not self.debit

    @property
    def period_start(self) -> int:
        """When its period began."""
        return self.items[0].period_start

    @property
    def period_end(self) -> int:
        """When its period ends."""
        return self.items[0].period_end

    @property
    def newest(self) -> Bill:
        """The newest invoice."""
        return self.bills[-1]

    @property
    def charges(self) -> list[Charge]:
        """Every payment that was taken for it."""
        return [bill.charge for bill in self.bills if bill.charge]

    @property
    def next_at(self) -> int | None:
        """When something happens to it by itself next (epoch seconds)."""
        return min(filter(None, (self.billed_at, self.period_end))) if self.running else None

    def step(self) -> None:
        """Let happen what happens next."""
        if (at := self.next_at) is None:
            return
        if at == self.billed_at:
            self.collect(at)
        elif self.cancels:
            self.end(SubscriptionStatus.CANCELED, at)
        elif self.status is SubscriptionStatus.PAST_DUE:
            self.end(SubscriptionStatus.UNPAID, at)
        else:
            self._begin_a_period(at)

    def collect(self, at: int) -> None:
        """Let the newest invoice be paid, if its card pays and nobody paused that."""
        self.billed_at = None
        if self.newest.amount and self.paused:
            self.newest.status = InvoiceStatus.VOID
        elif self.newest.amount and self.declines:
            self.status = SubscriptionStatus.PAST_DUE
        else:
            self.pay(at)

    def pay(self, at: int) -> None:
        """Pay the newest invoice. A subscription that was past due is active again."""
        self.newest.pay(at)
        self.debit = False
        if self.status is not SubscriptionStatus.TRIALING:
            self.status = SubscriptionStatus.ACTIVE

    def bounce(self) -> None:
        """Let the first payment, which took days, fail."""
        self.debit = False
        if self.status is SubscriptionStatus.ACTIVE:
            self.status = SubscriptionStatus.PAST_DUE

    def void(self) -> None:
        """Let nobody pay the newest invoice any more."""
        self.newest.status, self.status = InvoiceStatus.VOID, SubscriptionStatus.ACTIVE

    def end(self, status: SubscriptionStatus, at: int, *, lapsed: bool = False) -> None:
        """End it: given up unpaid (*lapsed*), or cancelled."""
        self.status, self.billed_at, self.lapsed, self.debit = status, None, lapsed, False
        self.ended_at = at if status is SubscriptionStatus.CANCELED else None

    def change(self, wanted: Sequence[tuple[Tariff, int]], at: int) -> None:
        """Let it have *wanted* (prices and quantities) from *at* on.

        What is left of the period goes back for what it had, and is billed at once for what it has now. A price of
        another period begins a new one. In a trial, nothing is billed.
        """
        period_s = wanted[0][0].period_s
        if self.status is SubscriptionStatus.TRIALING:
            self.period_s = period_s
            self.items = tuple(price.item(quantity, self.period_start, self.period_end) for price, quantity in wanted)
            return
        anew = period_s != self.period_s
        start, end = (at, at + period_s) if anew else (self.period_start, self.period_end)
        items = tuple(price.item(quantity, start, end) for price, quantity in wanted)
        stays = (
            set()
            if anew
            else {(one.price, one.quantity) for one in self.items} & {(one.price, one.quantity) for one in items}
        )
        refunds = [one for one in self.items if (one.price, one.quantity) not in stays]
        debits = [one for one in items if (one.price, one.quantity) not in stays]
        amount = sum(_rest(one, at, self.period_s) for one in debits) if not anew else sum(map(_cost, debits))
        amount -= sum(_rest(one, at, self.period_s) for one in refunds)
        lines = [_line(one, at, credit=True, prorated=True) for one in refunds]
        lines += [_line(one, at, prorated=not anew) for one in debits]
        self.items, self.period_s = items, period_s
        self._bill(Reason.CHANGE, lines, max(0, amount), at)
        self.collect(at)

    def value(self) -> Subscription:
        """Return what the provider says of it."""
        return Subscription(
            status=self.status,
            ref=self.ref,
            items=tuple(sorted(self.items, key=lambda one: (one.price, one.quantity))),
            currency=self.checkout.cart.currency,
            invoice=self.newest.ref,
            trial_end=self.trial_end,
            cancel_at=self.period_end if self.cancels else None,
            ended_at=self.ended_at,
            paused=self.paused,
            lapsed=self.lapsed,
        )

    def _begin_a_period(self, at: int) -> None:
        """Begin the next period; its invoice is a draft for an hour, and void at once if collection is paused."""
        self.status = SubscriptionStatus.ACTIVE
        self.items = tuple(
            Item(
                price=one.price,
                quantity=one.quantity,
                amount=one.amount,
                period_start=at,
                period_end=at + self.period_s,
                offer_id=one.offer_id,
            )
            for one in self.items
        )
        self._bill(Reason.RENEWAL, [_line(one, at) for one in self.items], sum(map(_cost, self.items)), at)
        if self.paused:
            self.newest.status = InvoiceStatus.VOID
        else:
            self.billed_at = at + DRAFT_S

    def _bill(self, reason: Reason, lines: Sequence[Line], amount: int, at: int) -> None:
        ordered = sorted(lines, key=lambda one: (one.start, one.price, one.credit))
        bill = Bill(
            ref=f"in_{self.ref}_{len(self.bills):04d}",
            subscription=self.ref,
            reason=reason,
            lines=tuple(ordered),
            amount=amount,
            currency=self.checkout.cart.currency,
            made_at=at,
        )
        self.bills.append(bill)


def begun(ref: str, checkout: Checkout, now: int, *, debit: bool = False) -> Plan:
    """Return the subscription that a page begins. Its first period is paid at once, unless a *debit* takes days."""
    cart = checkout.cart
    tariff = tariff_of(checkout)
    length_s = cart.trial_days * DAY_S if cart.trial_days else tariff.period_s
    item = tariff.item(cart.quantity, now, now + length_s)
    plan = Plan(
        ref=ref,
        checkout=checkout,
        created_at=now,
        items=(item,),
        period_s=tariff.period_s,
        debit=debit and not cart.trial_days,
    )
    reason, amount = (Reason.TRIAL, 0) if cart.trial_days else (Reason.FIRST, cart.amount)
    plan._bill(reason, [_line(item, now)], amount, now)
    if cart.trial_days:
        plan.status, plan.trial_end = SubscriptionStatus.TRIALING, item.period_end
    if not plan.debit:
        plan.pay(now)
    return plan


def tariff_of(checkout: Checkout) -> Tariff:
    """Return the price that the page of *checkout* asks for."""
    cart = checkout.cart
    days = DAYS[cart.interval or Interval.MONTH] * cart.interval_count
    return Tariff(ref=f"price_{cart.offer_id}", amount=cart.unit_amount, offer_id=cart.offer_id, period_s=days * DAY_S)


def _line(item: Item, start: int, *, credit: bool = False, prorated: bool = False) -> Line:
    return Line(
        price=item.price,
        quantity=item.quantity,
        start=start,
        end=item.period_end,
        credit=credit,
        prorated=prorated,
        offer_id=item.offer_id,
    )


def _cost(item: Item) -> int:
    return item.amount * item.quantity


def _rest(item: Item, at: int, period_s: int) -> int:
    """Return what is left of the item's price at *at*."""
    return _cost(item) * max(0, item.period_end - at) // period_s
