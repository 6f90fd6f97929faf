"""The life of one customer as a state machine: whatever happens, nobody is stuck and no money is lost."""

from collections import Counter
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from paidup.flows.buy import buy
from paidup.model.booking import Booking, BookingInTheWay
from paidup.model.checkout import Checkout, CheckoutStatus
from paidup.model.fact import DisputeStatus, SubscriptionStatus
from paidup.model.offer import Kind
from paidup.model.purchase import Purchase

from tools.fakes.memory.charges import Charge
from tools.fakes.memory.plans import DAY_S, DRAFT_S, Plan
from tools.soak.customer_rules import OFFERS, picks
from tools.soak.faults import Unlucky
from tools.soak.ledger import Ledger

A_WHILE = (1, 1, 3, 59, 119, 121, 899, 900, 3_600, 86_400, 90_000)
OPENING_ENDS_S = 120


class StateMachine(Unlucky):
    """One customer, the shop, and a provider, with the clock moving and any step crashing.

    `met` counts the lives in which something worth meeting happened.
    """

    credit = False
    met: ClassVar[Counter[str]] = Counter()

    @initialize(
        told=st.booleans(),
        owns=st.sampled_from(["", "live", "live", "live", "ten", "month", "month", "tried"]),
        knows=st.booleans(),
    )
    def open_the_shop(self, *, told: bool, owns: str, knows: bool) -> None:
        """Put the offers on sale, to a customer who has paid for one before, which the shop *knows* or not, and let
        calls crash from now on. In the end every event arrives (*told*), or none of those that can be asked for.
        """
        self.told_in_the_end = told
        for offer in OFFERS:
            self.services.table.put_offer(offer)
        if owns:
            self.buy_and_pay_at_once(owns)
        for n in self.unheard if knows else ():
            self.hear(n)
        self.rows.before = self.provider.before = self.count

    # -- what becomes of subscriptions

    @precondition(lambda self: self.running())
    @rule(pick=picks, declines=st.booleans(), late=st.sampled_from([-1, 0, DRAFT_S, DRAFT_S, 2 * DRAFT_S, 8 * DAY_S]))
    def let_a_period_end(self, pick: int, *, declines: bool, late: int) -> None:
        """Let weeks go by without an outage, sweeps and all, until a subscription's period has ended *late* seconds
        ago; its card pays, or declines.
        """
        plan = self.picked(self.running(), pick)
        plan.declines = declines
        ends, invoices = plan.period_end, plan.invoices
        self.have_a_quiet_day()
        self.pass_time(max(0, ends + late - self.now))
        if plan.invoices > invoices:
            past_due = plan.status is SubscriptionStatus.PAST_DUE
            paid = "paid" if plan.newest_charge else "declined" if past_due else "not yet paid"
            self.meet(f"subscription renewed, {paid}")

    @precondition(lambda self: self.in_debt())
    @rule(pick=picks, outcome=st.sampled_from(["active", "unpaid", "canceled"]))
    def settle_a_debt(self, pick: int, outcome: str) -> None:
        """Let a subscription that is past due be paid after all, or given up."""
        self.provider.settle_debt(self.picked(self.in_debt(), pick), SubscriptionStatus(outcome))
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
    @rule(pick=picks, ends=st.sampled_from([DisputeStatus.WON, DisputeStatus.LOST]))
    def dispute(self, pick: int, ends: DisputeStatus) -> None:
        """Let a bank open a dispute, or end an open one."""
        charge = self.picked(self.charges(), pick)
        if charge.dispute is DisputeStatus.OPEN:
            self.provider.dispute(charge, ends)
            self.meet(f"dispute {ends}")
        elif charge.dispute is None and charge.refunded < charge.amount:
            self.provider.dispute(charge, DisputeStatus.OPEN)

    # -- what the world does

    @precondition(lambda self: self.unheard)
    @rule(pick=picks)
    def deliver_a_new_event(self, pick: int) -> None:
        """Deliver an event that has not arrived, the newest or another."""
        self.hear(self.picked(self.unheard, pick))

    @precondition(lambda self: self.provider.told)
    @rule(pick=st.integers(0, 40))
    def deliver_any_event(self, pick: int) -> None:
        """Deliver an event: late, again, or out of order."""
        self.hear(pick % len(self.provider.told))

    @rule()
    def sweep(self) -> None:
        """Let the minute's sweep run."""
        self.attempt(self.run_the_sweep)

    @rule(seconds=st.sampled_from(A_WHILE))
    def let_time_pass(self, seconds: int) -> None:
        """Let a moment or a day go by."""
        self.pass_time(seconds)

    # -- what must always hold

    @invariant()
    def there_is_at_most_one_open_checkout(self) -> None:
        """The one that the account's slot points at, and no other."""
        purchase = [one.checkout_id for one in self.all_of(Checkout) if one.holds_slot(now=self.now)]
        assert len(purchase) <= 1, purchase
        slot = self.account().open_checkout_id
        assert purchase in ([], [slot])
        assert slot is None or not self.find(Checkout, slot).ended, slot

    @invariant()
    def what_nobody_finishes_to_open_is_out_of_the_way_in_two_minutes(self) -> None:
        """Counted from when anybody last did anything."""
        being_opened = [one for one in self.all_of(Checkout) if one.status is CheckoutStatus.OPENING]
        if self.now >= self.acted_at + OPENING_ENDS_S:
            assert not any(one.holds_slot(now=self.now) for one in being_opened), being_opened

    @invariant()
    def there_is_at_most_one_open_booking(self) -> None:
        """The one that the account's slot points at, and no other."""
        purchase = [one.booking_id for one in self.all_of(Booking) if one.open]
        assert len(purchase) <= 1, purchase
        slot = self.account().open_booking_id
        assert purchase == ([slot] if slot else [])

    @invariant()
    def access_is_what_the_passes_give(self) -> None:
        """What readers see in the account is what follows from its passes and the clock, no more and no less."""
        seen = {one.entitlement for one in self.account().current_access(now=self.now)}
        grace_s = self.services.policy.grace_s
        given = {
            one.entitlement
            for purchase in self.all_of(Purchase)
            if (one := purchase.access(now=self.now, grace_s=grace_s))
        }
        assert seen == given

    @invariant()
    def the_billing_version_never_decreases(self) -> None:
        """So that whoever has seen a version knows when theirs is old."""
        version = self.account().billing_version
        assert version >= self.last_version
        self.last_version = version

    def teardown(self) -> None:
        """After a quiet while all money is accounted for, access is right, and the customer can buy of every kind."""
        self.calm_down()
        ledger = Ledger(
            provider=self.provider,
            purchases={one.purchase_id: one for one in self.all_of(Purchase)},
            checkouts=self.all_of(Checkout),
            bookings=self.all_of(Booking),
            credit=self.credit,
            grace_s=self.services.policy.grace_s,
            now=self.now,
        )
        ledger.balances()
        ledger.one_payment_of_each_purchase_is_kept()
        ledger.nobody_waits_for_ever()
        ledger.no_page_is_left_open()
        seen = {one.purchase_id for one in self.account().current_access(now=self.now)}
        assert seen == set(ledger.usable())
        self._count_what_was_met(ledger)
        self.pass_time(self.services.policy.new_pages_within_s)  # who clicked on and on must wait as long
        for offer in ("day", "month"):
            checkout, _ = buy(self.order(offer, 1), self.services, now=self.now)
            assert checkout.status is CheckoutStatus.OPEN
        self._can_book()

    # -- how it is done

    def _can_book(self) -> None:
        live = [one for one in self.all_of(Booking) if one.open]
        try:
            checkout, _ = buy(self.order("live", 1), self.services, now=self.now)
        except BookingInTheWay:
            assert live, "told of a booking that is not there"
            return
        assert checkout.status in (CheckoutStatus.OPEN, CheckoutStatus.COMPLETED)

    def _count_what_was_met(self, ledger: Ledger) -> None:
        for purchase in ledger.purchases.values():
            if purchase.refund_decision and purchase.fully_refunded:
                self.meet(
                    "double payment refunded" if purchase.refund_decision.paid_before else "booking's payment refunded"
                )
                if purchase.kind is Kind.SUBSCRIPTION:
                    self.meet("subscription refunded and ended by paidup")
        type(self).met.update(self.meetings)

    def running(self) -> list[Plan]:
        """Return the subscriptions that go on by themselves."""
        return [one for one in self.provider.plans.values() if one.running]

    def in_debt(self) -> list[Plan]:
        """Return the subscriptions that are past due."""
        return [one for one in self.provider.plans.values() if one.status is SubscriptionStatus.PAST_DUE]

    def charges(self) -> list[Charge]:
        """Return every payment that was taken."""
        return self.provider.charges()


class StateMachineOnCredit(StateMachine):
    """The same, where a booking that fell through is credited for the next one, not refunded."""

    credit = True
    met: ClassVar[Counter[str]] = Counter()
