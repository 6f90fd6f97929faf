"""`make day`: a day on which every webhook is lost, lived again with all of them; both must end with the same accounts.

Customers buy, and half of them close the tab. Older subscriptions renew, or are declined. The shop's people refund,
change and cancel at Stripe. What anybody waits for is measured by the shop's clock, from when it happened at Stripe.
"""

import argparse
import logging
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from paidup.flows.buy import buy
from paidup.flows.confirm import confirm
from paidup.model.access import PurchaseStatus
from paidup.model.checkout import Checkout
from paidup.model.offer import Interval, Kind, Offer
from paidup.model.order import Order
from paidup.model.purchase import Purchase

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
EVENING_S = 1_500  # what happened in the day's last minutes is over by then

LEAD_S = 900  # between the beginning of the day and the first renewal
LATER_S = 2 * HOUR_S  # so long after it, at the most, something may still become of a purchase

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
    """One day of *shop*: what is to happen when, and who waits for what."""

    shop: Shop
    waits: list[Wait] = field(default_factory=list)
    waited: dict[str, list[int]] = field(default_factory=dict)
    acts: list[tuple[int, int, Act]] = field(default_factory=list)
    planned: int = 0

    # -- what happens

    def plan(self, at: int, act: Act) -> None:
        """Let *act* happen at the second *at*."""
        self.planned += 1
        self.acts.append((at, self.planned, act))

    def live(self, until: int) -> None:
        """Let everything that is planned happen in its order, and time pass until the second *until*."""
        while self.acts:
            at, _, act = first = min(self.acts)
            if at > until:
                break
            self.acts.remove(first)
            self._pass(at)
            act()
            self.shop.hear()
        self._pass(until)

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
        checkout, _ = buy(order, self.shop.services, now=self.shop.now)
        self.plan(self.shop.now + after_s, partial(self._pays, checkout, card, tab))

    def _pays(self, checkout: Checkout, card: str, tab: bool) -> None:
        self.shop.pays(checkout.url or "", card)
        self._await("payment", checkout.customer_id, lambda one: one.paid)
        if tab:
            comes_back = partial(confirm, checkout.customer_id, checkout.checkout_id, self.shop.services)
            at = self.shop.now + CONFIRMS_AFTER_S
            self.plan(at, lambda: _ignore(comes_back(now=at)))

    def refund(self, customer_id: str) -> None:
        """Refund what the customer paid, at Stripe."""
        bought = self._bought(customer_id)
        if bought and bought.payment and bought.payment.ref:
            self.shop.stripe("refunds", payment_intent=bought.payment.ref)
            self._await("refund", customer_id, lambda one: one.reversals.state is PurchaseStatus.REFUNDED)

    def change_quantity(self, customer_id: str, quantity: int) -> None:
        """Change the quantity of the customer's subscription, at Stripe."""
        if plan := self._plan(customer_id):
            found = self.shop.http.get(
                f"{self.shop.fakes.url}/stripe/v1/subscriptions/{plan}", auth=("sk_test_local", "")
            )
            item = found.json()["items"]["data"][0]["id"]
            self.shop.stripe(f"subscriptions/{plan}", **{"items[0][id]": item, "items[0][quantity]": quantity})
            self._await("change", customer_id, lambda one: one.sold_quantity == quantity)

    def cancel(self, customer_id: str, *, at_once: bool) -> None:
        """Cancel the customer's subscription, at Stripe."""
        plan = self._plan(customer_id)
        if plan and at_once:
            self.shop.ended(plan)
            self._await("cancellation", customer_id, _ended)
        elif plan:
            self.shop.stripe(f"subscriptions/{plan}", cancel_at_period_end="true")
            self._await("cancellation", customer_id, _ends)

    def renews(self, customer_id: str) -> None:
        """Wait for the renewal that begins now."""
        bought, at = self._bought(customer_id), self.shop.now
        if bought and bought.subscription and not bought.subscription.ended:
            self._await("renewal", customer_id, lambda one: _renewed(one, at))

    # -- who waits

    def _pass(self, until: int) -> None:
        """Let time pass minute by minute, and look after each who has waited long enough."""
        self._look()
        while self.shop.now < until:
            every_s = 300 if self.shop.delivers else 60
            self.shop.pass_time(min(until, (self.shop.now // every_s + 1) * every_s))
            self._look()

    def _await(self, what: str, customer_id: str, seen: Seen) -> None:
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
class Outcome:
    """How a day ended: each customer's account, who waited for what, who still waits, and which channel was first."""

    accounts: dict[str, Any]
    waited: dict[str, list[int]]
    still_waiting: list[Wait]
    channels: Counter[tuple[str, str]]
    problems: int
    calls: int

    @property
    def longest_s(self) -> int:
        """The longest wait of anybody."""
        return max((one for waits in self.waited.values() for one in waits), default=0)


def lived(*, purchases: int, hours: int, dropped: bool, seed: int, begins: int, state: Path) -> Outcome:
    """Live a day of *hours* hours with so many *purchases*, with all webhooks or with none (*dropped*).

    The same *seed* is the same day. *begins* is the epoch second at which the older subscriptions are bought.
    """
    dice = random.Random(seed)  # noqa: S311 - draws a day that can be lived again
    with opened(state, at=begins) as shop:
        for offer in OFFERS:
            shop.services.table.put_offer(offer)
        day = Day(shop)
        older = [f"older-{n}" for n in range(purchases // 3)]
        long_s = hours * HOUR_S
        for n, customer in enumerate(older):
            card = DECLINED_LATER if n % 6 == 5 else PAYS
            act = partial(day.buys, customer, MONTH.offer_id, after_s=20, card=card, tab=True)
            day.plan(begins + dice.randrange(long_s), act)
        day.live(begins + long_s + 60)
        ends = {one: _period_end(day, one) for one in older}
        starts = min(ends.values(), default=shop.now + DAY_S) - LEAD_S
        shop.advance(starts - shop.now)
        shop.hear()
        if dropped:
            shop.drop_webhooks()
        day.waited.clear()
        _plan_older(day, ends, dice)
        later_s = min(LATER_S, long_s // 2)
        _plan_new(day, purchases, long_s, later_s, dice)
        day.live(starts + long_s + later_s + EVENING_S)
        customers = [*older, *(f"customer-{n}" for n in range(purchases))]
        return Outcome(
            accounts={one: account_of(shop, one) for one in customers},
            waited=day.waited,
            still_waiting=day.waits,
            channels=_channels(shop, customers),
            problems=shop.failures.total(),
            calls=shop.calls(),
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


def _ignore(_: object) -> None:
    return None


def compared(
    *, purchases: int, hours: int, seed: int, tell: Callable[[str], None] = lambda _: None
) -> tuple[Outcome, Outcome]:
    """Live the day without any webhook, and with all of them, and return both outcomes. *tell* hears how far it is."""
    began = time.monotonic()
    begins = (int(time.time()) // DAY_S + 2) * DAY_S + 6 * HOUR_S
    outcomes = []
    for dropped in (True, False):
        with tempfile.TemporaryDirectory() as state:
            outcomes.append(
                lived(purchases=purchases, hours=hours, dropped=dropped, seed=seed, begins=begins, state=Path(state))
            )
            tell(f"lived {'without any webhook' if dropped else 'with all webhooks'}: {time.monotonic() - began:.0f} s")
    return outcomes[0], outcomes[1]


def main() -> None:
    """Live the day, print who waited for what, and fail if anybody's account differs, or anybody waited too long."""
    parser = argparse.ArgumentParser(prog="make day", description=__doc__)
    parser.add_argument("--purchases", type=int, default=500)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    os.environ["POWERTOOLS_METRICS_DISABLED"] = "true"
    began = time.monotonic()
    without, with_all = compared(
        purchases=given.purchases, hours=given.hours, seed=given.seed, tell=partial(print, flush=True)
    )
    print(f"{given.purchases} purchases in {given.hours} h, every webhook lost, seed {given.seed}")
    for what, waits in sorted(without.waited.items()):
        ordered = sorted(waits)
        print(f"{what:>14}: {len(waits):5} seen, median {ordered[len(waits) // 2]:4} s, longest {ordered[-1]:4} s")
    for (register, channel), times in sorted(without.channels.items()):
        print(f"{register:>14}: {times:5} by {channel}")
    print(f"{without.calls:,} calls to Stripe without webhooks, {with_all.calls:,} with them")
    differ = [one for one in with_all.accounts if with_all.accounts[one] != without.accounts[one]]
    print(
        f"{len(with_all.accounts)} accounts, {len(differ)} differ; longest wait {without.longest_s} s; "
        f"{time.monotonic() - began:.0f} s"
    )
    for one in differ[:5]:
        print(f"  {one}: without {without.accounts[one]}, with {with_all.accounts[one]}")
    for wait in without.still_waiting[:5]:
        print(f"  {wait.customer_id} still waits for a {wait.what}")
    if differ or without.still_waiting or without.problems or without.longest_s > LONGEST_WAIT_S:
        raise SystemExit("The day without webhooks did not end as the day with them.")


if __name__ == "__main__":
    main()
