"""Purchases: what was bought, as a merge of the provider's facts, and the access that follows from it.

A purchase keeps the newest entry of each register. `Purchase.merge` takes the higher of two ranks per register, and the
earlier of two first payment times. So it is commutative, associative and idempotent: duplicates and any order of
arrival give the same purchase. `Purchase.status_at` derives the status from the registers and the clock.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from paidup.model.access import Access, PurchaseStatus, Status
from paidup.model.coverage import Books, Coverage, cover
from paidup.model.fact import (
    Channel,
    Entry,
    Fact,
    Invoice,
    InvoiceStatus,
    Item,
    Payment,
    PaymentStatus,
    Price,
    Subscription,
    SubscriptionStatus,
    Value,
)
from paidup.model.merging import Named, named, paid_since, paused, without_past_invoices
from paidup.model.missing import HEARD_WITHIN_S, asks_at, news_missed_at
from paidup.model.offer import Kind
from paidup.model.policy import DAY_S, Policy
from paidup.model.refund_decision import RefundDecision
from paidup.model.reversal import Reversals, reversals, went_back

# What a subscription becomes only after its first payment was tried, and failed.
BOUNCED = (SubscriptionStatus.PAST_DUE, SubscriptionStatus.UNPAID, SubscriptionStatus.INCOMPLETE_EXPIRED)

V = TypeVar("V", bound=Value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Which channel reported a register's value first, and when (epoch seconds of our clock)."""

    channel: Channel
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """What a customer bought. `registers` maps a register's name to its newest entry. Times are epoch seconds.

    `paid_at` is the earliest second of payment that the provider reported. `asked` is the price that the checkout asked
    for, of `quantity`. If `max_quantity` is there, the buyer could choose another quantity on the page, up to that.
    Each was sold for `uses_each` uses (None: uses are not counted). `group` and `allow_several` are the cart's (None:
    the cart is not known). `names` are the offers that its prices named, by the price's id. `paid_since` is when the
    newest paid period of each subscription began: earlier invoices are dropped. `paused` is the newest entry of each
    subscription whose collection was paused then: a shop may mean that period as a gift. `channels` says which channel
    reported each register's newest entry. Comparison ignores `channels`.

    Our own decisions are fields beside the registers. `refund_decision`: the money goes back. `used_at`: when the live
    session took place. `used`: how many uses were taken. `accepted`: support accepted an amount that differs from
    `asked`. `asked_at`: when the sweep asked the provider last. `recheck_at`: the provider did not answer, and is asked
    again at this second. `open_cases`: the ids of its open review cases.
    """

    purchase_id: str
    customer_id: str
    offer_id: str
    kind: Kind
    provider: str
    valid_days: int | None = None
    quantity: int = 1
    max_quantity: int | None = None
    group: str | None = None
    allow_several: bool = False
    uses_each: int | None = None
    refs: tuple[str, ...] = ()
    asked: Price | None = None
    paid_at: int | None = None
    refund_decision: RefundDecision | None = None
    used_at: int | None = None
    used: int = 0
    accepted: bool = False
    asked_at: int | None = None
    recheck_at: int | None = None
    open_cases: tuple[str, ...] = ()
    names: Mapping[str, Named] = field(default_factory=dict)
    paid_since: Mapping[str, int] = field(default_factory=dict)
    paused: Mapping[str, Entry] = field(default_factory=dict)
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
            quantity=fact.quantity,
            max_quantity=fact.max_quantity,
            uses_each=fact.uses_each,
            asked=fact.asked,
        )

    def merge(self, fact: Fact) -> "Purchase":
        """Return this purchase with *fact* merged in. The newest entry of each register is kept.

        Metadata can be edited or lost at the provider. So offer, kind, days and price come from the fuller source.
        """
        entry, value = fact.entry, fact.entry.value
        paid = isinstance(value, Payment) and value.status is PaymentStatus.PAID
        paid |= isinstance(value, Invoice) and value.status is InvoiceStatus.PAID
        paid_at = min(filter(None, (self.paid_at, fact.paid_at or (entry.at if paid else None))), default=None)
        sold: Purchase | Fact = self if _knowledge(self) >= _knowledge(fact) else fact
        registers = {**self.registers, fact.register: entry.newer(self.registers.get(fact.register))}
        since = paid_since(self.paid_since, value)
        kept = without_past_invoices(registers, since)
        refs = tuple(sorted({*self.refs, *((fact.provider_ref,) if fact.provider_ref else ())}))
        return replace(
            self,
            offer_id=sold.offer_id,
            kind=sold.kind,
            valid_days=sold.valid_days,
            quantity=sold.quantity,
            max_quantity=sold.max_quantity,
            uses_each=sold.uses_each,
            asked=sold.asked,
            paid_at=paid_at,
            refs=refs,
            names=named(self.names, entry),
            paid_since=since,
            paused=paused(self.paused, entry),
            registers=kept,
            channels={name: one for name, one in self.channels.items() if name in kept},
        )

    def ties_with(self, fact: Fact) -> bool:
        """Whether *fact* and the known entry differ at the same second. Then the provider's object must be fetched."""
        return fact.entry.ties_with(self.registers.get(fact.register))

    @property
    def provider_ref(self) -> str | None:
        """The object by which the purchase is found at the provider. Others of `refs` have items of their own."""
        return max(self.refs, default=None)

    @property
    def payment(self) -> Payment | None:
        """The newest payment of the checkout."""
        return next(self._values(Payment), None)

    @property
    def subscription(self) -> Subscription | None:
        """The subscription: the one that runs, if the purchase has several, and the newest of these."""
        return max(
            self.subscriptions, key=lambda one: (not one.ended, one.period_start, one.period_end, one.ref), default=None
        )

    @property
    def subscriptions(self) -> list[Subscription]:
        """Every subscription of the purchase, by id. The provider or the shop may have made it anew."""
        return sorted(self._values(Subscription), key=lambda one: one.ref)

    @property
    def invoices(self) -> dict[str, Invoice]:
        """The invoices that matter still, by id."""
        found = self.registers.items()
        return {name.partition("#")[2]: entry.value for name, entry in found if isinstance(entry.value, Invoice)}

    @property
    def sells(self) -> str:
        """The id of the offer that the purchase grants now. A subscription's plan can change."""
        plan = self.subscription
        offers = [self.names[item.price].offer_id for item in plan.items if item.price in self.names] if plan else []
        return self.offer_id if not offers or self.offer_id in offers else offers[0]

    @property
    def sold_quantity(self) -> int:
        """How many of `sells` the purchase holds now. A subscription's quantity can change."""
        items = self.subscription.items if self.subscription else ()
        plan = [one for one in items if one.price in self.names and self.names[one.price].offer_id == self.sells]
        return sum(one.quantity for one in plan) if plan else self._paid_quantity

    @property
    def uses(self) -> int | None:
        """How many uses were bought (None: uses are not counted)."""
        return None if self.uses_each is None else self.uses_each * self.sold_quantity

    @property
    def uses_left(self) -> int | None:
        """How many uses are left (None: uses are not counted)."""
        return None if self.uses is None else max(0, self.uses - self.used)

    @property
    def mend_url(self) -> str | None:
        """The provider's page on which the customer pays the newest open bill of a running subscription, if any.

        A renewal that was declined has such a bill, and so has a change that the customer's bank must approve.
        """
        running = {plan.ref for plan in self.subscriptions if not plan.ended}
        bills = (one for one in self.invoices.values() if one.subscription in running and one.url)
        unpaid = [one for one in bills if one.status is InvoiceStatus.OPEN]
        return max(unpaid, key=lambda one: one.made_at).url if unpaid else None

    @property
    def nameless(self) -> bool:
        """Whether a running subscription has a price that names no offer, or a payment was for nobody knows what."""
        if not self.subscriptions:
            return not self.offer_id and self.paid
        running = (one for one in self.subscriptions if not one.ended)
        return any(item.price not in self.names for one in running for item in one.items)

    @property
    def reversals(self) -> Reversals:
        """What went back of the payments that count now: refunds and disputes, added up for each payment.

        The whole went back only if it did for each subscription that runs, or for each if none runs.
        """
        plans, invoices = self.subscriptions, self.invoices
        periods = {plan.ref: self._periods(plan) for plan in plans}
        among = set[int]().union(*periods.values()) if plans else None
        found = reversals(self.registers, self.payment, invoices, among)
        counting = [plan for plan in plans if not plan.ended] or plans
        kept = any(found.of(plan, periods[plan.ref], invoices) is None for plan in counting)
        return replace(found, state=None) if kept else found

    @property
    def refunded(self) -> int:
        """The refunded total so far, in minor units."""
        return self.reversals.refunded

    @property
    def paid_after_end(self) -> int:
        """What was paid for subscriptions that had ended already, and did not go back (minor units)."""
        late: dict[str, int] = {}
        for plan in self.subscriptions:
            late |= self._books(plan).paid_after_end()
        return max(0, sum(late.values()) - went_back(self.registers, late)) if late else 0

    @property
    def amount_mismatch(self) -> bool:
        """Whether the paid subtotal or currency differs from the asked one, and support has not accepted that.

        A subscription that begins with a trial is paid with nothing at first. That is no mismatch. If the page was
        never heard of, the subscription's first invoice says what was paid.
        """
        paid = self.first_paid
        if self.accepted or self.asked is None or paid is None or (self.kind is Kind.SUBSCRIPTION and not paid.amount):
            return False
        unit, rest = divmod(self.asked.amount, self.quantity)
        if self.max_quantity is None or rest or not unit:
            return paid != self.asked
        times, rest = divmod(paid.amount, unit)
        return paid.currency != self.asked.currency or bool(rest) or not 1 <= times <= self.max_quantity

    @property
    def first_paid(self) -> Price | None:
        """What was paid first, before tax and discounts: on the page, or else with the first invoice."""
        payment = self.payment
        if payment:
            paid = payment.status is PaymentStatus.PAID
            return Price(amount=payment.subtotal, currency=payment.currency) if paid else None
        first = [one for one in self.invoices.values() if one.first and one.status is InvoiceStatus.PAID]
        prices = (Price(amount=one.subtotal, currency=one.currency) for one in first)
        return min(prices, key=lambda one: (one.amount, one.currency), default=None)

    @property
    def _paid_quantity(self) -> int:
        """How many were paid for: as many as the buyer chose on the page, if they could."""
        unit = self.asked.amount // self.quantity if self.asked and self.max_quantity else 0
        paid = self.first_paid
        return paid.amount // unit if paid and unit else self.quantity

    @property
    def failed(self) -> bool:
        """Whether the first payment failed, and nothing was paid since.

        A subscription that is past due or was given up before its first payment was decided shows it too.
        """
        payment = self.payment
        if payment is None or self._invoice_paid:
            return False
        given_up = (*BOUNCED, SubscriptionStatus.CANCELED) if self.refund_decision else BOUNCED
        bounced = bool(self.subscriptions) and all(plan.status in given_up for plan in self.subscriptions)
        return payment.status is PaymentStatus.FAILED or (payment.status is PaymentStatus.PENDING and bounced)

    @property
    def fully_refunded(self) -> bool:
        """Whether all of the buyer's money went back, and no more will be taken."""
        if not all(plan.ended for plan in self.subscriptions):
            return False
        if self.reversals.state in (PurchaseStatus.REFUNDED, PurchaseStatus.CHARGED_BACK):
            return True
        if self.kind is Kind.SUBSCRIPTION:
            return self.failed and bool(self.subscriptions)
        return self.failed or (self.payment is not None and self.payment.amount == 0)

    @property
    def needs_review(self) -> bool:
        """Whether a person must decide about the payment: its amount is wrong, and we still have the money."""
        return self.amount_mismatch and not self.refund_decision and self.reversals.state is None

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
        return self.paid and not (self.refund_decision or self.amount_mismatch or self.reversals.state)

    @property
    def paid(self) -> bool:
        """Whether the payment succeeded, or a trial began. Later refunds and disputes do not count."""
        if self._invoice_paid:
            return True
        unpaid = self.payment is not None and self.payment.status is not PaymentStatus.PAID
        return self.paid_at is not None and not unpaid

    @property
    def running(self) -> bool:
        """Whether a subscription of the purchase may still take money: it has not ended, and nobody decided so."""
        alive = any(not plan.ended for plan in self.subscriptions)
        begun = self.kind is Kind.SUBSCRIPTION and not self.subscriptions and self.paid
        return (alive or begun) and not self.refund_decision and not self.failed

    @property
    def had_trial(self) -> bool:
        """Whether a subscription of the purchase began with a trial, or has one now."""
        return any(plan.trial_end is not None for plan in self.subscriptions)

    def to_refund(self, why: str, *, now: int, paid_before: str | None = None) -> "Purchase":
        """Return this purchase with the decision, made at *now*, to refund it. The first decision stays."""
        decision = RefundDecision(why=why, decided_at=now, due_at=now, paid_before=paid_before)
        return self if self.refund_decision else replace(self, refund_decision=decision)

    def accept(self, *, now: int) -> "Purchase":
        """Return this purchase as support accepts it: with its amount, and its prices as those of what was sold."""
        items = [item for plan in self.subscriptions for item in plan.items if item.price not in self.names]
        names = {item.price: Named(offer_id=self.offer_id, at=now) for item in items}
        return replace(self, accepted=True, names={**self.names, **names})

    def due_at(self, *, now: int, policy: Policy) -> int | None:
        """Return when the sweep must act on the purchase next (epoch seconds): for its refund, at its access's end, or
        to ask the provider about what was not heard. None: never.
        """
        if self.refund_decision:
            return None if self.fully_refunded else self.refund_decision.due_at
        status = self.status_at(now=now, policy=policy)
        ends_at = status.until if status.grants else None
        return min(filter(None, (ends_at, asks_at(self._missed_at(), self.asked_at), self.recheck_at)), default=None)

    def _missed_at(self) -> int | None:
        """Return when something is missed: the subscription or the bill of a paid page, or news of a subscription."""
        if self.kind is not Kind.SUBSCRIPTION or self.failed:
            return None
        if news := self._bills_without_plan():
            return max(news) + HEARD_WITHIN_S
        plan, payment = self.subscription, self.payment
        bill_missing = payment is not None and payment.invoice is not None and not self.invoices
        if self.paid and self.paid_at and (plan is None or (bill_missing and not plan.ended)):
            return self.paid_at + HEARD_WITHIN_S
        if plan is None:
            return None
        bill = self.invoices.get(plan.invoice or "")
        return news_missed_at(self._books(plan), max(self._since(plan), self._since(bill) if bill else 0))

    def _bills_without_plan(self) -> list[int]:
        """Return when invoices were heard of whose subscription was not heard of since they were made or paid."""
        plans = {plan.ref: plan for plan in self.subscriptions}
        found = []
        for name, entry in self.registers.items():
            if not isinstance(bill := entry.value, Invoice):
                continue
            plan = plans.get(bill.subscription)
            if plan is None or (not plan.ended and self._is_news(name, entry.at, bill, plan)):
                found.append(entry.at)
        return found

    def _is_news(self, name: str, at: int, bill: Invoice, plan: Subscription) -> bool:
        """Whether *bill* shows that *plan* changed: it is newer, or was paid for a price that *plan* does not have."""
        heard_at = self._heard_at(plan)
        if name != f"{Invoice.tag}#{plan.invoice}" and bill.made_at >= heard_at:
            return True
        prices = {item.price for item in plan.items}
        sells_more = any(line.price not in prices for line in bill.lines if not line.credit)
        return bill.status is InvoiceStatus.PAID and at > heard_at and sells_more

    def _heard_at(self, plan: Subscription) -> int:
        return max(entry.at for entry in self.registers.values() if entry.value is plan)

    def _since(self, value: Value) -> int:
        """Return when *value* was heard first, by our clock. It is heard again each time that the provider is asked."""
        name, entry = next((name, entry) for name, entry in self.registers.items() if entry.value is value)
        return self.channels[name].at if name in self.channels else entry.at

    def status_at(self, *, now: int, policy: Policy) -> Status:
        """Return the status at *now* (epoch seconds). A renewal that is not paid keeps access for the policy's grace.

        A full refund and a lost dispute revoke access. An open dispute holds it, a won dispute restores it, and a
        part that goes back keeps it. For a subscription, only refunds and disputes of the present period count.
        If nothing is reported at the end of a renewing subscription's period, access goes on for the same grace.
        """
        if self.failed:
            return Status(state=PurchaseStatus.FAILED)
        if taken_back := self.reversals.state:
            return Status(state=taken_back)
        if self.refund_decision:
            return Status(state=PurchaseStatus.REFUNDED if self.fully_refunded else PurchaseStatus.REFUNDING)
        if self.amount_mismatch:
            return Status(state=PurchaseStatus.QUARANTINED)
        if self.used_at is not None or self.uses_left == 0:
            return Status(state=PurchaseStatus.ENDED)
        if not self.offer_id and self.paid and not self.subscriptions:  # nobody knows what was sold
            return Status(state=PurchaseStatus.QUARANTINED)
        if self.subscriptions:
            return self._by_plans(policy, now=now)
        status = self._by_payment(policy)
        if status.grants and status.until is not None and now >= status.until:
            return Status(state=PurchaseStatus.ENDED)
        return status

    def access(self, *, now: int, policy: Policy) -> tuple[Access, ...]:
        """Return the access that the purchase grants at *now* (epoch seconds): one for each offer and end.

        What several items or subscriptions hold of an offer adds up.
        """
        status = self.status_at(now=now, policy=policy)
        if not status.grants:
            return ()
        if not self.subscriptions:
            return (self._access(self.offer_id, self._paid_quantity, status.until, status.state),)
        granted: dict[tuple[str, int], Access] = {}
        for covered in self._coverages(policy).values():
            for one in covered.holdings:
                if one.until <= now:
                    continue
                before = granted.get((one.offer_id, one.until))
                quantity = one.quantity + (before.quantity if before else 0)
                granted[one.offer_id, one.until] = self._access(one.offer_id, quantity, one.until, covered.state)
        return tuple(granted[key] for key in sorted(granted))

    def _access(self, offer_id: str, quantity: int, until: int | None, state: PurchaseStatus) -> Access:
        return Access(
            purchase_id=self.purchase_id,
            offer_id=offer_id,
            kind=self.kind,
            status=state,
            quantity=quantity,
            until=until,
            uses=self.uses,
            uses_left=self.uses_left,
        )

    def _by_plans(self, policy: Policy, *, now: int) -> Status:
        """Return the status by the subscription that grants longest, or else by the one that runs."""
        covered = self._coverages(policy)
        best = max(covered.values(), key=lambda one: one.until)
        if best.until > now:
            return Status(state=best.state, until=best.until)
        plan = self.subscription
        return Status(state=covered[plan.ref].then if plan else best.then)

    def _coverages(self, policy: Policy) -> dict[str, Coverage]:
        """Return what each subscription grants, by its id. One whose payment was taken back grants nothing."""
        taken, invoices = self.reversals, self.invoices
        states = [taken.of(plan, self._periods(plan), invoices) for plan in self.subscriptions]
        return {
            plan.ref: Coverage(then=state) if state else cover(self._books(plan), policy)
            for plan, state in zip(self.subscriptions, states, strict=True)
        }

    def _books(self, plan: Subscription) -> Books:
        return Books(
            plan=plan,
            invoices={an_id: one for an_id, one in self.invoices.items() if one.subscription == plan.ref},
            payment=self.payment,
            given=self._given(plan),
            names={price: one.offer_id for price, one in self.names.items()},
            paid_since=self.paid_since.get(plan.ref, 0),
        )

    def _given(self, plan: Subscription) -> tuple[Item, ...]:
        """Return what *plan* had when its collection was paused last."""
        entry = self.paused.get(plan.ref)
        return entry.value.items if entry and isinstance(entry.value, Subscription) else ()

    def _periods(self, plan: Subscription) -> set[int]:
        """Return when the periods of *plan* began that grant access now.

        Once the newest bill is paid, a period that ended before the present one grants nothing: what it was paid for
        was renewed, or was taken off. A change within a period begins none.
        """
        books, began = self._books(plan), {item.period_start for item in plan.items}
        over = min(began, default=0) if books.latest is InvoiceStatus.PAID else 0
        lines = (line for line in books.paid_lines() if line.end > over and not line.prorated)
        return began | {line.start for line in lines}

    @property
    def _invoice_paid(self) -> bool:
        return any(one.status is InvoiceStatus.PAID for one in self.invoices.values())

    def _by_payment(self, policy: Policy) -> Status:
        payment = self.payment
        if self._invoice_paid and self.paid_at is not None:
            return self._granted(self.paid_at, policy)
        if payment is None or payment.status is PaymentStatus.PENDING:
            entry = self.registers.get(Payment.tag)
            if entry is None or not policy.grant_pending_debits:
                return Status(state=PurchaseStatus.PENDING)
            return self._granted(entry.at, policy)
        if payment.status is not PaymentStatus.PAID or self.paid_at is None:
            return Status(state=PurchaseStatus.FAILED)
        return self._granted(self.paid_at, policy)

    def _granted(self, at: int, policy: Policy) -> Status:
        if self.kind is Kind.SUBSCRIPTION:  # paid, but the subscription is not reported yet
            return Status(state=PurchaseStatus.ACTIVE, until=at + policy.grace_s)
        if self.valid_days is None:
            return Status(state=PurchaseStatus.ACTIVE)
        return Status(state=PurchaseStatus.ACTIVE, until=end_of_day(at + self.valid_days * DAY_S))

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
    amount = (asked.amount if asked else 0, asked.currency if asked else "")
    more = (thing.quantity, thing.max_quantity or 0, thing.uses_each or 0)
    return (*said, *amount, days or 0, *more, thing.kind, thing.offer_id)
