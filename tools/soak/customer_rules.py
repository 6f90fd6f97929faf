"""What a customer does in the shop, in any order, and what hosts do for them."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from paidup.flows import book
from paidup.flows.buy import buy
from paidup.flows.confirm import confirm
from paidup.flows.recover import cancel, recover
from paidup.flows.sync import sync
from paidup.model.booking import Booking
from paidup.model.checkout import Checkout
from paidup.model.fact import PaymentStatus
from paidup.model.offer import Interval, Kind, Offer
from paidup.model.provider import PageStatus

from tools.fakes.memory.provider import Sheet
from tools.soak.hearing import HearingRules

HOSTS = ("mia", "max")
OFFERS = (
    Offer(offer_id="ten", name="Ten classes", kind=Kind.PASS, amount=12_000, currency="eur", valid_days=90, uses=10),
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
    Offer(
        offer_id="year",
        name="All classes, a year",
        kind=Kind.SUBSCRIPTION,
        amount=99_000,
        currency="eur",
        interval=Interval.YEAR,
    ),
)
SUBSCRIPTIONS = [offer for offer in OFFERS if offer.kind is Kind.SUBSCRIPTION]
offers = st.sampled_from([offer.offer_id for offer in OFFERS])
keys = st.sampled_from([None, None, None, "key-1", "key-2"])
picks = st.integers(0, 12)


class CustomerRules(HearingRules):
    """One customer, who goes back, changes their mind, and pays on any page."""

    @rule(offer=offers, quantity=st.integers(1, 2), key=keys)
    def click_buy(self, offer: str, quantity: int, key: str | None) -> None:
        """Open a checkout, or change the package."""
        quantity = 1 if offer == "live" else quantity
        who = self.who  # support may move everything to the other id meanwhile
        found = self.attempt(lambda: buy(self.order(offer, quantity, key), self.services, now=self.now))
        if found and key:
            self.answered(f"{who} {key}", found[0])

    @rule(offer=offers)
    def pay_at_once(self, offer: str) -> None:
        """Open a checkout and pay it; nobody is told yet."""
        self.buy_and_pay_at_once(offer)

    @precondition(lambda self: self.open_sheets())
    @rule(pick=picks, delayed=st.booleans(), incomplete=st.booleans())
    def pay_on_any_page(self, pick: int, *, delayed: bool, incomplete: bool) -> None:
        """Pay in any tab, old or new."""
        sheet = self.picked(self.open_sheets(), pick)
        self.provider.pay(sheet.token, delayed=delayed, incomplete=incomplete)

    @precondition(lambda self: self.undecided())
    @rule(pick=picks, succeeds=st.booleans())
    def decide_a_delayed_payment(self, pick: int, *, succeeds: bool) -> None:
        """Let a bank make up its mind."""
        sheet = self.picked(self.undecided(), pick)
        self.provider.decide(sheet.token, succeeds=succeeds)
        self.meet(f"delayed payment of a {'subscription' if sheet.plan else 'page'}: {sheet.payment}")

    @precondition(lambda self: self.all_of(Checkout))
    @rule(pick=picks)
    def poll(self, pick: int) -> None:
        """Come back from the page and ask how it stands."""
        checkout = self.picked(self.all_of(Checkout), pick)
        self.attempt(lambda: confirm(self.who, checkout.checkout_id, self.services, now=self.now))

    @precondition(lambda self: self.all_of(Checkout))
    @rule(pick=picks)
    def cancel_a_checkout(self, pick: int) -> None:
        """Give up on a checkout."""
        checkout = self.picked(self.all_of(Checkout), pick)
        self.attempt(lambda: cancel(self.who, checkout.checkout_id, self.services, now=self.now))

    @precondition(lambda self: self.all_of(Checkout))
    @rule(pick=picks)
    def recover_a_checkout(self, pick: int) -> None:
        """Go on from an earlier checkout."""
        checkout = self.picked(self.all_of(Checkout), pick)
        self.attempt(lambda: recover(self.who, checkout.checkout_id, None, self.services, now=self.now))

    @precondition(lambda self: self.unheard)
    @rule()
    def sync(self) -> None:
        """Miss a pass."""
        self.attempt(lambda: sync(self.who, None, self.services, now=self.now))

    @precondition(lambda self: self.open_bookings())
    @rule(who=st.sampled_from(HOSTS))
    def accept_a_booking(self, who: str) -> None:
        """Take the booking that is open, if it still waits."""
        booking = self.open_bookings()[0]
        if self.attempt(lambda: book.accept(booking.booking_id, who, self.services, now=self.now)):
            self.meet("booking: accept")

    @precondition(lambda self: self.all_of(Booking))
    @rule(
        pick=picks,
        who=st.sampled_from(HOSTS),
        what=st.sampled_from(["accept", "finish", "cancel", "own"]),
    )
    def act_on_a_booking(self, pick: int, who: str, what: str) -> None:
        """Accept, finish or cancel a booking; the customer cancels their own."""
        booking_id = self.picked(self.all_of(Booking), pick).booking_id
        acts: dict[str, Callable[[], Any]] = {
            "accept": lambda: book.accept(booking_id, who, self.services, now=self.now),
            "finish": lambda: book.finish(booking_id, who, self.services, now=self.now),
            "cancel": lambda: book.cancel(booking_id, who, self.services, of=None, now=self.now),
            "own": lambda: book.cancel(booking_id, self.who, self.services, of=self.who, now=self.now),
        }
        if self.attempt(acts[what]):
            self.meet(f"booking: {what}")

    @precondition(lambda self: self.open_bookings())
    @rule(late=st.sampled_from([-1, 0, 60]))
    def let_a_booking_run_out(self, late: int) -> None:
        """Let time go by until the wait for a host, or the day of a live session, has ended *late* seconds ago."""
        booking = self.open_bookings()[0]
        self.pass_time(max(0, (booking.due_at or 0) + late - self.now))
        self.meet(f"booking's time ran out: {booking.status}")

    # -- how it is done

    def open_bookings(self) -> list[Booking]:
        """Return the bookings that wait, or are live."""
        return [one for one in self.all_of(Booking) if one.open]

    def buy_and_pay_at_once(self, offer: str) -> None:
        """Open a checkout, or come back to the open one, and pay it."""
        found = self.attempt(lambda: buy(self.order(offer, 1), self.services, now=self.now))
        if found and found[0].token:
            self.provider.pay(found[0].token, delayed=False)

    def open_sheets(self) -> list[Sheet]:
        """Return the pages that can be paid. Where only polls tell of it in the end, nobody pays on a page that its
        function died over before it was recorded, for nobody was shown it.
        """
        shown = {one.token for one in self.all_of(Checkout)} if not self.told_in_the_end else set(self.provider.sheets)
        return [one for one in self.provider.sheets.values() if one.status is PageStatus.OPEN and one.token in shown]

    def undecided(self) -> list[Sheet]:
        """Return the pages whose payment a bank has yet to decide."""
        return [one for one in self.provider.sheets.values() if one.payment is PaymentStatus.PENDING]
