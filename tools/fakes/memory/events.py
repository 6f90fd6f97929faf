"""What the provider in memory says: of its pages, subscriptions, invoices and charges, when asked, and by events."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf

from paidup.model.checkout import Checkout
from paidup.model.errors import ObjectMissing, ProviderUnavailable
from paidup.model.fact import (
    Dispute,
    Fact,
    Payment,
    Refund,
    Subscription,
    SubscriptionStatus,
    Value,
)
from paidup.model.provider import Known, Listing, Page, PageStatus, Report
from paidup.model.purchase import Purchase

from tools.fakes.memory import facts
from tools.fakes.memory.bills import Bill
from tools.fakes.memory.charges import Charge
from tools.fakes.memory.facts import NAME, Observed, Sheet
from tools.fakes.memory.plans import Plan

LISTED_S = 29 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An event of a `type`, told at the provider's second `at`. `facts` returns what it comes to, and may ask the
    provider. Who asks for the customer's pages and subscriptions hears the same before `asked_before` (epoch seconds).
    """

    type: str
    at: int
    facts: Callable[[], list[Fact]]
    asked_before: float


@dataclass(slots=True)
class ProviderEvents:
    """What is there at the provider, and how it tells of it. `before` is called with every operation's name, and may
    raise. `wait` lets a second go by. `failed` says that somebody got no answer, a refusal, or a refund that came back.
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
    _last_told: dict[str, Value] = field(default_factory=dict)

    # -- when asked

    def page(self, checkout: Checkout) -> Page:
        """See `Provider.page`."""
        self._asked("page")
        sheet = self._sheet(checkout.token or "")
        return replace(self._page(sheet), facts=tuple(self._of_sheet(sheet, with_plan=True)))

    def purchase_facts(self, purchase: Purchase) -> list[Fact]:
        """See `Provider.purchase_facts`."""
        self._asked("purchase")
        plans = self._plans_of(purchase)
        if plans:
            return [fact for plan in plans for fact in self._of_plan_whole(plan)]
        sheet = next((one for one in self.sheets.values() if one.checkout.checkout_id == purchase.purchase_id), None)
        return self._of_charge_whole(sheet.charge) if sheet and sheet.charge else []

    def refetch(self, fact: Fact) -> Fact:
        """Return what is so now, from a later second."""
        self._asked("again")
        if self.now() <= fact.entry.at:
            self.wait()
        value: Value = fact.entry.value
        match value:
            case Payment():
                return facts.of_payment(self.sheets[fact.source], self._now()) or fact
            case Subscription():
                value = self.plans[fact.source].value()
            case Refund() if charge := self._charge(fact.about):
                value = charge.refund_value()
            case Dispute() if charge := self._charge(fact.about.removeprefix("dp_")):
                value = charge.dispute_value()
            case _ if bill := self._bill(fact.source):
                value = bill.value()
        return facts.restated(fact, value, self.now())

    def history(
        self,
        customer_refs: Sequence[str],
        email: str | None,  # noqa: ARG002 - found by ref alone
        *,
        since: int,
        known: Known,  # noqa: ARG002 - it knows whose everything is
        customer_id: str,  # noqa: ARG002 - found by ref alone
    ) -> Iterator[Listing]:
        """See `Provider.history`. What support moved still names the first customer."""
        mine = [one for one in self.sheets.values() if one.customer_ref in customer_refs]
        yield Listing(name="subscriptions", reports=self._subscriptions(mine))
        yield Listing(name="payment pages", reports=self._pages(mine, since))
        yield Listing(name="charges", reports=self._reversed(mine))

    def _subscriptions(self, mine: Sequence[Sheet]) -> Iterator[Report]:
        self._asked("list subscriptions")
        sold = [one.checkout for one in mine]
        for plan in [one for one in self.plans.values() if one.checkout in sold]:
            yield Report(ref=plan.ref, read=partial(self._of_plan_whole, plan))

    def _pages(self, mine: Sequence[Sheet], since: int) -> Iterator[Report]:
        self._asked("list checkout sessions")
        for sheet in mine:
            if sheet.created_at >= since:
                yield Report(ref=sheet.token, read=partial(self._of_sheet, sheet, with_plan=False))

    def _reversed(self, mine: Sequence[Sheet]) -> Iterator[Report]:
        self._asked("list charges")
        sold = [one.checkout for one in mine]
        for charge in self.charges():
            if (charge.refunded or charge.dispute) and self._sold_with(charge) in sold:
                yield Report(ref=charge.ref, read=partial(self._of_charge_whole, charge))

    def objects(self, cursor: str | None, *, since: int, known: Known) -> Iterator[Report]:  # noqa: ARG002 - it knows whose everything is
        """See `Provider.objects`. A cursor is the list's name and the object's id."""
        name, _, last = (cursor or "").partition("#")
        names = ("subscriptions", "pages", "charges")
        for listed in names[names.index(name) if name else 0 :]:
            self._asked(f"list all {listed}")
            every = self._every(listed, since)
            refs = [ref for ref, _, _ in every]
            for ref, counts, read in every[refs.index(last) + 1 if last else 0 :]:
                if counts:
                    yield Report(ref=ref, read=read, cursor=f"{listed}#{ref}")
            last = ""

    def _every(self, listed: str, since: int) -> list[tuple[str, bool, Callable[[], list[Fact]]]]:
        """Return the objects of a list: each object's id, whether it is listed, and what it says."""
        if listed == "subscriptions":
            ended = SubscriptionStatus.CANCELED
            plans = list(self.plans.values())
            return [(one.ref, one.status is not ended, partial(self._of_plan_whole, one)) for one in plans]
        if listed == "pages":
            return [
                (one.token, one.created_at >= since, partial(self._of_sheet, one, with_plan=True))
                for one in list(self.sheets.values())
            ]
        reversed_ = [one for one in self.charges() if one.refunds or one.dispute]
        return [(one.ref, True, partial(self._of_charge_whole, one)) for one in reversed_]

    # -- by events

    def tick(self) -> None:
        """Let happen, and tell, what time has brought about since it was last looked at."""
        now = self.now()
        for sheet in self.sheets.values():
            if sheet.status is PageStatus.OPEN and now >= sheet.expires_at:
                sheet.status = PageStatus.EXPIRED
                self._tell_page(sheet, at=sheet.expires_at)
        for plan in list(self.plans.values()):
            while (at := plan.next_at) is not None and at <= now:
                plan.step()
                self._tell_plan(plan, at=at)

    def _tell_page(self, sheet: Sheet, *, at: int | None = None) -> None:
        """Tell how a page was paid or ended."""
        if told := facts.of_payment(sheet, self._next(at)):
            self._tell("page", told, asked_before=inf if sheet.plan else sheet.created_at + LISTED_S)

    def _tell_plan(self, plan: Plan, *, at: int | None = None) -> None:
        """Tell how a subscription and its invoices stand, if nobody was told so before."""
        if self._is_news(plan.ref, plan.value()):
            self._tell("subscription", facts.of_plan(plan, self._next(at)), asked_before=inf)
        for bill in plan.bills:
            if self._is_news(bill.ref, bill.value()):
                self._tell("invoice", facts.of_bill(plan, bill, self._next(at)), asked_before=inf)

    def _tell(self, kind: str, told: Fact, *, asked_before: float) -> None:
        self.told.append(Told(type=kind, at=told.entry.at, facts=lambda: [told], asked_before=asked_before))

    def _is_news(self, ref: str, value: Value) -> bool:
        before, self._last_told[ref] = self._last_told.get(ref), value
        return before != value

    def _tell_charge(self, charge: Charge, value: Refund | Dispute | None) -> None:
        """Tell *value* of a charge, or, with None, let its refunds be asked for. Whose a subscription's charge is must
        be asked for too.
        """
        checkout = self._sold_with(charge)
        told = facts.of_charge(checkout, charge, value, self._next(None)) if value else None

        def read() -> list[Fact]:
            if told and not charge.invoice:
                return [told]
            self._asked("whose payment it is")
            return [told or facts.of_charge(checkout, charge, charge.refund_value(), self._now())]

        listed = [one.created_at + LISTED_S for one in self.sheets.values() if one.charge is charge]
        self.told.append(Told(type="charge", at=self.now(), facts=read, asked_before=listed[0] if listed else 0))

    # -- in facts

    def _now(self) -> Observed:
        return Observed(at=self.now())

    def _next(self, at: int | None) -> Observed:
        """Return the stamp of the next event, at *at* (None: now)."""
        self._said += 1
        return Observed(at=self.now() if at is None else at, number=self._said)

    def _of_charge_whole(self, charge: Charge) -> list[Fact]:
        checkout = self._sold_with(charge)
        found = [facts.of_charge(checkout, charge, charge.refund_value(), self._now())]
        if charge.dispute:
            found.append(facts.of_charge(checkout, charge, charge.dispute_value(), self._now()))
        return found

    def _of_plan_whole(self, plan: Plan) -> list[Fact]:
        """Return what a subscription says, its newest invoice, and those that reach up to its present period."""
        lately = [one for one in plan.bills[:-1] if one.end >= plan.period_start]
        return [facts.of_plan(plan, self._now())] + [
            facts.of_bill(plan, bill, self._now()) for bill in (*lately, plan.newest)
        ]

    def _of_sheet(self, sheet: Sheet, *, with_plan: bool) -> list[Fact]:
        found = self._of_plan_whole(sheet.plan) if sheet.plan and with_plan else []
        if payment := facts.of_payment(sheet, self._now()):
            found.append(payment)
        return found + (self._of_charge_whole(sheet.charge) if sheet.charge else [])

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
            customer_ref=sheet.customer_ref,
        )

    def charges(self) -> list[Charge]:
        """Return every payment that was taken, of pages and of subscriptions."""
        return [one.charge for one in self.sheets.values() if one.charge] + [
            charge for plan in self.plans.values() for charge in plan.charges
        ]

    def _plans_of(self, purchase: Purchase) -> list[Plan]:
        """Return the subscriptions that *purchase* names."""
        named = (ref.removeprefix(f"{NAME}#") for ref in purchase.refs)
        return [self.plans[ref] for ref in named if ref in self.plans]

    def _bill(self, ref: str) -> Bill | None:
        return next((bill for plan in self.plans.values() for bill in plan.bills if bill.ref == ref), None)

    def _charge(self, ref: str) -> Charge | None:
        return next((one for one in self.charges() if one.ref == ref), None)

    def _sold_with(self, charge: Charge) -> Checkout:
        for plan in self.plans.values():
            if charge in plan.charges:
                return plan.checkout
        return next(one.checkout for one in self.sheets.values() if one.charge is charge)
