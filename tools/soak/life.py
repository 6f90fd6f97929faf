"""The life of one customer as a state machine: whatever happens, nobody is stuck and no money is lost."""

from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from paidup.flows import book
from paidup.flows.buy import buy
from paidup.flows.confirm import confirm
from paidup.flows.expire import expire
from paidup.flows.recover import cancel, recover
from paidup.flows.sync import sync
from paidup.model.booking import Booking, BookingInTheWay
from paidup.model.checkout import Checkout, CheckoutStatus
from paidup.model.fact import DisputeStatus, PaymentStatus, SubscriptionStatus
from paidup.model.offer import Interval, Kind, Offer
from paidup.model.passes import Pass

from tools.soak.charges import Charge
from tools.soak.day import ADA, Day, crash
from tools.soak.ledger import Ledger
from tools.soak.plans import DAY_S, DRAFT_S, Plan
from tools.soak.provider import Sheet

MECHANICS = ("mia", "max")
OFFERS = (
    Offer(offer_id="ten", name="Ten classes", kind=Kind.PASS, amount=12_000, currency="eur", valid_days=90),
    Offer(offer_id="day", name="A day", kind=Kind.PASS, amount=1_500, currency="eur"),
    Offer(offer_id="live", name="Live session", kind=Kind.LIVE_SESSION, amount=6_500, currency="eur"),
    Offer(
        offer_id="month",
        name="All classes",
        kind=Kind.SUBSCRIPTION,
        amount=9_900,
        currency="eur",
        interval=Interval.MONTH,
    ),
    Offer(
        offer_id="tried",
        name="All classes, a week for nothing",
        kind=Kind.SUBSCRIPTION,
        amount=8_900,
        currency="eur",
        interval=Interval.MONTH,
        trial_days=7,
    ),
)
A_WHILE = (1, 1, 3, 59, 119, 121, 899, 900, 3_600, 86_400, 90_000)
QUIET = (3_600, 3_600, 3_600)
offers = st.sampled_from([offer.offer_id for offer in OFFERS])
keys = st.sampled_from([None, None, None, "key-1", "key-2"])
picks = st.integers(0, 12)


