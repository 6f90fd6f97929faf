"""How a life is lived: a shop in memory, its clock, functions that crash, events that arrive, and quiet in the end."""

import random
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, cast

from hypothesis.stateful import RuleBasedStateMachine
from paidup.flows.confirm import confirm
from paidup.flows.expire import expire
from paidup.flows.services import Services
from paidup.flows.settle import settle
from paidup.flows.sync import sync
from paidup.model.account import Account
from paidup.model.booking import Booking
from paidup.model.checkout import Checkout
from paidup.model.errors import Refusal
from paidup.model.fact import Channel
from paidup.model.order import Order
from paidup.model.policy import Policy
from paidup.model.purchase import Purchase
from paidup.outside.dynamo import items
from paidup.outside.dynamo.table import Table

from tools.fakes.memory.events import NAME
from tools.fakes.memory.provider import MemoryProvider
from tools.fakes.memory.table import MemoryTable
from tools.fakes.memory.values import Item

ADA = "ada"
A_MINUTE = (60,)
HOURS = (3_600, 3_600, 3_600)  # longer than the longest back-off
Soon = Callable[[], Callable[[], None] | None]  # does something at once, and may return what to do after the call
MARKS: dict[type[Any], str] = {Checkout: "CHECKOUT#", Purchase: "PURCHASE#", Booking: "BOOKING#"}


class Crash(BaseException):
    """The function died here: nothing after this line ran."""


