"""The life of one customer as a state machine: whatever happens, nobody is stuck and no money is lost."""

from collections import Counter
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from paidup.flows.buy import buy
from paidup.model.booking import Booking, BookingInTheWay
from paidup.model.checkout import Checkout, CheckoutStatus
from paidup.model.group import AlreadySubscribed
from paidup.model.offer import Kind
from paidup.model.purchase import Purchase

from tools.soak.clock import ADA, BEA
from tools.soak.customer_rules import OFFERS, picks
from tools.soak.ledger import Granted, Ledger
from tools.soak.moving_rules import MovingRules
from tools.soak.subscription_rules import NAMES

A_WHILE = (1, 1, 3, 59, 119, 121, 899, 900, 3_600, 86_400, 90_000)
OPENING_ENDS_S = 120


class StateMachine(MovingRules):
    """One customer, the shop, and a provider, with the clock moving and any step crashing.

    `met` counts the lives in which something worth meeting happened.
    """

    generous = False
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
        self.rows.before = self.provider.before = self.queue.before = self.count

    # -- what the world does

    @precondition(lambda self: self.unheard)
    @rule(pick=picks, works=st.sampled_from([True, True, True, False]))
    def deliver_a_new_event(self, pick: int, *, works: bool = True) -> None:
        """Deliver an event that has not arrived, the newest or another; the queue *works*, or has it for later."""
        self.hear(self.picked(self.unheard, pick), works=works)

    @precondition(lambda self: self.provider.told)
    @rule(pick=st.integers(0, 40))
    def deliver_any_event(self, pick: int) -> None:
        """Deliver an event: late, again, or out of order. One that is known may be settled again."""
        n = pick % len(self.provider.told)
        if n in self.heard:
            self.hear_again(n)
        else:
            self.hear(n)

    @precondition(lambda self: self.queue.ready)
    @rule()
    def work_on_what_is_queued(self) -> None:
        """Let the queue hand out what waits there."""
        self.attempt(self.work_the_queue)

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
        for who in (ADA, BEA):
            there = [one.checkout_id for one in self.all_of(Checkout, who) if one.holds_slot(now=self.now)]
            assert len(there) <= 1, there
            slot = self.account(who).open_checkout_id
            assert there in ([], [slot])
            assert slot is None or not self.find(Checkout, slot, who).ended, slot

    @invariant()
    def what_nobody_finishes_to_open_is_out_of_the_way_in_two_minutes(self) -> None:
        """Counted from when anybody last did anything."""
        being_opened = [one for one in self.all_of(Checkout) if one.status is CheckoutStatus.OPENING]
        if self.now >= self.acted_at + OPENING_ENDS_S:
            assert not any(one.holds_slot(now=self.now) for one in being_opened), being_opened

    @invariant()
    def there_is_at_most_one_open_booking(self) -> None:
        """The one that the account's slot points at, and no other."""
        for who in (ADA, BEA):
            there = [one.booking_id for one in self.all_of(Booking, who) if one.open]
            assert len(there) <= 1, there
            slot = self.account(who).open_booking_id
            assert there == ([slot] if slot else [])

    @invariant()
    def access_is_what_the_passes_give(self) -> None:
        """What readers see in the account is what follows from its passes and the clock, no more and no less."""
        for who in (ADA, BEA):
            seen = {one.entitlement for one in self.account(who).current_access(now=self.now)}
            given = {
                one.entitlement
                for purchase in self.all_of(Purchase, who)
                for one in purchase.access(now=self.now, policy=self.services.policy)
            }
            assert seen == given, (seen, given)

    @invariant()
    def no_more_uses_are_taken_than_there_are(self) -> None:
        """However many ask at once."""
        for purchase in self.counted():
            assert 0 <= purchase.used <= (purchase.uses or 0), purchase

    @invariant()
    def the_billing_version_never_decreases(self) -> None:
        """So that whoever has seen a version knows when theirs is old."""
        for who, before in self.last_versions.items():
            version = self.account(who).billing_version
            assert version >= before, who
            self.last_versions[who] = version

    def teardown(self) -> None:
        """After a quiet while all money is accounted for, access is right, and the customer can buy of every kind."""
        self.calm_down()
        ledger = Ledger(
            provider=self.provider,
            purchases={one.purchase_id: one for one in self.all_of(Purchase)},
            checkouts=self.all_of(Checkout),
            bookings=self.all_of(Booking),
            names=NAMES,
            used={one.purchase_id: self.used(one.purchase_id) for one in self.counted()},
            policy=self.services.policy,
            now=self.now,
        )
        self.everything_is_the_customers()
        ledger.balances()
        ledger.uses_are_counted()
        ledger.one_payment_of_each_purchase_is_kept()
        ledger.nobody_waits_for_ever()
        ledger.no_page_is_left_open()
        ledger.nobody_asks_for_ever()
        seen, due = self._usable(), ledger.usable()
        assert seen == due, f"{seen - due} too much, {due - seen} missing, at {self.now}"
        self._count_what_was_met(ledger)
        self.pass_time(self.services.policy.new_pages_within_s)  # who clicked on and on must wait as long
        checkout, _ = buy(self.order("day", 1), self.services, now=self.now)
        assert checkout.status is CheckoutStatus.OPEN
        self._can_subscribe_once()
        self._can_book()

    # -- how it is done

    def _can_subscribe_once(self) -> None:
        runs = self.account().running
        try:
            checkout, _ = buy(self.order("month", 1), self.services, now=self.now)
        except AlreadySubscribed:
            assert runs, "told of a subscription that does not run"
            return
        assert not runs, "sold a second subscription"
        assert checkout.status is CheckoutStatus.OPEN

    def _can_book(self) -> None:
        live = [one for one in self.all_of(Booking) if one.open]
        try:
            checkout, _ = buy(self.order("live", 1), self.services, now=self.now)
        except BookingInTheWay:
            assert live, "told of a booking that is not there"
            return
        assert checkout.status in (CheckoutStatus.OPEN, CheckoutStatus.COMPLETED)

    def _usable(self) -> set[Granted]:
        """Return what the customer sees that they may use: how many of each offer until when, by each purchase."""
        found = Counter[tuple[str, str, int | None]]()
        seen = [one for who in (ADA, BEA) for one in self.account(who).current_access(now=self.now)]
        for one in seen:
            found[one.purchase_id, one.offer_id, one.until] += one.quantity
        return {(*what, quantity) for what, quantity in found.items()}

    def _count_what_was_met(self, ledger: Ledger) -> None:
        for purchase in ledger.purchases.values():
            if purchase.refund_decision and purchase.fully_refunded:
                self.meet(
                    "double payment refunded" if purchase.refund_decision.paid_before else "booking's payment refunded"
                )
                if purchase.kind is Kind.SUBSCRIPTION:
                    self.meet("subscription refunded and ended by paidup")
        type(self).met.update(self.meetings)


class StateMachineOnCredit(StateMachine):
    """The same, where a booking that fell through is credited for the next one, not refunded, debits are trusted, and
    paused collection is a gift.
    """

    generous = True
    met: ClassVar[Counter[str]] = Counter()
