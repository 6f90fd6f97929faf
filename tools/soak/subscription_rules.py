"""What becomes of subscriptions and of money at the provider, without paidup: renewals, changes, debts, disputes."""

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from paidup.model.fact import DisputeStatus, InvoiceStatus, Item, SubscriptionStatus
from paidup.model.offer import Interval

from tools.fakes.memory.bills import DAY_S, PERIOD_S, Tariff
from tools.fakes.memory.charges import Charge
from tools.fakes.memory.plans import DAYS, DRAFT_S, Plan
from tools.soak.customer_rules import SUBSCRIPTIONS, picks
from tools.soak.faults import Unlucky

YEAR_S = DAYS[Interval.YEAR] * DAY_S
PLANS = {
    f"price_{offer.offer_id}": Tariff(
        ref=f"price_{offer.offer_id}",
        amount=offer.amount or 0,
        offer_id=offer.offer_id,
        period_s=DAYS[offer.interval or Interval.MONTH] * DAY_S,
    )
    for offer in SUBSCRIPTIONS
} | {
    "price_unnamed": Tariff(ref="price_unnamed", amount=12_900),
}
ADD_ONS = {
    PERIOD_S: Tariff(ref="price_locker", amount=1_900, offer_id="locker"),
    YEAR_S: Tariff(ref="price_locker_year", amount=19_000, offer_id="locker", period_s=YEAR_S),
}
TARIFFS = PLANS | {one.ref: one for one in ADD_ONS.values()}
NAMES = {one.ref: one.offer_id for one in TARIFFS.values() if one.offer_id}


