"""The life of one customer as a state machine: whatever happens, nobody is stuck and no money is lost."""

from collections.abc import Callable
from typing import Any, cast

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from paidup.flows import book
from paidup.flows.buy import Order, buy
from paidup.flows.confirm import confirm
from paidup.flows.expire import expire
from paidup.flows.recover import cancel, recover
from paidup.flows.settle import settle
from paidup.flows.shop import Shop
from paidup.model.account import Account
from paidup.model.booking import Booking, BookingInTheWay
from paidup.model.checkout import Checkout, CheckoutStatus
from paidup.model.fact import PaymentStatus, Road
from paidup.model.offer import Kind, Offer
from paidup.model.passes import Pass
from paidup.model.policy import Policy
from paidup.model.refusal import Refusal
from paidup.outside import rows
from paidup.outside.stripe_account import Stripe
from paidup.outside.table import Table

from tools.soak.memory import MemoryTable
from tools.soak.provider import MemoryProvider, Sheet

ADA, MECHANICS = "ada", ("mia", "max")
OFFERS = (
    Offer(offer_id="ten", name="Ten classes", kind=Kind.PASS, amount=12_000, currency="eur", valid_days=180),
    Offer(offer_id="day", name="A day", kind=Kind.PASS, amount=1_500, currency="eur"),
    Offer(offer_id="live", name="Live session", kind=Kind.LIVE_SESSION, amount=6_500, currency="eur"),
)
offers = st.sampled_from([offer.offer_id for offer in OFFERS])
picks = st.integers(0, 30)


class Crash(BaseException):
    """The function died here: nothing after this line ran."""


