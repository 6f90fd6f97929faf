"""What goes wrong on the way: functions that crash or race, and a provider that does not answer."""

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import rule
from paidup.flows import book
from paidup.flows.buy import buy
from paidup.flows.confirm import confirm
from paidup.flows.recover import cancel, recover
from paidup.model.checkout import Checkout

from tools.soak.clock import crash
from tools.soak.customer_rules import CustomerRules

BETWEEN = (
    "event",
    "sweep",
    "click",
    "pay",
    "cancel",
    "recover",
    "poll",
    "mia accepts",
    "max accepts",
    "the customer cancels",
    "use",
    "move",
)


class Unlucky(CustomerRules):
    """A customer whose requests die half-way, or meet others in the midst."""

    @rule(calls=st.integers(0, 12), after=st.booleans())
    def prepare_a_crash(self, calls: int, *, after: bool) -> None:
        """Let the call after *calls* more kill its function: before it took effect, or *after*."""
        self.prepare(calls, (lambda: crash) if after else crash)

    @rule(calls=st.integers(0, 12), what=st.sampled_from(BETWEEN))
    def prepare_a_race(self, calls: int, what: str) -> None:
        """Let another function do all of its work just before the call after *calls* more."""
        self.prepare(calls, lambda: self._come_between(what))

    @rule(writes=st.integers(0, 2), what=st.sampled_from(BETWEEN))
    def prepare_a_race_to_write(self, writes: int, what: str) -> None:
        """Let another function do all of its work when all is read, just before the write after *writes* more."""
        self.prepare(writes, lambda: self._come_between(what), only_writes=True)

    @rule(what=st.sampled_from(["away", "ill"]))
    def let_the_provider_come_and_go(self, what: str) -> None:
        """Begin or end an outage, or answering 500, which is replayed under the same key."""
        if what == "away":
            self.provider.away = not self.provider.away
        else:
            self.provider.ill = not self.provider.ill

    def acts_of_others(self) -> dict[str, Callable[[], object]]:
        """Return what else can come between. Rules that know of such a thing add to this."""
        return {}

    def _come_between(self, what: str) -> None:
        """Do *what* another tab, the provider, the clock or a host does at the same time, where it can be done."""
        newest = max(self.all_of(Checkout), key=lambda one: one.created_at, default=None)
        booking = next(iter(self.open_bookings()), None)
        acts: dict[str, Callable[[], object]] = {
            "sweep": self.run_the_sweep,
            "click": lambda: buy(self.order("day", 1), self.services, now=self.now),
        }
        if self.unheard:
            acts["event"] = lambda: self.hear(self.unheard[-1])
        if self.open_sheets():
            acts["pay"] = lambda: self.provider.pay(self.open_sheets()[-1].token, delayed=False)
        if newest:
            an_id = newest.checkout_id
            acts["cancel"] = lambda: cancel(self.who, an_id, self.services, now=self.now)
            acts["recover"] = lambda: recover(self.who, an_id, None, self.services, now=self.now)
            acts["poll"] = lambda: confirm(self.who, an_id, self.services, now=self.now)
        if booking:
            mine = booking.booking_id
            acts["mia accepts"] = lambda: book.accept(mine, "mia", self.services, now=self.now)
            acts["max accepts"] = lambda: book.accept(mine, "max", self.services, now=self.now)
            acts["the customer cancels"] = lambda: book.cancel(mine, self.who, self.services, of=self.who, now=self.now)
        acts |= self.acts_of_others()
        if act := acts.get(what):
            self.meet(f"came between: {what}")
            self.attempt(act)
