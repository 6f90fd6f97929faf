"""`make day`: a day on which every webhook is lost, lived again with all of them; both must end with the same accounts.

Customers buy, and half of them close the tab. Older subscriptions renew, or are declined. The shop's people refund,
change and cancel at Stripe. What anybody waits for is measured by the shop's clock, from when it happened at Stripe.
Functions ask Stripe within the read budget, and Stripe's stand-in counts in which second who asked. The month of the
budget begins with the day, so that it brings the least.
"""

import argparse
import logging
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from paidup.flows.buy import buy
from paidup.flows.confirm import confirm
from paidup.model.access import PurchaseStatus
from paidup.model.bucket import Limits
from paidup.model.checkout import Checkout
from paidup.model.offer import Interval, Kind, Offer
from paidup.model.order import Order
from paidup.model.purchase import Purchase

from tools.cli.report import print_figures
from tools.report.figures import Figures, figures
from tools.report.records import read
from tools.soak.pace import GOVERNED, Asked, by_second, too_many
from tools.soak.shop import Shop, opened

HOUR_S, DAY_S = 3_600, 86_400
PAYS, DECLINED_LATER = "4242424242424242", "4000000000000341"
MONTH = Offer(
    offer_id="month", name="All classes", kind=Kind.SUBSCRIPTION, amount=9_900, currency="eur", interval=Interval.MONTH
)
OFFERS = (
    Offer(offer_id="ten", name="Ten classes", kind=Kind.PASS, amount=12_000, currency="eur", valid_days=90),
    Offer(offer_id="live", name="Live session", kind=Kind.LIVE_SESSION, amount=6_500, currency="eur"),
    MONTH,
)
LONGEST_WAIT_S = 360
CONFIRMS_AFTER_S = 4
MOST_SHOWN = 10
EVENING_S = 1_500  # what happened in the day's last minutes is over by then

LEAD_S = 900  # between the beginning of the day and the first renewal
LATER_S = 2 * HOUR_S  # so long after it, at the most, something may still become of a purchase
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it