class Life(RuleBasedStateMachine):
    """One customer, the shop, and a provider, with the clock moving and any step crashing."""

    credit = False

    def __init__(self) -> None:
        """Begin on an ordinary day, with nothing bought."""
        super().__init__()
        self.now = 1_795_251_600
        self.rows = MemoryTable()
        self.provider = MemoryProvider(lambda: self.now)
        policy = Policy(credit_unaccepted_bookings=self.credit)
        table = Table(client=cast("Any", self.rows), name="paidup", policy=policy)
        self.shop = Shop(table=table, stripe=cast("Stripe", self.provider), policy=policy)
        self.crash_in: int | None = None
        self.crash_after = False
        self.heard = 0

    @initialize()
    def open_the_shop(self) -> None:
        """Put the offers on sale, and let calls crash from now on."""
        for offer in OFFERS:
            self.shop.table.put_offer(offer)
        self.rows.before = self.provider.before = self._count

    # -- what can happen

    @rule(calls=st.integers(0, 12), after=st.booleans())
    def prepare_a_crash(self, calls: int, after: bool) -> None:
        """Let the call after *calls* more kill its function: before it took effect, or *after*."""
        self.crash_in, self.crash_after = calls, after

    @rule(offer=offers, quantity=st.integers(1, 2))
    def click_buy(self, offer: str, quantity: int) -> None:
        """Open a checkout, or change the package."""
        self._try(lambda: buy(self._order(offer, quantity), self.shop, now=self.now))

    @rule(pick=picks, delayed=st.booleans())
    def pay_on_any_page(self, pick: int, delayed: bool) -> None:
        """Pay in any tab, old or new."""
        if sheet := self._picked(list(self.provider.sheets.values()), pick):
            self.provider.pay(sheet.token, delayed=delayed)

    @rule(pick=picks, succeeds=st.booleans())
    def decide_a_delayed_payment(self, pick: int, succeeds: bool) -> None:
        """Let a bank make up its mind."""
        pending = [one for one in self.provider.sheets.values() if one.payment is PaymentStatus.PENDING]
        if sheet := self._picked(pending, pick):
            self.provider.decide(sheet.token, succeeds=succeeds)

    @rule(pick=picks)
    def deliver_any_webhook(self, pick: int) -> None:
        """Deliver an event: late, again, or out of order."""
        if facts := self._picked(self.provider.told, pick):
            self._try(lambda: settle(facts, Road.WEBHOOK, self.shop, now=self.now))

    @rule(pick=picks)
    def poll(self, pick: int) -> None:
        """Come back from the page and ask how it stands."""
        if checkout := self._picked(self._all(Checkout), pick):
            self._try(lambda: confirm(ADA, checkout.checkout_id, self.shop, now=self.now))

    @rule(pick=picks)
    def cancel_a_checkout(self, pick: int) -> None:
        """Give up on a checkout."""
        if checkout := self._picked(self._all(Checkout), pick):
            self._try(lambda: cancel(ADA, checkout.checkout_id, self.shop, now=self.now))

    @rule(pick=picks)
    def recover_a_checkout(self, pick: int) -> None:
        """Go on from an earlier checkout."""
        if checkout := self._picked(self._all(Checkout), pick):
            self._try(lambda: recover(ADA, checkout.checkout_id, None, self.shop, now=self.now))

    @rule()
    def sweep(self) -> None:
        """Let the minute's sweep run."""
        self._try(lambda: expire(self.shop, now=self.now, time_left=lambda: 60.0))

    @rule(seconds=st.sampled_from([1, 3, 59, 119, 121, 899, 900, 3_600, 86_400, 90_000]))
    def let_time_pass(self, seconds: int) -> None:
        """Let a moment or a day go by."""
        self.now += seconds

    @rule(away=st.booleans())
    def let_the_provider_come_and_go(self, away: bool) -> None:
        """Begin or end an outage."""
        self.provider.away = away

    @rule(ill=st.booleans())
    def let_the_provider_fall_ill(self, ill: bool) -> None:
        """Begin or end answering 500, which is replayed under the same key."""
        self.provider.ill = ill

    @rule(pick=picks, who=st.sampled_from(MECHANICS), what=st.sampled_from(["accept", "finish", "cancel", "own"]))
    def act_on_a_booking(self, pick: int, who: str, what: str) -> None:
        """Accept, finish or cancel a booking; the customer cancels their own."""
        if booking := self._picked(self._all(Booking), pick):
            acts: dict[str, Callable[[], Any]] = {
                "accept": lambda: book.accept(booking.booking_id, who, self.shop, now=self.now),
                "finish": lambda: book.finish(booking.booking_id, who, self.shop, now=self.now),
                "cancel": lambda: book.cancel(booking.booking_id, who, self.shop, of=None, now=self.now),
                "own": lambda: book.cancel(booking.booking_id, ADA, self.shop, of=ADA, now=self.now),
            }
            self._try(acts[what])

    # -- what must always hold

    @invariant()
    def there_is_at_most_one_open_checkout(self) -> None:
        """The one that the account's slot points at, and no other."""
        held = [one.checkout_id for one in self._all(Checkout) if one.holds_slot(now=self.now)]
        assert len(held) <= 1, held
        assert held in ([], [self._account().open_checkout_id])

    @invariant()
    def there_is_at_most_one_open_booking(self) -> None:
        """The one that the account's slot points at, and no other."""
        held = [one.booking_id for one in self._all(Booking) if one.open]
        assert len(held) <= 1, held
        assert held in ([], [self._account().open_booking_id])

    @invariant()
    def access_is_what_the_passes_give(self) -> None:
        """What readers see in the account is what follows from its passes and the clock, no more and no less."""
        seen = {one.pass_id for one in self._account().standing_access(now=self.now)}
        grace_s = self.shop.policy.grace_s
        given = {one.pass_id for one in self._all(Pass) if one.standing(now=self.now, grace_s=grace_s).grants}
        assert seen == given

    def teardown(self) -> None:
        """After a quiet while all money is accounted for, and the customer can buy."""
        self._calm_down()
        passes = {one.pass_id: one for one in self._all(Pass)}
        for sheet in self.provider.sheets.values():
            held = passes.get(sheet.checkout.checkout_id)
            kept = held is not None and held.keeps_money and held.payment is not None
            own = kept and held is not None and held.payment is not None and held.payment.ref == f"pi_{sheet.token}"
            granted = sheet.paid if own else 0
            assert sheet.paid == granted + sheet.refunded, (sheet, held)
        self._one_payment_of_each_purchase_is_kept(passes)
        checkout, _ = buy(self._order("day", 1), self.shop, now=self.now)
        assert checkout.status is CheckoutStatus.OPEN
        self._can_book()

    # -- how it is done

    def _one_payment_of_each_purchase_is_kept(self, passes: dict[str, Pass]) -> None:
        """One payment of what was meant as one purchase stays; others go back for that, or for a booking's end."""
        for purchase in self._purchases():
            kept = [an_id for an_id in purchase if an_id in passes and passes[an_id].keeps_money]
            assert len(kept) <= 1, kept
        for held in passes.values():
            if held.give_back and held.kind is not Kind.LIVE_SESSION:
                earlier = held.give_back.why.removeprefix("paid twice: ").split()[0]
                assert passes[earlier].paid_at is not None, held

    def _purchases(self) -> list[set[str]]:
        """Return the checkouts that replaced or recovered one another, together."""
        groups: list[set[str]] = []
        for checkout in self._all(Checkout):
            links = {checkout.checkout_id, checkout.replaces, checkout.recovers, checkout.replaced_by} - {None}
            touching = [group for group in groups if group & links]
            groups = [group for group in groups if not group & links]
            groups.append(cast("set[str]", links).union(*touching))
        return groups

    def _can_book(self) -> None:
        live = [one for one in self._all(Booking) if one.open]
        try:
            checkout, _ = buy(self._order("live", 1), self.shop, now=self.now)
        except BookingInTheWay:
            assert live, "told of a booking that is not there"
            return
        assert checkout.status in (CheckoutStatus.OPEN, CheckoutStatus.COMPLETED)

    def _calm_down(self) -> None:
        """End every fault, let every event arrive, and let the sweeps run: first after the longest back-off, then for
        the quiet minutes in which what they find is done.
        """
        self.crash_in, self.provider.away, self.provider.ill = None, False, False
        for sheet in list(self.provider.sheets.values()):
            self.provider.decide(sheet.token, succeeds=True)
        while self.heard < len(self.provider.told):
            settle(self.provider.told[self.heard], Road.WEBHOOK, self.shop, now=self.now)
            self.heard += 1
        for seconds in (3_600, 60, 60):
            self.now += seconds
            expire(self.shop, now=self.now, time_left=lambda: 60.0)

    def _order(self, offer: str, quantity: int) -> Order:
        return Order(
            customer_id=ADA,
            email=None,
            offer_id=offer,
            quantity=quantity,
            provider=None,
            success_url="https://shop.example/success",
            cancel_url="https://shop.example/cancel",
            context={"step": offer},
        )

    def _try(self, act: Callable[[], Any]) -> None:
        """Do *act*; a refusal is an answer, and a crash ends the function where it stood."""
        try:
            act()
        except (Refusal, Crash):
            pass
        finally:
            self.crash_in = None

    def _count(self, _: str) -> Callable[[], None] | None:
        if self.crash_in is None:
            return None
        if self.crash_in > 0:
            self.crash_in -= 1
            return None
        self.crash_in = None
        if self.crash_after:
            return _crash
        raise Crash

    def _all[T](self, kind: type[T]) -> list[T]:
        mark = {Checkout: "CHECKOUT#", Pass: "PASS#", Booking: "BOOKING#"}[kind]
        found = [row for (pk, sk), row in self.rows.rows.items() if sk.startswith(mark) and pk == f"CUSTOMER#{ADA}"]
        return [rows.read_row(kind, row) for row in found]

    def _account(self) -> Account:
        row = self.rows.rows.get((f"CUSTOMER#{ADA}", "ACCOUNT"))
        return rows.read_row(Account, row) if row else Account(customer_id=ADA)

    def _picked[T](self, things: list[T], pick: int) -> T | None:
        return things[pick % len(things)] if things else None


class LifeOnCredit(Life):
    """The same, where a booking that fell through is credited for the next one, not refunded."""

    credit = True


def _crash() -> None:
    raise Crash


__all__ = ["Life", "LifeOnCredit", "Sheet"]
