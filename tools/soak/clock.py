"""How a life is lived: a shop in memory, its clock, functions that crash, and what lies in the table."""

import random
from collections.abc import Callable, Sequence
from typing import Any, cast

from hypothesis.stateful import RuleBasedStateMachine
from paidup.flows.expire import expire
from paidup.flows.services import Services
from paidup.model.account import Account
from paidup.model.booking import Booking
from paidup.model.checkout import Checkout
from paidup.model.errors import Refusal
from paidup.model.order import Order
from paidup.model.policy import Policy
from paidup.model.purchase import Purchase
from paidup.outside.dynamo import items
from paidup.outside.dynamo.budget import Budgets
from paidup.outside.dynamo.table import Table

from tools.fakes.memory.facts import NAME
from tools.fakes.memory.provider import MemoryProvider
from tools.fakes.memory.queue import MemoryQueue
from tools.fakes.memory.table import MemoryTable
from tools.fakes.memory.values import Item

ADA, BEA = "ada", "bea"  # the two ids of the customer: support may move everything from the one to the other
Soon = Callable[[], Callable[[], None] | None]  # does something at once, and may return what to do after the call
MARKS: dict[type[Any], str] = {Checkout: "CHECKOUT#", Purchase: "PURCHASE#", Booking: "BOOKING#"}


class Crash(BaseException):
    """The function died here: nothing after this line ran."""


class ClockRules(RuleBasedStateMachine):
    """One customer's shop and provider, and the clock that both go by. `who` is the id by which they sign in now."""

    generous = False

    def __init__(self) -> None:
        """Begin on an ordinary day, with nothing bought."""
        super().__init__()
        self.now = 1_795_251_600
        self.who = ADA
        self.rows = MemoryTable()
        self.queue = MemoryQueue(lambda: self.now)
        self.provider = MemoryProvider(lambda: self.now, wait=self.wait)
        policy = Policy(
            credit_unaccepted_bookings=self.generous,
            keep_paused_collection=self.generous,
            grant_pending_debits=self.generous,
            cancel_now=self.generous,
        )
        table = Table(client=cast("Any", self.rows), name="paidup")
        self.services = Services(
            budgets=Budgets(client=table.client, name=table.name),
            table=table,
            provider=lambda _: self.provider,
            providers=(NAME,),
            webhooks=lambda: cast("Any", self.queue),
            policy=policy,
        )
        self.soon: Soon | None = None
        self.calls_left = 0
        self.only_writes = False
        self.interrupted = False
        self.crashed = False
        self.acted_at = self.now
        self.told_in_the_end = True
        self.last_versions = {ADA: 0, BEA: 0}
        self.meetings: set[str] = set()
        self._answers: dict[str, str] = {}
        self._read: dict[tuple[str, str], tuple[Item, Any]] = {}

    # -- clock and functions

    def pass_time(self, seconds: int) -> None:
        """Let time go by, here and at the provider."""
        self.now += seconds
        self.provider.tick()

    def wait(self) -> None:
        """Let a second go by while a function asks the provider again."""
        self.pass_time(1)

    def attempt[T](self, act: Callable[[], T]) -> T | None:
        """Do *act* and return what it returns; a refusal is an answer, and a crash ends the function where it stood:
        `crashed` tells the one from the other.
        """
        self.crashed = False
        try:
            return act()
        except Refusal:
            return None
        except Crash:
            self.crashed = True
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

    # -- what is there

    def answered(self, key: str, checkout: Checkout) -> None:
        """Hold that what a caller was given under *key* is what they are given again, unless it never had a page.

        *key* says who the caller is, too.
        """
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
            customer_id=self.who,
            email=None,
            offer_id=offer,
            quantity=quantity,
            provider=None,
            success_url="https://shop.example/success",
            cancel_url="https://shop.example/cancel",
            context={"step": offer},
            key=key,
        )

    def all_of[T](self, kind: type[T], *who: str) -> list[T]:
        """Return the rows of *kind* that the customer has under the ids *who*, or else under any."""
        mark, owners = MARKS[kind], {f"CUSTOMER#{one}" for one in who or (ADA, BEA)}
        found = [key for key in self.rows.rows if key[1].startswith(mark) and key[0] in owners]
        return [self._row(kind, key) for key in found if not items.moved_to(self.rows.rows[key])]

    def find[T](self, kind: type[T], an_id: str, *who: str) -> T:
        """Return the customer's row of *kind* that is there under *an_id*."""
        keys = ((f"CUSTOMER#{one}", MARKS[kind] + an_id) for one in who or (ADA, BEA))
        there = (key for key in keys if key in self.rows.rows and not items.moved_to(self.rows.rows[key]))
        return self._row(kind, next(there))

    def account(self, who: str | None = None) -> Account:
        """Return the account under the id *who*, or else under the one that the customer signs in with now."""
        who = who or self.who
        key = (f"CUSTOMER#{who}", "ACCOUNT")
        return self._row(Account, key) if key in self.rows.rows else Account(customer_id=who)

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


def crash() -> None:
    """Die here."""
    raise Crash
