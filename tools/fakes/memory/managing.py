"""How customers manage their subscriptions at the provider in memory: changes, cancellations, and the portal."""

from copy import deepcopy
from dataclasses import dataclass
from urllib.parse import quote

from paidup.model.errors import ObjectMissing, ProviderRefused
from paidup.model.fact import Fact, Item, SubscriptionStatus
from paidup.model.offer import Cart, Interval
from paidup.model.provider import Changed, ChangeOutcome, ChangePreview
from paidup.model.purchase import Purchase

from tools.fakes.memory.bills import DAY_S, Tariff
from tools.fakes.memory.buyers import Buyers
from tools.fakes.memory.facts import NAME
from tools.fakes.memory.plans import DAYS, Plan


@dataclass(slots=True)
class Managing(Buyers):
    """What customers ask of their subscriptions by paidup. A card that `declines` pays for no change."""

    def change_plan(self, purchase: Purchase, cart: Cart, *, key: str | None) -> Changed:  # noqa: ARG002 - made once in any case
        """See `Provider.change_plan`: no bank ever asks anybody, so that a change is made or declined at once."""
        after = self._asked("change")
        plan = self._managed(purchase)
        outcome = ChangeOutcome.MADE
        if plan.status is SubscriptionStatus.CANCELED or _sells(plan, cart):
            pass
        elif not plan.running:
            outcome = ChangeOutcome.IMPOSSIBLE if plan.debit else ChangeOutcome.DECLINED
        elif self._preview(plan, purchase, cart).due_now and plan.declines:
            outcome = ChangeOutcome.DECLINED
        else:
            self.change(plan, _wanted(plan, purchase, cart), declines=plan.declines)
        if after:
            after()
        return Changed(outcome=outcome, facts=tuple(self._of_plan_whole(plan)))

    def preview_change(self, purchase: Purchase, cart: Cart) -> ChangePreview:
        """See `Provider.preview_change`."""
        self._asked("preview")
        return self._preview(self._managed(purchase), purchase, cart)

    def cancel_plan(self, purchase: Purchase, *, at_once: bool) -> list[Fact]:
        """See `Provider.cancel_plan`."""
        after = self._asked("cancel")
        plan = self._managed(purchase)
        if plan.status is SubscriptionStatus.CANCELED:
            pass
        elif at_once:
            self.cancel(plan)
        elif not plan.cancels:
            self.cancel_at_period_end(plan, cancels=True)
        if after:
            after()
        return self._of_plan_whole(plan)

    def resume_plan(self, purchase: Purchase) -> list[Fact]:
        """See `Provider.resume_plan`."""
        after = self._asked("resume")
        plan = self._managed(purchase)
        if plan.status is not SubscriptionStatus.CANCELED and plan.cancels:
            self.cancel_at_period_end(plan, cancels=False)
        if after:
            after()
        return self._of_plan_whole(plan)

    def open_portal(self, customer_ref: str, *, return_url: str) -> str:
        """See `Provider.open_portal`."""
        self._asked("portal")
        return f"https://portal/{quote(customer_ref)}?back={quote(return_url)}"

    def _preview(self, plan: Plan, purchase: Purchase, cart: Cart) -> ChangePreview:
        """Return what the change costs, by making it with a copy of *plan*."""
        tried, now = deepcopy(plan), self.now()
        bills = len(tried.bills)
        if not _sells(plan, cart):
            tried.declines = False
            tried.change(_wanted(plan, purchase, cart), now)
        made = tried.bills[bills:]
        return ChangePreview(
            due_now=made[0].amount if made else 0,
            credited=0,  # what is left over is lost at this provider
            next_amount=sum(one.amount * one.quantity for one in tried.items),
            next_at=tried.period_end,
            currency=cart.currency,
        )

    def _managed(self, purchase: Purchase) -> Plan:
        known = purchase.subscription
        if known is None or known.ref not in self.plans:
            raise ObjectMissing(NAME, "it was asked for a subscription")
        return self.plans[known.ref]


def _sells(plan: Plan, cart: Cart) -> bool:
    return (cart.offer_id, cart.quantity) in {(one.offer_id, one.quantity) for one in plan.items}


def _wanted(plan: Plan, purchase: Purchase, cart: Cart) -> list[tuple[Tariff, int]]:
    """Return what *plan* has after the change: *cart* in the place of what *purchase* sells, and its other items.

    Raises ProviderRefused if that would have prices of several intervals.
    """
    same = [one for one in plan.items if one.offer_id == cart.offer_id]
    sold = same or [one for one in plan.items if one.offer_id == purchase.sells] or plan.items
    days = DAYS[cart.interval or Interval.MONTH] * cart.interval_count
    ref = cart.price or f"price_{cart.offer_id}"
    new = Tariff(ref=ref, amount=cart.unit_amount, offer_id=cart.offer_id, period_s=days * DAY_S)
    if len(plan.items) > 1 and not same and new.period_s != plan.period_s:
        raise ProviderRefused(NAME, "it was asked for prices of several intervals in one subscription")
    return [
        (new if one is sold[0] and not same else _tariff(plan, one), cart.quantity if one is sold[0] else one.quantity)
        for one in plan.items
    ]


def _tariff(plan: Plan, item: Item) -> Tariff:
    return Tariff(ref=item.price, amount=item.amount, offer_id=item.offer_id, period_s=plan.period_s)
