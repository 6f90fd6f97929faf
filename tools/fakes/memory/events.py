"""What the provider in memory says: of its pages, subscriptions and charges, when asked, and by events."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf

from paidup.model.checkout import Checkout
from paidup.model.errors import ObjectMissing, ProviderUnavailable
from paidup.model.fact import (
    Dispute,
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
from paidup.model.provider import Known, Listing, Page, PageStatus, Report
from paidup.model.purchase import Purchase

from tools.fakes.memory.charges import Charge
from tools.fakes.memory.plans import Plan

NAME = "memory"
LISTED_S = 29 * 86_400


@dataclass(slots=True, kw_only=True)
class Sheet:
    """A page of the provider's, and what was paid on it; `delayed` where the money came after the page."""

    token: str
    checkout: Checkout
    expires_at: int
    created_at: int = 0
    status: PageStatus = PageStatus.OPEN
    payment: PaymentStatus | None = None
    charge: Charge | None = None
    delayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An event of a `type`, told at the provider's second `at`. `facts` returns what it comes to, and may ask the
    provider. Who asks for the customer's pages and subscriptions hears the same before *asked_before* (epoch seconds).
    """

    type: str
    at: int
    facts: Callable[[], list[Fact]]
    asked_before: float


@dataclass(slots=True)
class ProviderEvents:
    """What is there at the provider, and how it tells of it. `before` is called with every operation's name, and may
    raise; `wait` lets a second go by; `failed` says that somebody got no answer, a refusal, or a refund that came back.
    """

    now: Callable[[], int]
    wait: Callable[[], None] = lambda: None
    before: Callable[[str], Callable[[], None] | None] = lambda _: None
    sheets: dict[str, Sheet] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    away: bool = False
    failed: bool = False
    _said: int = 0

    # -- when asked

    def page(self, token: str) -> Page:
        """Return the page with what it tells."""
        self._asked("page")
        sheet = self._sheet(token)
        return replace(self._page(sheet), facts=tuple(self._of_sheet(sheet, with_plan=True)))

    def purchase_facts(self, purchase: Purchase) -> list[Fact]:
        """See `Provider.purchase_facts`."""
        self._asked("purchase")
        plan = next((one for one in self.plans.values() if one.checkout.checkout_id == purchase.purchase_id), None)
        if plan:
            return [self._of_plan(plan)]
        sheet = next((one for one in self.sheets.values() if one.checkout.checkout_id == purchase.purchase_id), None)
        charge = sheet.charge if sheet else None
        return self._of_charge_whole(charge) if charge else []

    def refetch(self, fact: Fact) -> Fact:
        """Return what is so now, from a later second."""
        self._asked("again")
        if self.now() <= fact.entry.at:
            self.wait()
        value: Value = fact.entry.value
        match value:
            case Subscription():
                value = self.plans[fact.source.removeprefix("sub_")].value()
            case Refund() if charge := self._charge(fact.about):
                value = charge.refund_value()
            case Dispute() if charge := self._charge(fact.about.removeprefix("dp_")):
                value = charge.dispute_value()
            case Payment():
                return self._of_payment(self.sheets[fact.source]) or fact
        entry = Entry(at=self.now(), fetched=True, value=value)
        return replace(fact, entry=entry, fact_id=_fetched_id(fact.source, entry))

    def history(
        self,
        customer_refs: Sequence[str],
        email: str | None,  # noqa: ARG002 - found by ref alone
        *,
        since: int,
        known: Known,  # noqa: ARG002 - it knows whose everything is
        customer_id: str,
    ) -> Iterator[Listing]:
        """See `Provider.history`: there is one customer, whose name here never changes."""
        mine = [f"{NAME}#customer_{customer_id}"]
        yield Listing(name="subscriptions", reports=self._subscriptions() if [*customer_refs] == mine else iter(()))
        yield Listing(name="payment pages", reports=self._pages(since) if [*customer_refs] == mine else iter(()))

    def _subscriptions(self) -> Iterator[Report]:
        self._asked("list subscriptions")
        for plan in list(self.plans.values()):
            yield Report(ref=plan.ref, read=partial(self._read_plan, plan))

    def _pages(self, since: int) -> Iterator[Report]:
        self._asked("list checkout sessions")
        for sheet in list(self.sheets.values()):
            if sheet.created_at >= since:
                yield Report(ref=sheet.token, read=partial(self._of_sheet, sheet, with_plan=False))

    # -- by events

    def tick(self) -> None:
        """Let happen, and tell, what time has brought about since it was last looked at."""
        now = self.now()
        for sheet in self.sheets.values():
            if sheet.status is PageStatus.OPEN and now >= sheet.expires_at:
                sheet.status = PageStatus.EXPIRED
                self._tell_page(sheet, at=sheet.expires_at)
        for plan in self.plans.values():
            while (at := plan.next_at) is not None and at <= now:
                plan.step()
                self._tell_plan(plan, at=at)

    def _tell_page(self, sheet: Sheet, *, at: int | None = None) -> None:
        """Tell how a page was paid or ended; of a subscription's page, how the subscription stands once it is heard."""
        told = self._of_payment(sheet, told_at=self.now() if at is None else at)
        if told is None:
            return

        def facts() -> list[Fact]:
            plan = self.plans.get(sheet.token)
            return [self._subscription(plan), told] if plan else [told]

        asked_before = inf if sheet.token in self.plans else sheet.created_at + LISTED_S
        self.told.append(Told(type="page", at=told.entry.at, facts=facts, asked_before=asked_before))

    def _tell_plan(self, plan: Plan, *, at: int | None = None) -> None:
        """Tell how a subscription stands now; one that is past due is asked for when it is heard."""
        told = self._of_plan(plan, told_at=self.now() if at is None else at)
        past_due = plan.status is SubscriptionStatus.PAST_DUE
        facts = (lambda: [self._subscription(plan)]) if past_due else (lambda: [told])
        self.told.append(Told(type="subscription", at=told.entry.at, facts=facts, asked_before=inf))

    def _tell_charge(self, charge: Charge, value: Refund | Dispute | None) -> None:
        """Tell *value* of a charge, or, with None, let its refunds be asked for; whose it is must be asked for."""
        told = self._of_charge(charge, value, told_at=self.now()) if value else None

        def facts() -> list[Fact]:
            self._asked("whose payment it is")
            return [told or self._of_charge(charge, charge.refund_value())]

        listed = [one.created_at + LISTED_S for one in self.sheets.values() if one.charge is charge]
        until = listed[0] if listed else 0
        self.told.append(Told(type="charge", at=self.now(), facts=facts, asked_before=until))

    # -- in facts

    def _subscription(self, plan: Plan) -> Fact:
        self._asked("subscription")
        return self._of_plan(plan)

    def _of_charge_whole(self, charge: Charge) -> list[Fact]:
        found = [self._of_charge(charge, charge.refund_value())]
        return found + ([self._of_charge(charge, charge.dispute_value())] if charge.dispute else [])

    def _read_plan(self, plan: Plan) -> list[Fact]:
        return [self._of_plan(plan)]

    def _of_sheet(self, sheet: Sheet, *, with_plan: bool) -> list[Fact]:
        payment, charge, plan = self._of_payment(sheet), sheet.charge, self.plans.get(sheet.token)
        found = [self._of_plan(plan)] if plan and with_plan else []
        if payment:
            found.append(payment)
        return found + (self._of_charge_whole(charge) if charge else [])

    def _of_payment(self, sheet: Sheet, *, told_at: int | None = None) -> Fact | None:
        status = PaymentStatus.EXPIRED if sheet.status is PageStatus.EXPIRED else sheet.payment
        if status is None:
            return None
        cart, plan = sheet.checkout.cart, self.plans.get(sheet.token)
        amount = 0 if cart.trial_days else cart.amount
        intent = f"pi_{sheet.token}" if sheet.payment and not plan else None
        value = Payment(status=status, amount=amount, subtotal=amount, currency=cart.currency, ref=intent)
        ref = plan.ref if plan else intent
        fact = self._fact(sheet.checkout, value, sheet.token, told_at)
        fact = replace(fact, provider_ref=f"{NAME}#{ref}" if ref else None)
        if status is not PaymentStatus.PAID:
            return fact
        fetched = told_at is None and not sheet.delayed
        known_at = sheet.charge.at if sheet.charge else sheet.expires_at
        return replace(fact, paid_at=min(fact.entry.at, known_at) if fetched else fact.entry.at)

    def _of_plan(self, plan: Plan, *, told_at: int | None = None) -> Fact:
        told = self._fact(plan.checkout, plan.value(), plan.ref, told_at)
        return replace(told, provider_ref=f"{NAME}#{plan.ref}", paid_at=plan.created_at)

    def _of_charge(self, charge: Charge, value: Refund | Dispute, *, told_at: int | None = None) -> Fact:
        checkout, of_a_plan = self._sold_with(charge)
        about = charge.ref if isinstance(value, Refund) else f"dp_{charge.ref}"
        fact = self._fact(checkout, value, f"ch_{charge.ref}", told_at, about=about)
        return replace(fact, asked=None, valid_days=None) if of_a_plan else fact

    def _fact(self, checkout: Checkout, value: Value, source: str, told_at: int | None, *, about: str = "") -> Fact:
        self._said += 1
        cart, at = checkout.cart, self.now() if told_at is None else told_at
        entry = Entry(at=at, fetched=told_at is None, value=value)
        return Fact(
            fact_id=_fetched_id(source, entry) if entry.fetched else f"evt_{self._said}",
            provider=NAME,
            customer_id=checkout.customer_id,
            purchase_id=checkout.checkout_id,
            offer_id=cart.offer_id,
            kind=cart.kind,
            valid_days=cart.valid_days,
            asked=Price(amount=cart.amount, currency=cart.currency),
            entry=entry,
            source=source,
            customer_ref=f"stripe#customer_{checkout.customer_id}",
            about=about,
        )

    # -- how it is done

    def _asked(self, what: str) -> Callable[[], None] | None:
        if self.away:
            self.failed = True
            raise ProviderUnavailable("memory", f"it was asked to {what}")
        self.tick()
        return self.before(what)

    def _sheet(self, token: str) -> Sheet:
        if token not in self.sheets:
            raise ObjectMissing(NAME, "it was asked for a page")
        return self.sheets[token]

    def _page(self, sheet: Sheet) -> Page:
        return Page(
            token=sheet.token,
            url=f"https://pay/{sheet.token}",
            expires_at=sheet.expires_at,
            status=sheet.status,
            customer_ref=f"{NAME}#customer_{sheet.checkout.customer_id}",
        )

    def charges(self) -> list[Charge]:
        """Return every payment that was taken, of pages and of subscriptions."""
        return [one.charge for one in self.sheets.values() if one.charge] + [
            charge for plan in self.plans.values() for charge in plan.charges
        ]

    def _charge(self, ref: str) -> Charge | None:
        return next((one for one in self.charges() if one.ref == ref), None)

    def _sold_with(self, charge: Charge) -> tuple[Checkout, bool]:
        for plan in self.plans.values():
            if charge in plan.charges:
                return plan.checkout, True
        return next(one.checkout for one in self.sheets.values() if one.charge is charge), False


def _fetched_id(source: str, entry: Entry) -> str:
    """Return the id of what was fetched: one object may tell of several registers."""
    return f"{source}@{entry.at}.{entry.value.tag}"