Seen = Callable[[Purchase], bool]
Act = Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Something that happened at Stripe at `since`, and `seen` once paidup knows it."""

    what: str
    customer_id: str
    since: int
    seen: Seen


@dataclass(slots=True)
class Day:
    """One day of *shop*: what is to happen when, and who waits for what.

    `happened` counts what did, and `idle` what could not, since there was nothing to do it with. `sales` are the
    seconds in which somebody paid. A day that is `told` of all leaves nothing to the functions that go by the clock.
    """

    shop: Shop
    told: bool = False
    waits: list[Wait] = field(default_factory=list)
    waited: dict[str, list[int]] = field(default_factory=dict)
    happened: Counter[str] = field(default_factory=Counter)
    idle: Counter[str] = field(default_factory=Counter)
    sales: list[int] = field(default_factory=list)
    acts: list[tuple[int, int, Act]] = field(default_factory=list)
    planned: int = 0

    # -- what happens

    def plan(self, at: int, act: Act) -> None:
        """Let *act* happen at the second *at*."""
        self.planned += 1
        self.acts.append((at, self.planned, act))

    def live(self, until: int) -> None:
        """Let everything that is planned happen in its order, and time pass until the second *until*."""
        self.shop.meanwhile = self._act
        while self.acts and (at := min(self.acts)[0]) <= until:
            self._pass(at)
            self._act()
        self._pass(until)

    def _act(self) -> None:
        """Let happen what is planned by now."""
        while self.acts and (first := min(self.acts))[0] <= self.shop.now:
            self.acts.remove(first)
            first[2]()
            self.shop.hear()

    def buys(self, customer_id: str, offer_id: str, *, after_s: int, card: str = PAYS, tab: bool) -> None:
        """Open a checkout now, pay *after_s* seconds later, and come back to the shop if the *tab* is still open."""
        order = Order(
            customer_id=customer_id,
            email=f"{customer_id}@example.com",
            offer_id=offer_id,
            quantity=1,
            provider=None,
            success_url="https://shop.example/success",
            cancel_url="https://shop.example/cancel",
        )
        with self.shop.running("buy") as services:
            checkout, _ = buy(order, services, now=self.shop.now)
        self.plan(self.shop.now + after_s, partial(self._pays, checkout, card, tab))

    def _pays(self, checkout: Checkout, card: str, tab: bool) -> None:
        self.shop.pays(checkout.url or "", card)
        self.sales.append(self.shop.now)
        self.happened["tab left open" if tab else "tab closed"] += 1
        self._await("payment", checkout.customer_id, lambda one: one.paid)
        if tab:
            self.plan(self.shop.now + CONFIRMS_AFTER_S, partial(self._comes_back, checkout))

    def _comes_back(self, checkout: Checkout) -> None:
        with self.shop.running("poll") as services:
            confirm(checkout.customer_id, checkout.checkout_id, services, now=self.shop.now)

    def refund(self, customer_id: str) -> None:
        """Refund what the customer paid, at Stripe."""
        bought = self._bought(customer_id)
        if bought is None or bought.payment is None or not bought.payment.ref:
            self.idle["refund"] += 1
            return
        self.shop.change("refunds", payment_intent=bought.payment.ref)
        self._await("refund", customer_id, lambda one: one.reversals.state is PurchaseStatus.REFUNDED)

    def change_quantity(self, customer_id: str, quantity: int) -> None:
        """Change the quantity of the customer's subscription, at Stripe."""
        plan = self._plan(customer_id)
        if plan is None:
            self.idle["change"] += 1
            return
        found = self.shop.http.get(f"{self.shop.fakes.url}/stripe/v1/subscriptions/{plan}", auth=("sk_test_local", ""))
        item = found.json()["items"]["data"][0]["id"]
        self.shop.change(f"subscriptions/{plan}", **{"items[0][id]": item, "items[0][quantity]": quantity})
        self._await("change", customer_id, lambda one: one.sold_quantity == quantity)

    def cancel(self, customer_id: str, *, at_once: bool) -> None:
        """Cancel the customer's subscription, at Stripe."""
        plan = self._plan(customer_id)
        if plan is None:
            self.idle["cancellation"] += 1
        elif at_once:
            self.shop.ended(plan)
            self._await("cancellation", customer_id, _ended)
        else:
            self.shop.change(f"subscriptions/{plan}", cancel_at_period_end="true")
            self._await("cancellation", customer_id, _ends)

    def renews(self, customer_id: str) -> None:
        """Wait for the renewal that begins now."""
        bought, at = self._bought(customer_id), self.shop.now
        if bought is None or bought.subscription is None or bought.subscription.ended:
            self.idle["renewal"] += 1  # it was cancelled before
        else:
            self._await("renewal", customer_id, lambda one: _renewed(one, at))

    # -- who waits

    def _pass(self, until: int) -> None:
        """Let time pass, and look after each function that ran who has waited long enough."""
        self._look()
        if self.told:
            self.shop.leap(until)
        else:
            self.shop.pass_time(until, look=self._look)

    def _await(self, what: str, customer_id: str, seen: Seen) -> None:
        self.happened[what] += 1
        self.waits.append(Wait(what=what, customer_id=customer_id, since=self.shop.now, seen=seen))

    def _look(self) -> None:
        waiting = []
        for wait in self.waits:
            bought = self._bought(wait.customer_id)
            if bought and wait.seen(bought):
                self.waited.setdefault(wait.what, []).append(self.shop.now - wait.since)
            else:
                waiting.append(wait)
        self.waits = waiting

    def _bought(self, customer_id: str) -> Purchase | None:
        return next(self.shop.services.table.purchases_of(customer_id), None)

    def _plan(self, customer_id: str) -> str | None:
        bought = self._bought(customer_id)
        plan = bought.subscription if bought else None
        return plan.ref if plan and not plan.ended else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A day of `hours` hours with so many `purchases`. The same `seed` is the same day.

    `begins` is the epoch second at which the older subscriptions are bought. Functions ask Stripe as often as `reads`
    allows.
    """

    purchases: int
    hours: int
    seed: int
    begins: int = field(default_factory=lambda: (int(time.time()) // DAY_S + 2) * DAY_S + 6 * HOUR_S)
    reads: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a day ended: each customer's account, what happened, who waited for it, who still waits, and who asked.

    `channels` counts which channel was the first to bring an entry of a register. `asked` are the requests to Stripe
    since the month of the read budget began.
    """

    accounts: dict[str, Any]
    happened: Counter[str]
    idle: Counter[str]
    waited: dict[str, list[int]]
    still_waiting: list[str]
    channels: Counter[tuple[str, str]]
    failures: Counter[str]
    figures: Figures
    asked: list[Asked]
    sales: list[int]

    @property
    def longest_s(self) -> int:
        """The longest wait of anybody."""
        return max((one for waits in self.waited.values() for one in waits), default=0)

    @property
    def problems(self) -> int:
        """How many objects of Stripe's could not be read."""
        return self.failures["objects that could not be read"]

    def too_many(self, limits: Limits) -> list[str]:
        """Return each breach of the read budget as a sentence."""
        return too_many(self.asked, self.sales, limits)


