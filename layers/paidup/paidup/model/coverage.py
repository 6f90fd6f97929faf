"""Coverage: what one subscription grants, and until when, from what was paid for it.

A subscription says what its customer wants. Its invoices say what was paid. If the newest invoice is paid, the
subscription grants its items. If not, what was paid before holds until its own end:

    invoice 1, paid                        renewal, not paid yet
    |------------- month 1 ---------------|------ grace ------|
              |-- upgrade, not paid: month 1 goes on, no grace
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

from paidup.model.access import PurchaseStatus
from paidup.model.fact import (
    Invoice,
    InvoiceStatus,
    Item,
    Line,
    Payment,
    PaymentStatus,
    Subscription,
    SubscriptionStatus,
)
from paidup.model.policy import Policy

WITHOUT_ACCESS = {
    SubscriptionStatus.INCOMPLETE: PurchaseStatus.PENDING,
    SubscriptionStatus.INCOMPLETE_EXPIRED: PurchaseStatus.FAILED,
    SubscriptionStatus.PAUSED: PurchaseStatus.PAUSED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """`quantity` of an offer, until `until` (epoch seconds)."""

    offer_id: str
    quantity: int
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What a subscription grants: its state while the holdings last, and `then`."""

    then: PurchaseStatus
    state: PurchaseStatus = PurchaseStatus.ACTIVE
    holdings: tuple[Holding, ...] = ()

    @property
    def until(self) -> int:
        """When the last holding ends (epoch seconds; 0: there is none)."""
        return max((one.until for one in self.holdings), default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """One subscription beside what is known of its money. `names` says which offer a price sells, by the price's id.

    `given` are the items that it had when its collection was paused last. `paid_since` is when its newest paid period
    began (epoch seconds; 0: none is known).
    """

    plan: Subscription
    invoices: Mapping[str, Invoice]
    payment: Payment | None
    names: Mapping[str, str]
    given: tuple[Item, ...] = ()
    paid_since: int = 0

    @property
    def latest(self) -> InvoiceStatus | None:
        """The state of the newest invoice, or None if nothing was heard of it. Without an invoice, nothing is due."""
        if self.plan.invoice is None:
            past_due = self.plan.status is SubscriptionStatus.PAST_DUE
            return InvoiceStatus.OPEN if past_due else InvoiceStatus.PAID
        status = self.status_of(self.plan.invoice)
        return InvoiceStatus.PAID if status and self.held else status

    @property
    def held(self) -> bool:
        """Whether all items are paid until their periods end: an unpaid invoice is for a change that is not made."""
        lines = {line.price: line for line in self.paid_lines()}
        held = ((item, lines.get(item.price)) for item in self.plan.items)
        return all(line and line.quantity == item.quantity and line.end >= item.period_end for item, line in held)

    def status_of(self, invoice_id: str) -> InvoiceStatus | None:
        """Return the state of an invoice, or None if nothing was heard of it. The checkout's payment counts too."""
        first = self.payment
        if first and first.invoice == invoice_id and first.status is PaymentStatus.PAID:
            return InvoiceStatus.PAID
        invoice = self.invoices.get(invoice_id)
        return invoice.status if invoice else None

    def in_order(self) -> list[tuple[InvoiceStatus | None, tuple[Line, ...]]]:
        """Return the state and the lines of each invoice, the oldest first."""
        known = sorted(self.invoices.items(), key=lambda one: (one[1].made_at, one[0]))
        return [(self.status_of(an_id), invoice.lines) for an_id, invoice in known]

    def owed(self) -> dict[str, InvoiceStatus | None]:
        """Return the prices of items that are not paid, with the state of the newest invoice that sold each.

        A change that was declined is not paid by the next one, even if that one costs nothing.
        """
        if self.held:
            return {}
        sold: dict[str, InvoiceStatus | None] = {}
        for status, lines in self.in_order():
            sold |= {line.price: status for line in lines if not line.credit}
        prices = {item.price for item in self.plan.items}
        return {price: status for price, status in sold.items() if price in prices and status is not InvoiceStatus.PAID}

    @property
    def nameless(self) -> bool:
        """Whether a price of the subscription names no offer."""
        return any(item.price not in self.names for item in self.plan.items)

    def paid_after_end(self) -> dict[str, int]:
        """Return what was paid only after the subscription had ended, for time that it never gave: minor units by
        invoice.
        """
        ended_at = self.plan.ended_at
        if ended_at is None:
            return {}
        late = ((an_id, one) for an_id, one in self.invoices.items() if one.paid_at and one.paid_at > ended_at)
        return {
            an_id: one.amount
            for an_id, one in late
            if one.amount and any(line.end > ended_at and not line.credit for line in one.lines)
        }

    def paid_lines(self) -> list[Line]:
        """Return what was paid for and not given back for a change, by price: the newest line of each.

        A change to a price that names no offer takes nothing away. What was over when the newest paid period began is
        left out: nobody waits for its renewal any more.
        """
        held: dict[str, Line] = {}
        for status, lines in self.in_order():
            if status is not InvoiceStatus.PAID:
                continue
            bought = [line for line in lines if not line.credit]
            if all(line.price in self.names for line in bought):
                for line in lines:
                    if line.credit:
                        held.pop(line.price, None)
            held |= {line.price: line for line in bought}
        return [line for line in held.values() if line.end > self.paid_since]

    def current(self, *, grace_s: int, without: Container[str] = ()) -> tuple[Holding, ...]:
        """Return what the items grant: each until its period's end, and *grace_s* seconds more.

        If a later period is paid already, the subscription was not heard of since, and it lasts as long. Items at a
        price in *without* are left out.
        """
        plan = self.plan
        paid = {line.price: line.end for line in self.paid_lines()}
        return tuple(
            Holding(
                offer_id=self.names[item.price],
                quantity=item.quantity,
                until=min(filter(None, (plan.cancel_at, max(item.period_end, paid.get(item.price, 0)) + grace_s))),
            )
            for item in plan.items
            if item.price in self.names and item.quantity and item.price not in without
        )

    def before(self, *, grace_s: int = 0) -> tuple[Holding, ...]:
        """Return what the paid lines grant: each until its end, and *grace_s* seconds more if its renewal is due."""
        plan = self.plan
        return tuple(
            Holding(
                offer_id=self.names[line.price],
                quantity=line.quantity,
                until=min(filter(None, (plan.cancel_at, line.end + (grace_s if self._renews(line) else 0)))),
            )
            for line in self.paid_lines()
            if line.price in self.names and line.quantity
        )

    def gift(self) -> tuple[Holding, ...]:
        """Return what was given while nobody paid: each item until its period's end, with no grace."""
        return tuple(
            Holding(
                offer_id=self.names[item.price],
                quantity=item.quantity,
                until=min(filter(None, (self.plan.cancel_at, item.period_end))),
            )
            for item in self.given
            if item.price in self.names and item.quantity
        )

    def is_of_the_trial(self, line: Line) -> bool:
        """Whether *line* is for nothing but a time that was tried for free."""
        return self.plan.trial_end is not None and line.end <= self.plan.trial_end

    def _renews(self, line: Line) -> bool:
        """Whether the period after that of *line* has begun, not only a change within it. A trial is not renewed."""
        if self.is_of_the_trial(line):
            return False
        starts = [item.period_start for item in self.plan.items if item.price == line.price]
        return min(starts, default=self.plan.period_start) >= line.end


def cover(books: Books, policy: Policy) -> Coverage:
    """Return what the subscription in *books* grants by *policy*. Pure; the clock decides whether that is over."""
    plan = books.plan
    if plan.status in (SubscriptionStatus.CANCELED, SubscriptionStatus.UNPAID):
        ended = plan.status is SubscriptionStatus.CANCELED
        then = PurchaseStatus.CANCELED if ended else PurchaseStatus.UNPAID
        kept = () if ended and not plan.lapsed else books.before()
        return Coverage(state=PurchaseStatus.PAST_DUE, then=then, holdings=kept)
    if _debit_is_under_way(books) and policy.grant_pending_debits:
        return Coverage(then=PurchaseStatus.PENDING, holdings=books.current(grace_s=0))
    if plan.status in WITHOUT_ACCESS:
        return Coverage(then=WITHOUT_ACCESS[plan.status])
    if plan.status is SubscriptionStatus.TRIALING:
        holdings = books.current(grace_s=policy.grace_s)
        holdings = _and(holdings, books.before() if books.nameless else ())
        return Coverage(state=PurchaseStatus.TRIALING, then=PurchaseStatus.ENDED, holdings=holdings)
    if plan.paused and policy.keep_paused_collection:
        holdings = books.current(grace_s=policy.grace_s)
        return Coverage(then=PurchaseStatus.ENDED, holdings=_and(holdings, books.before() if books.nameless else ()))
    paid = books.latest is InvoiceStatus.PAID
    if plan.by_invoice and not paid:
        return _by_invoice(books, policy)
    covered = _paid(books, policy) if paid else _unpaid(books, policy)
    if policy.keep_paused_collection and (not paid or books.owed()):
        return replace(covered, holdings=_or_given(covered.holdings, books.gift()))
    return covered


def _paid(books: Books, policy: Policy) -> Coverage:
    """The newest invoice is paid: the items, and what was paid before for those that an older invoice leaves unpaid, or
    whose price names no offer.
    """
    paused = books.plan.paused
    owed = {} if books.plan.by_invoice else books.owed()
    holdings = books.current(grace_s=0 if paused else policy.grace_s, without=owed)
    if owed:
        given_up = paused or InvoiceStatus.VOID in owed.values()
        holdings = _and(holdings, books.before(grace_s=_grace_of_a_renewal(books, policy, given_up=given_up)))
    elif books.nameless:
        holdings = _and(holdings, books.before())
    return Coverage(then=PurchaseStatus.PAUSED if paused else PurchaseStatus.ENDED, holdings=holdings)


def _and(holdings: tuple[Holding, ...], before: tuple[Holding, ...]) -> tuple[Holding, ...]:
    """Return *holdings*, and those of *before* that are of other offers."""
    named = {one.offer_id for one in holdings}
    return holdings + tuple(one for one in before if one.offer_id not in named)


def _or_given(holdings: tuple[Holding, ...], gift: tuple[Holding, ...]) -> tuple[Holding, ...]:
    """Return *holdings*, but the *gift* of an offer if that lasts longer: collection was resumed within its period."""
    lasts: dict[str, int] = {}
    for one in gift:
        lasts[one.offer_id] = max(one.until, lasts.get(one.offer_id, 0))
    kept = tuple(one for one in holdings if one.until >= lasts.get(one.offer_id, 0))
    held = {one.offer_id for one in kept}
    return kept + tuple(one for one in gift if one.offer_id not in held)


def _grace_of_a_renewal(books: Books, policy: Policy, *, given_up: bool) -> int:
    """Return the grace for what was paid before and is to be renewed. The end of a trial gets none."""
    lines = books.paid_lines()
    return 0 if given_up or _only_a_trial(books, lines) or not lines else policy.grace_s


def _by_invoice(books: Books, policy: Policy) -> Coverage:
    """The shop gives credit until the invoice is due, and grace after that."""
    if books.plan.status is SubscriptionStatus.ACTIVE:
        return Coverage(then=PurchaseStatus.ENDED, holdings=books.current(grace_s=policy.grace_s))
    due = min((one.due_at for one in books.invoices.values() if one.status is InvoiceStatus.OPEN), default=None)
    until = (books.plan.period_start if due is None else due) + policy.grace_s
    return Coverage(
        state=PurchaseStatus.PAST_DUE, then=PurchaseStatus.UNPAID, holdings=_not_after(until, books.current(grace_s=0))
    )


def _unpaid(books: Books, policy: Policy) -> Coverage:
    """The newest invoice is not paid: what was paid before, with grace if it is a renewal's."""
    plan, lines = books.plan, books.paid_lines()
    given_up = plan.paused or books.latest is InvoiceStatus.VOID
    failing = plan.status is SubscriptionStatus.PAST_DUE
    then = PurchaseStatus.PAUSED if plan.paused else PurchaseStatus.UNPAID
    if _only_a_trial(books, lines) or not lines:
        if failing or given_up:
            return Coverage(then=then)
        begins = books.current(grace_s=0) if plan.trial_end and plan.trial_end <= plan.period_start else ()
        return Coverage(then=PurchaseStatus.PENDING, holdings=_not_after(plan.period_start + policy.grace_s, begins))
    state = PurchaseStatus.PAST_DUE if failing else PurchaseStatus.ACTIVE
    grace_s = _grace_of_a_renewal(books, policy, given_up=given_up)
    return Coverage(state=state, then=then, holdings=books.before(grace_s=grace_s))


def _only_a_trial(books: Books, lines: Sequence[Line]) -> bool:
    """Whether nothing but a trial came before: money was never paid, so that a failed payment gets no grace."""
    return books.plan.trial_end is not None and all(map(books.is_of_the_trial, lines))


def _debit_is_under_way(books: Books) -> bool:
    """Whether the first payment takes days, and is neither there nor failed.

    A subscription that was made anew has invoices of its own.
    """
    first, plan = books.payment, books.plan
    if first is None or first.status is not PaymentStatus.PENDING or plan.ended:
        return False
    return first.invoice in (None, plan.invoice)


def _not_after(second: int, holdings: tuple[Holding, ...]) -> tuple[Holding, ...]:
    return tuple(
        Holding(offer_id=one.offer_id, quantity=one.quantity, until=min(one.until, second)) for one in holdings
    )