class Life(Day):
    """One customer, the shop, and a provider, with the clock moving and any step crashing.

    `met` counts the lives in which something worth meeting happened.
    """

    credit = False
    met: ClassVar[Counter[str]] = Counter()

    @initialize(
        told=st.booleans(), owns=st.sampled_from(["", "live", "ten", "month", "month", "tried"]), knows=st.booleans()
    )
    def open_the_shop(self, *, told: bool, owns: str, knows: bool) -> None:
        """Put the offers on sale, to a customer who has paid for one before, which the shop *knows* or not, and let
        calls crash from now on. In the end every event arrives (*told*), or none of those that can be asked for.
        """
        self.told_in_the_end = told
        for offer in OFFERS:
            self.shop.table.put_offer(offer)
        if owns:
            self.buy_and_pay_at_once(owns)
        for n in self.unheard if knows else ():
            self.hear(n)
        self.rows.before = self.provider.before = self.count

    # -- what buyers do

    @rule(offer=offers, quantity=st.integers(1, 2), key=keys)
    def click_buy(self, offer: str, quantity: int, key: str | None) -> None:
        """Open a checkout, or change the package."""
        quantity = 1 if offer == "live" else quantity
        found = self.attempt(lambda: buy(self.order(offer, quantity, key), self.shop, now=self.now))
        if found and key:
            self.answered(key, found[0])

    @rule(offer=offers)
    def pay_at_once(self, offer: str) -> None:
        """Open a checkout and pay it; nobody is told yet."""
        self.buy_and_pay_at_once(offer)

    @precondition(lambda self: self.open_sheets())
    @rule(pick=picks, delayed=st.booleans())
    def pay_on_any_page(self, pick: int, *, delayed: bool) -> None:
        """Pay in any tab, old or new."""
        self.provider.pay(self.picked(self.open_sheets(), pick).token, delayed=delayed)

    @precondition(lambda self: self.undecided())
    @rule(pick=picks, succeeds=st.booleans())
    def decide_a_delayed_payment(self, pick: int, *, succeeds: bool) -> None:
        """Let a bank make up its mind."""
        self.provider.decide(self.picked(self.undecided(), pick).token, succeeds=succeeds)
        self.meet("delayed payment decided")

    @precondition(lambda self: self.all_of(Checkout))
    @rule(pick=picks)
    def poll(self, pick: int) -> None:
        """Come back from the page and ask how it stands."""
        checkout = self.picked(self.all_of(Checkout), pick)
        self.attempt(lambda: confirm(ADA, checkout.checkout_id, self.shop, now=self.now))

    @precondition(lambda self: self.all_of(Checkout))
    @rule(pick=picks)
    def cancel_a_checkout(self, pick: int) -> None:
        """Give up on a checkout."""
        checkout = self.picked(self.all_of(Checkout), pick)
        self.attempt(lambda: cancel(ADA, checkout.checkout_id, self.shop, now=self.now))

    @precondition(lambda self: self.all_of(Checkout))
    @rule(pick=picks)
    def recover_a_checkout(self, pick: int) -> None:
        """Go on from an earlier checkout."""
        checkout = self.picked(self.all_of(Checkout), pick)
        self.attempt(lambda: recover(ADA, checkout.checkout_id, None, self.shop, now=self.now))

    @precondition(lambda self: self.unheard)
    @rule()
    def sync(self) -> None:
        """Miss a pass."""
        self.attempt(lambda: sync(ADA, None, self.shop, now=self.now))

    @precondition(lambda self: self.all_of(Booking))
    @rule(
        pick=picks,
        who=st.sampled_from(MECHANICS),
        what=st.sampled_from(["accept", "finish", "cancel", "own"]),
    )
    def act_on_a_booking(self, pick: int, who: str, what: str) -> None:
        """Accept, finish or cancel a booking; the customer cancels their own."""
        booking_id = self.picked(self.all_of(Booking), pick).booking_id
        acts: dict[str, Callable[[], Any]] = {
            "accept": lambda: book.accept(booking_id, who, self.shop, now=self.now),
            "finish": lambda: book.finish(booking_id, who, self.shop, now=self.now),
            "cancel": lambda: book.cancel(booking_id, who, self.shop, of=None, now=self.now),
            "own": lambda: book.cancel(booking_id, ADA, self.shop, of=ADA, now=self.now),
        }
        self.attempt(acts[what])

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
            self.provider.refund(charge, charge.amount // 3 if how == "part" else None)
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
        self.attempt(lambda: expire(self.shop, now=self.now, time_left=lambda: 60.0))

    @rule(seconds=st.sampled_from(A_WHILE))
    def let_time_pass(self, seconds: int) -> None:
        """Let a moment or a day go by."""
        self.pass_time(seconds)

    @rule(calls=st.integers(0, 12), after=st.booleans())
    def prepare_a_crash(self, calls: int, *, after: bool) -> None:
        """Let the call after *calls* more kill its function: before it took effect, or *after*."""
        self.calls_left, self.soon = calls, (lambda: crash) if after else crash

    @rule(calls=st.integers(0, 12), what=st.sampled_from(["event", "sweep", "click", "cancel", "poll", "accept"]))
    def prepare_a_race(self, calls: int, what: str) -> None:
        """Let another function do all of its work just before the call after *calls* more."""
        self.calls_left, self.soon = calls, lambda: self._come_between(what)

    @rule(what=st.sampled_from(["away", "ill"]))
    def let_the_provider_come_and_go(self, what: str) -> None:
        """Begin or end an outage, or answering 500, which is replayed under the same key."""
        if what == "away":
            self.provider.away = not self.provider.away
        else:
            self.provider.ill = not self.provider.ill

    # -- what must always hold

    @invariant()
    def there_is_at_most_one_open_checkout(self) -> None:
        """The one that the account's slot points at, and no other."""
        held = [one.checkout_id for one in self.all_of(Checkout) if one.holds_slot(now=self.now)]
        assert len(held) <= 1, held
        assert held in ([], [self.account().open_checkout_id])

    @invariant()
    def there_is_at_most_one_open_booking(self) -> None:
        """The one that the account's slot points at, and no other."""
        held = [one.booking_id for one in self.all_of(Booking) if one.open]
        assert len(held) <= 1, held
        assert held in ([], [self.account().open_booking_id])

    @invariant()
    def access_is_what_the_passes_give(self) -> None:
        """What readers see in the account is what follows from its passes and the clock, no more and no less."""
        seen = {one.right for one in self.account().standing_access(now=self.now)}
        grace_s = self.shop.policy.grace_s
        given = {one.right for held in self.all_of(Pass) if (one := held.access(now=self.now, grace_s=grace_s))}
        assert seen == given

    @invariant()
    def the_billing_version_never_decreases(self) -> None:
        """So that whoever has seen a version knows when theirs is old."""
        version = self.account().billing_version
        assert version >= self.last_version
        self.last_version = version

    def teardown(self) -> None:
        """After a quiet while all money is accounted for, access is right, and the customer can buy of every kind."""
        self.calm_down(QUIET)
        ledger = Ledger(
            provider=self.provider,
            passes={one.pass_id: one for one in self.all_of(Pass)},
            checkouts=self.all_of(Checkout),
            grace_s=self.shop.policy.grace_s,
            now=self.now,
        )
        ledger.balances()
        ledger.one_payment_of_each_purchase_is_kept()
        seen = {one.pass_id for one in self.account().standing_access(now=self.now)}
        assert seen == set(ledger.usable())
        self._count_what_was_met(ledger)
        for offer in ("day", "month"):
            checkout, _ = buy(self.order(offer, 1), self.shop, now=self.now)
            assert checkout.status is CheckoutStatus.OPEN
        self._can_book()

    # -- how it is done

    def _can_book(self) -> None:
        live = [one for one in self.all_of(Booking) if one.open]
        try:
            checkout, _ = buy(self.order("live", 1), self.shop, now=self.now)
        except BookingInTheWay:
            assert live, "told of a booking that is not there"
            return
        assert checkout.status in (CheckoutStatus.OPEN, CheckoutStatus.COMPLETED)

    def _count_what_was_met(self, ledger: Ledger) -> None:
        for held in ledger.passes.values():
            if held.give_back and held.given_back:
                self.meet("double payment refunded" if held.give_back.paid_before else "booking's payment refunded")
                if held.kind is Kind.SUBSCRIPTION:
                    self.meet("subscription refunded and ended by paidup")
        type(self).met.update(self.meetings)

    def _come_between(self, what: str) -> None:
        """Do *what* another tab, the provider, the clock or a mechanic does at the same time."""
        self.meet(f"came between: {what}")
        newest = max(self.all_of(Checkout), key=lambda one: one.created_at, default=None)
        if what == "event" and self.unheard:
            self.hear(self.unheard[-1])
        elif what == "sweep":
            self.sweep()
        elif what == "click":
            self.attempt(lambda: buy(self.order("day", 1), self.shop, now=self.now))
        elif what == "cancel" and newest:
            self.attempt(lambda: cancel(ADA, newest.checkout_id, self.shop, now=self.now))
        elif what == "poll" and newest:
            self.attempt(lambda: confirm(ADA, newest.checkout_id, self.shop, now=self.now))
        elif what == "accept" and (waiting := [one for one in self.all_of(Booking) if one.open]):
            self.attempt(lambda: book.accept(waiting[0].booking_id, "mia", self.shop, now=self.now))

    def buy_and_pay_at_once(self, offer: str) -> None:
        """Open a checkout, or come back to the open one, and pay it."""
        found = self.attempt(lambda: buy(self.order(offer, 1), self.shop, now=self.now))
        if found and found[0].token:
            self.provider.pay(found[0].token, delayed=False)

    def open_sheets(self) -> list[Sheet]:
        """Return the pages that can be paid. Where only polls tell of it in the end, nobody pays on a page that its
        function died over before it was recorded, for nobody was shown it.
        """
        shown = {one.token for one in self.all_of(Checkout)} if not self.told_in_the_end else set(self.provider.sheets)
        return [one for one in self.provider.sheets.values() if one.status == "open" and one.token in shown]

    def undecided(self) -> list[Sheet]:
        """Return the pages whose payment a bank has yet to decide."""
        return [one for one in self.provider.sheets.values() if one.payment is PaymentStatus.PENDING]

    def running(self) -> list[Plan]:
        """Return the subscriptions that go on by themselves."""
        return [one for one in self.provider.plans.values() if one.running]

    def in_debt(self) -> list[Plan]:
        """Return the subscriptions that are past due."""
        return [one for one in self.provider.plans.values() if one.status is SubscriptionStatus.PAST_DUE]

    def charges(self) -> list[Charge]:
        """Return every payment that was taken."""
        return self.provider.charges()


class LifeOnCredit(Life):
    """The same, where a booking that fell through is credited for the next one, not refunded."""

    credit = True
    met: ClassVar[Counter[str]] = Counter()