def lived(plan: Plan, *, dropped: bool) -> Outcome:
    """Live the day, with all webhooks or with none (*dropped*)."""
    folder = MEMORY if MEMORY.is_dir() else None
    with (
        tempfile.TemporaryDirectory(dir=folder) as state,
        opened(Path(state), at=plan.begins, reads=plan.reads) as shop,
    ):
        return _lived(shop, plan, dropped=dropped)


def _lived(shop: Shop, plan: Plan, *, dropped: bool) -> Outcome:
    dice = random.Random(plan.seed)  # noqa: S311 - draws a day that can be lived again
    for offer in OFFERS:
        shop.services.table.put_offer(offer)
    day, long_s = Day(shop, told=True), plan.hours * HOUR_S
    older = [f"older-{n}" for n in range(plan.purchases // 3)]
    for n, customer in enumerate(older):
        card = DECLINED_LATER if n % 6 == 5 else PAYS
        act = partial(day.buys, customer, MONTH.offer_id, after_s=20, card=card, tab=True)
        day.plan(plan.begins + dice.randrange(long_s), act)
    day.live(plan.begins + long_s + 60)
    ends = {one: _period_end(day, one) for one in older}
    starts = min(ends.values(), default=shop.now + DAY_S) - LEAD_S
    shop.leap(starts)
    if dropped:
        shop.drop_webhooks()
    day = Day(shop)
    _plan_older(day, ends, dice)
    later_s = min(LATER_S, long_s // 2)
    _plan_new(day, plan.purchases, long_s, later_s, dice)
    day.live(starts + long_s + later_s + EVENING_S)
    customers = [*older, *(f"customer-{n}" for n in range(plan.purchases))]
    records = read(shop.services.table, since=starts, tell=lambda _: None)
    return Outcome(
        accounts={one: account_of(shop, one) for one in customers},
        happened=day.happened,
        idle=day.idle,
        waited=day.waited,
        still_waiting=[f"{one.customer_id} still waits for a {one.what}" for one in day.waits],
        channels=_channels(shop, customers),
        failures=shop.failures,
        figures=figures(records, since=starts, until=shop.now),
        asked=[one for one in shop.asked() if one.at >= starts],
        sales=day.sales,
    )


def _plan_older(day: Day, ends: dict[str, int], dice: random.Random) -> None:
    for n, (customer, end) in enumerate(ends.items()):
        day.plan(end, partial(day.renews, customer))
        before = end - dice.randrange(60, LEAD_S)
        if n % 5 == 0:
            day.plan(before, partial(day.change_quantity, customer, 2 + n % 3))
        elif n % 7 == 1:
            day.plan(before, partial(day.cancel, customer, at_once=n % 2 == 0))


def _plan_new(day: Day, purchases: int, long_s: int, later_s: int, dice: random.Random) -> None:
    begins = day.shop.now
    for n in range(purchases):
        customer, at = f"customer-{n}", begins + dice.randrange(long_s)
        offer = ("ten", "month", "ten", "month", "live")[n % 5]
        after = dice.choice((5, 30, 90, 200, 500, 1_000))
        day.plan(at, partial(day.buys, customer, offer, after_s=after, tab=n % 2 == 0))
        later = at + after + dice.randrange(600, later_s)
        match n % 10:
            case 2:
                day.plan(later, partial(day.refund, customer))
            case 1:
                day.plan(later, partial(day.change_quantity, customer, 3))
            case 3:
                day.plan(later, partial(day.cancel, customer, at_once=n % 20 == 3))


def account_of(shop: Shop, customer_id: str) -> Any:
    """Return what the customer has: access, and each purchase's status, as readers see it."""
    account, policy = shop.services.table.account(customer_id), shop.services.policy
    access = sorted((one.offer_id, one.quantity, one.status, one.until) for one in account.current_access(now=shop.now))
    purchases = sorted(
        (one.sells, one.sold_quantity, one.status_at(now=shop.now, policy=policy).state, one.paid_at, one.refunded)
        for one in shop.services.table.purchases_of(customer_id)
    )
    return {"access": access, "purchases": purchases, "booking": account.open_booking_id is not None}


def _period_end(day: Day, customer_id: str) -> int:
    (bought,) = day.shop.services.table.purchases_of(customer_id)
    assert bought.subscription
    return bought.subscription.period_end


def _channels(shop: Shop, customers: Iterable[str]) -> Counter[tuple[str, str]]:
    """Return how often each channel was the first to bring a register's entry, by the register's kind."""
    bought = (one for customer in customers for one in shop.services.table.purchases_of(customer))
    return Counter(
        (name.partition("#")[0], str(found.channel)) for one in bought for name, found in one.channels.items()
    )


def _ended(purchase: Purchase) -> bool:
    return purchase.subscription is not None and purchase.subscription.ended


def _ends(purchase: Purchase) -> bool:
    return purchase.subscription is not None and purchase.subscription.cancel_at is not None


def _renewed(purchase: Purchase, at: int) -> bool:
    """Whether the renewal at the second *at* is known, or that there is none: it was cancelled before."""
    return purchase.subscription is not None and (purchase.subscription.period_start >= at or _ended(purchase))


def verdict(without: Outcome, with_all: Outcome, limits: Limits) -> list[str]:
    """Return what was wrong with the day *without* webhooks beside the same *with_all* of them, as sentences."""
    wrong = [
        f"{one}: without {without.accounts[one]}, with {account}"
        for one, account in with_all.accounts.items()
        if account != without.accounts[one]
    ]
    wrong += without.still_waiting
    wrong += [f"{count} {what}" for what, count in without.failures.items() if count and what.startswith("objects")]
    waited_s = max(without.longest_s, without.figures.total.longest_s or 0)
    if waited_s > LONGEST_WAIT_S:
        wrong.append(f"somebody waited for {waited_s} s, longer than {LONGEST_WAIT_S} s")
    if without.happened["payment"] != without.figures.total.purchases:
        wrong.append(f"{without.happened['payment']} paid, and the report knows {without.figures.total.purchases}")
    return [*wrong, *without.too_many(limits), *with_all.too_many(limits)]


def main() -> None:
    """Live the day, print who waited for what and who asked how often, and fail if anything was wrong with it."""
    parser = argparse.ArgumentParser(prog="make day", description=__doc__)
    parser.add_argument("--purchases", type=int, default=500)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.monotonic()
    plan = Plan(purchases=given.purchases, hours=given.hours, seed=given.seed)
    print(f"{plan.purchases} purchases in {plan.hours} h, seed {plan.seed}: without any webhook, and with all of them")
    with ProcessPoolExecutor(2, initializer=_be_quiet) as pool:
        lives = [pool.submit(lived, plan, dropped=dropped) for dropped in (True, False)]
        without, with_all = (life.result() for life in lives)
    _print_waits(without)
    _print_requests(without, with_all, plan.reads)
    print()
    print_figures(without.figures)
    wrong = verdict(without, with_all, plan.reads)
    differ = sum(account != without.accounts[one] for one, account in with_all.accounts.items())
    print()
    print(
        f"{len(with_all.accounts)} accounts, {differ} differ; longest wait {without.longest_s} s; "
        f"{time.monotonic() - began:.0f} s"
    )
    for sentence in wrong[:MOST_SHOWN]:
        print(f"  {sentence}")
    if wrong:
        raise SystemExit("The day without webhooks did not end as it should.")


def _be_quiet() -> None:
    logging.disable(logging.CRITICAL)
    os.environ["POWERTOOLS_METRICS_DISABLED"] = "true"


def _print_waits(day: Outcome) -> None:
    print(f"\n{'':>14}  happened  median  longest")
    for what, waits in sorted(day.waited.items()):
        ordered = sorted(waits)
        print(f"{what:>14}  {day.happened[what]:8}  {ordered[len(waits) // 2]:4} s   {ordered[-1]:4} s")
    for what in ("tab left open", "tab closed"):
        print(f"{what:>14}  {day.happened[what]:8}")
    print("\nwho brought it first:")
    for (register, channel), times in sorted(day.channels.items()):
        print(f"{register:>14}  {times:8}  by {channel}")


def _print_requests(without: Outcome, with_all: Outcome, limits: Limits) -> None:
    print(f"\n{'':>14}  requests to Stripe  most in a second   with webhooks")
    names = sorted({one.application for day in (without, with_all) for one in day.asked} | GOVERNED)
    rows = [(name or "dashboard", frozenset({name})) for name in names if name not in GOVERNED]
    rows = [*rows, *((name, frozenset({name})) for name in names if name in GOVERNED), ("on the budget", GOVERNED)]
    for name, of in rows:
        seconds, others = by_second(without.asked, of=of), by_second(with_all.asked, of=of)
        print(f"{name:>14}  {seconds.total():18,}  {_peak(seconds):16}  {others.total():8,}  {_peak(others):4}")
    seconds, others = by_second(without.asked), by_second(with_all.asked)
    print(f"{'all':>14}  {seconds.total():18,}  {_peak(seconds):16}  {others.total():8,}  {_peak(others):4}")
    breaches = len(without.too_many(limits)) + len(with_all.too_many(limits))
    print(f"{breaches} breaches of the budget of {limits.per_second} a second, {limits.per_sale} a sale in a month")
    for what, times in sorted(without.failures.items()):
        print(f"{what}: {times}")


def _peak(seconds: Counter[int]) -> int:
    return max(seconds.values(), default=0)


if __name__ == "__main__":
    main()