class ClockRules(RuleBasedStateMachine):
    """One customer's shop and provider, and the clock that both go by."""

    credit = False

    def __init__(self) -> None:
        """Begin on an ordinary day, with nothing bought."""
        super().__init__()
        self.now = 1_795_251_600
        self.rows = MemoryTable()
        self.provider = MemoryProvider(lambda: self.now, wait=lambda: self.pass_time(1))
        policy = Policy(credit_unaccepted_bookings=self.credit)
        table = Table(client=cast("Any", self.rows), name="paidup")
        self.services = Services(
            table=table, provider=lambda _: self.provider, providers=(NAME,), webhooks=no_queue, policy=policy
        )
        self.soon: Soon | None = None
        self.calls_left = 0
        self.only_writes = False
        self.interrupted = False
        self.acted_at = self.now
        self.told_in_the_end = True
        self.last_version = 0
        self.meetings: set[str] = set()
        self._heard: set[int] = set()
        self._answers: dict[str, str] = {}
        self._read: dict[tuple[str, str], tuple[Item, Any]] = {}

    # -- clock and functions

    def pass_time(self, seconds: int) -> None:
        """Let time go by, here and at the provider."""
        self.now += seconds
        self.provider.tick()

    def attempt[T](self, act: Callable[[], T]) -> T | None:
        """Do *act* and return what it returns; a refusal is an answer, and a crash ends the function where it stood."""
        try:
            return act()
        except (Refusal, Crash):
            return None
        finally:
            self.soon = None
            self.acted_at = self.now

    def prepare(self, calls: int, soon: Soon, *, only_writes: bool = False) -> None:
        """Let *soon* come between, just before the call after *calls* more of the next function, or of its writes."""
        self.calls_left, self.soon, self.only_writes = calls, soon, only_writes

    def count(self, what: str) -> Callable[[], None] | None:
        """Count a call, and let come between what was prepared for *soon*: a crash, or another function. The sweep's
        asking shard by shard what is due is not counted: what it does with that begins with a call of its own.
        """
        uncounted = what != "transact_write_items" if self.only_writes else what == "query by_due"
        if self.soon is None or uncounted:
            return None
        if self.calls_left > 0:
            self.calls_left -= 1
            return None
        soon, self.soon = self.soon, None
        self.interrupted = True
        return soon()

    def calm(self) -> None:
        """End every fault."""
        self.soon, self.provider.away, self.provider.ill = None, False, False

    def run_the_sweep(self) -> None:
        """Do what is due; an outage postpones it, and nothing else may hinder it."""
        assert expire(self.services, now=self.now, time_left=lambda: 60.0).failed == 0

    # -- events

    @property
    def unheard(self) -> list[int]:
        """The events that have not arrived, the newest last."""
        return [n for n in range(len(self.provider.told)) if n not in self._heard]

    def hear(self, n: int) -> None:
        """Let the *n*th event arrive."""
        told = self.provider.event(n)
        if self.attempt(
            lambda: settle(
                self.provider.facts_of(told, self.services.table), Channel.WEBHOOK, self.services, now=self.now
            )
        ):
            self._heard.add(n)

    # -- quiet

    def have_a_quiet_day(self) -> None:
        """Let the provider and the sweeps work for a day, so that pages end and what is due goes back."""
        self.calm()
        for seconds in (60, 90_000, 60):
            self.pass_time(seconds)
            self._sweep()

    def calm_down(self) -> None:
        """End every fault, let banks decide and events arrive, or, where none does any more, let the customer poll and
        sync; then let the sweeps run: for a minute, or, where anything has failed that is tried later and later, for
        longer than the longest back-off.
        """
        self.calm()
        self.provider.tick()
        for sheet in list(self.provider.sheets.values()):
            self.provider.decide(sheet.token, succeeds=True)
        self._work(60)
        self._ask()
        troubled = self.interrupted or self.provider.failed
        self.meet("hours of quiet, after a fault" if troubled else "a quiet minute")
        for seconds in HOURS if troubled else A_MINUTE:
            self._work(seconds)
        self._ask()

    def _work(self, seconds: int) -> None:
        self.pass_time(seconds)
        self._hear_the_rest()
        self._sweep()

    def _ask(self) -> None:
        """Let the customer poll and sync, where no event tells."""
        if self.told_in_the_end:
            return
        for checkout in self.all_of(Checkout):
            confirm(ADA, checkout.checkout_id, self.services, now=self.now)
        sync(ADA, None, self.services, now=self.now)

    def _sweep(self) -> None:
        if self.rows.holds_due(now=self.now):
            self.run_the_sweep()

    def _hear_the_rest(self) -> None:
        """Let all events that have not arrived do so, in their order, or only those that nobody can ask for."""
        for n in self.unheard:
            if self.told_in_the_end or self.provider.told[n].asked_before < self.now:
                settle(
                    self.provider.facts_of(self.provider.event(n), self.services.table),
                    Channel.WEBHOOK,
                    self.services,
                    now=self.now,
                )
                self._heard.add(n)

    # -- what is there

    def answered(self, key: str, checkout: Checkout) -> None:
        """Hold that what the caller was given under *key* is what they are given again, unless it never had a page."""
        before = self._answers.setdefault(key, checkout.checkout_id)
        known = next((one for one in self.all_of(Checkout) if one.checkout_id == before), checkout)
        assert before == checkout.checkout_id or known.token is None, (known, checkout)
        self._answers[key] = checkout.checkout_id

    def meet(self, what: str) -> None:
        """Note that this life met *what*."""
        self.meetings.add(what)

    def order(self, offer: str, quantity: int, key: str | None = None) -> Order:
        """Return the customer's order."""
        return Order(
            customer_id=ADA,
            email=None,
            offer_id=offer,
            quantity=quantity,
            provider=None,
            success_url="https://shop.example/success",
            cancel_url="https://shop.example/cancel",
            context={"step": offer},
            key=key,
        )

    def all_of[T](self, kind: type[T]) -> list[T]:
        """Return the customer's rows of *kind*."""
        mark = MARKS[kind]
        found = [key for key in self.rows.rows if key[1].startswith(mark) and key[0] == f"CUSTOMER#{ADA}"]
        return [self._row(kind, key) for key in found]

    def find[T](self, kind: type[T], an_id: str) -> T:
        """Return the customer's row of *kind* that is there under *an_id*."""
        return self._row(kind, (f"CUSTOMER#{ADA}", MARKS[kind] + an_id))

    def account(self) -> Account:
        """Return the customer's account."""
        key = (f"CUSTOMER#{ADA}", "ACCOUNT")
        return self._row(Account, key) if key in self.rows.rows else Account(customer_id=ADA)

    def picked[T](self, things: Sequence[T], pick: int) -> T:
        """Return one of *things*, which are some: the newest for the first pick."""
        return things[-1 - pick % len(things)]

    def _row[T](self, kind: type[T], key: tuple[str, str]) -> T:
        """Return what the row under *key* holds; rows are replaced, never changed, so each is read once."""
        row = self.rows.rows[key]
        known = self._read.get(key)
        if known is None or known[0] is not row:
            known = self._read[key] = (row, items.read_item(kind, row))
        return cast("T", known[1])


def drawn(nbytes: int | None = None) -> str:
    """Return what `secrets.token_hex` would, from the random numbers that a life can be lived again with."""
    return random.randbytes(nbytes or 32).hex()  # noqa: S311 - names checkouts of a life in memory, guards nothing


def no_queue() -> NoReturn:
    """Fail: no rule of a life queues a webhook."""
    raise AssertionError("a life has no queue")


def crash() -> None:
    """Die here."""
    raise Crash