class SubscriptionRules(Unlucky):
    """Subscriptions that renew, change, are paused, fall into debt and end; and money that goes back."""

    @precondition(lambda self: self.running())
    @rule(pick=picks, declines=st.booleans(), late=st.sampled_from([-1, 0, DRAFT_S, DRAFT_S, 2 * DRAFT_S, 8 * DAY_S]))
    def let_a_period_end(self, pick: int, *, declines: bool, late: int) -> None:
        """Let weeks go by without an outage, sweeps and all, until a subscription's period has ended *late* seconds
        ago; its card pays, or declines.
        """
        plan = self.picked(self.running(), pick)
        plan.declines = declines
        ends, bills = plan.period_end, len(plan.bills)
        self.have_a_quiet_day()
        self.pass_time(max(0, ends + late - self.now))
        if len(plan.bills) > bills:
            past_due = plan.status is SubscriptionStatus.PAST_DUE
            unpaid = "void" if plan.newest.status is InvoiceStatus.VOID else "not yet paid"
            paid = "paid" if plan.newest.charge else "declined" if past_due else unpaid
            self.meet(f"subscription renewed, {paid}")

    @precondition(lambda self: self.changeable())
    @rule(pick=picks, to=st.sampled_from(sorted(PLANS)), declines=st.booleans())
    def change_a_plan(self, pick: int, to: str, *, declines: bool) -> None:
        """Let a subscription change its plan at once: paid, or declined and past due."""
        plan = self.picked(self.changeable(), pick)
        items, tariff = list(plan.items), PLANS[to]
        if to in {one.price for one in items}:
            return
        had_add_on = any(self._is_add_on(one) for one in items)
        wanted = [(tariff, sum(one.quantity for one in items if not self._is_add_on(one)))]
        wanted += [(ADD_ONS[tariff.period_s], 1)] if had_add_on else []
        self.provider.change(plan, wanted, declines=declines)
        self.meet(f"plan changed, {plan.newest.status}" + ("" if tariff.offer_id else ", to a price without a name"))

    @precondition(lambda self: self.changeable())
    @rule(pick=picks, quantity=st.integers(1, 3), declines=st.booleans())
    def change_the_seats(self, pick: int, quantity: int, *, declines: bool) -> None:
        """Let a subscription have more or fewer seats."""
        plan = self.picked(self.changeable(), pick)
        wanted = [(TARIFFS[one.price], one.quantity if self._is_add_on(one) else quantity) for one in plan.items]
        if wanted != [(TARIFFS[one.price], one.quantity) for one in plan.items]:
            self.provider.change(plan, wanted, declines=declines)
            self.meet(f"seats changed, {plan.newest.status}")

    @precondition(lambda self: self.changeable())
    @rule(pick=picks, declines=st.booleans())
    def add_or_drop_an_add_on(self, pick: int, *, declines: bool) -> None:
        """Let a subscription have a locker beside its plan, or none any more."""
        plan = self.picked(self.changeable(), pick)
        wanted = [(TARIFFS[one.price], one.quantity) for one in plan.items if not self._is_add_on(one)]
        wanted += [(ADD_ONS[plan.period_s], 1)] if len(wanted) == len(plan.items) else []
        self.provider.change(plan, wanted, declines=declines)
        self.meet(f"add-on {'added' if len(wanted) > 1 else 'dropped'}, {plan.newest.status}")

    @precondition(lambda self: self.running())
    @rule(pick=picks)
    def pause_or_resume_collection(self, pick: int) -> None:
        """Let nobody pay for a subscription that goes on, or let them pay again."""
        plan = self.picked(self.running(), pick)
        self.provider.pause(plan, paused=not plan.paused)
        self.meet("collection paused" if plan.paused else "collection resumed")

    @precondition(lambda self: self.provider.plans)
    @rule(pick=picks)
    def make_a_subscription_anew(self, pick: int) -> None:
        """Let the shop's people make a subscription again, under the same metadata; the first one may run on."""
        plan = self.picked(list(self.provider.plans.values()), pick)
        if not plan.debit and len(self.provider.plans) < 4:
            self.pass_time(1)  # by the second in which its period began, a payment's subscription is told from others
            self.provider.make_anew(plan)
            self.meet("subscription made anew" + (" beside one that runs" if plan.running else ""))

    @precondition(lambda self: self.in_debt())
    @rule(pick=picks, outcome=st.sampled_from(["paid", "paid", "unpaid", "canceled", "void"]))
    def settle_a_debt(self, pick: int, outcome: str) -> None:
        """Let a subscription that is past due be paid after all, or given up."""
        self.provider.settle_debt(self.picked(self.in_debt(), pick), outcome)
        self.meet(f"past due, then {outcome}")

    @precondition(lambda self: self.running())
    @rule(pick=picks, how=st.sampled_from(["at its end", "go on", "now"]))
    def change_a_subscription(self, pick: int, how: str) -> None:
        """Cancel it at once or at its period's end, or let it go on after all."""
        plan = self.picked(self.running(), pick)
        if how == "now":
            self.provider.cancel(plan)
        else:
            self.provider.cancel_at_period_end(plan, cancels=how == "at its end")
        self.meet(f"subscription cancelled: {how}")

    # -- what happens to money behind our back

    @precondition(lambda self: self.charges())
    @rule(pick=picks, how=st.sampled_from(["part", "part", "all", "fails"]))
    def refund_by_hand(self, pick: int, how: str) -> None:
        """Give some or all back in the provider's dashboard, or let a refund fail, whoever made it."""
        charge = self.picked(self.charges(), pick)
        if how != "fails":
            self.provider.refund_by_hand(charge, charge.amount // 3 if how == "part" else None)
            self.meet("refunded by hand")
        elif self.provider.fail_a_refund(charge):
            self.meet("refund failed")

    @precondition(lambda self: self.charges())
    @rule(pick=picks, ends=st.sampled_from([DisputeStatus.WON, DisputeStatus.LOST]), part=st.booleans())
    def dispute(self, pick: int, ends: DisputeStatus, *, part: bool) -> None:
        """Let a bank open a dispute of all or a part, or end an open one."""
        charge = self.picked(self.charges(), pick)
        if charge.dispute is DisputeStatus.OPEN:
            self.provider.dispute(charge, ends)
            self.meet(f"dispute {ends}")
        elif charge.dispute is None and charge.refunded < charge.amount:
            self.provider.dispute(charge, DisputeStatus.OPEN, part=part)
            self.meet(f"dispute of {'a part' if part else 'all'} opened")

    # -- how it is done

    def running(self) -> list[Plan]:
        """Return the subscriptions that go on by themselves."""
        return [one for one in self.provider.plans.values() if one.running]

    def changeable(self) -> list[Plan]:
        """Return the subscriptions that can be changed: those that run, and have no invoice that is a draft."""
        return [one for one in self.running() if one.billed_at is None]

    def in_debt(self) -> list[Plan]:
        """Return the subscriptions that are past due."""
        return [one for one in self.running() if one.status is SubscriptionStatus.PAST_DUE]

    def charges(self) -> list[Charge]:
        """Return every payment that was taken."""
        return self.provider.charges()

    @staticmethod
    def _is_add_on(item: Item) -> bool:
        return item.price in {one.ref for one in ADD_ONS.values()}
