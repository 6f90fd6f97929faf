"""Managing: customers change, cancel and resume their subscriptions, and open the provider's portal."""

from collections.abc import Sequence
from dataclasses import dataclass

from paidup.flows.buy import listed_price
from paidup.flows.services import Services
from paidup.flows.settle import settle
from paidup.model.errors import NotFound, UnknownOffer
from paidup.model.fact import Channel, Fact
from paidup.model.manage import (
    CancelNowRefused,
    ChangeDeclined,
    ChangeImpossible,
    NothingToManage,
    SubscriptionEnded,
    check_change,
    check_running,
    manageable,
)
from paidup.model.offer import Cart
from paidup.model.provider import ChangeOutcome, ChangePreview
from paidup.model.purchase import Purchase
from paidup.outside.deadline import within
from paidup.outside.log import logger

MANAGE_WITHIN_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The offer that a subscription shall sell, and how many (None: as many as now)."""

    offer_id: str
    quantity: int | None = None


def change(
    customer_id: str, purchase_id: str, wanted: Wanted, services: Services, *, key: str | None, now: int
) -> tuple[Purchase, bool]:
    """Let a subscription sell what is *wanted*, and return the purchase, and whether its bank must approve that first.

    What it costs is charged at once. If that is declined, nothing changes. The same call again changes nothing more.
    *key* is the caller's Idempotency-Key.

    Raises NotFound, UnknownOffer, Malformed, the refusals of `check_change`, ChangeDeclined, ChangeImpossible,
    ProviderUnavailable and ProviderRefused.
    """
    with within(MANAGE_WITHIN_S):
        purchase, cart = _chosen(customer_id, purchase_id, wanted, services)
        changed = services.provider(purchase.provider).change_plan(purchase, cart, key=key)
        after = _settled(changed.facts, purchase, services, now=now)
    if _had_ended(purchase, after):
        return change(customer_id, purchase_id, wanted, services, key=key, now=now)
    logger.info("subscription.changed", purchase_id=purchase_id, offer_id=cart.offer_id, outcome=changed.outcome)
    check_running(after)
    if changed.outcome is ChangeOutcome.DECLINED:
        raise ChangeDeclined(purchase_id)
    if changed.outcome is ChangeOutcome.IMPOSSIBLE:
        raise ChangeImpossible(purchase_id)
    return after, changed.outcome is ChangeOutcome.PENDING


def preview(customer_id: str, purchase_id: str, wanted: Wanted, services: Services) -> tuple[Cart, ChangePreview]:
    """Return what a change would cost now and at the next renewal. Raises what `change` raises before the change."""
    with within(MANAGE_WITHIN_S):
        purchase, cart = _chosen(customer_id, purchase_id, wanted, services)
        return cart, services.provider(purchase.provider).preview_change(purchase, cart)


def cancel(customer_id: str, purchase_id: str, services: Services, *, at_once: bool, now: int) -> Purchase:
    """End a subscription with its period, or *at_once* if the policy allows that, and return the purchase.

    Cancelling again changes nothing. Raises NotFound, CancelNowRefused, and the refusals of `check_running`. The money
    of a period that ends early is not refunded.
    """
    purchase = _purchase(customer_id, purchase_id, services)
    plan = manageable(purchase)
    if at_once and not services.policy.cancel_now:
        raise CancelNowRefused(purchase_id)
    if plan.ended and at_once:
        return purchase
    check_running(purchase)
    with within(MANAGE_WITHIN_S):
        facts = services.provider(purchase.provider).cancel_plan(purchase, at_once=at_once)
        after = _settled(facts, purchase, services, now=now)
    if not at_once and _had_ended(purchase, after):
        return cancel(customer_id, purchase_id, services, at_once=at_once, now=now)
    logger.info("subscription.cancelled", purchase_id=purchase_id, at_once=at_once)
    return after


def resume(customer_id: str, purchase_id: str, services: Services, *, now: int) -> Purchase:
    """Take back the cancellation of a subscription, and return the purchase. Resuming again changes nothing.

    Raises NotFound and the refusals of `check_running`.
    """
    purchase = _purchase(customer_id, purchase_id, services)
    check_running(purchase)
    with within(MANAGE_WITHIN_S):
        facts = services.provider(purchase.provider).resume_plan(purchase)
        after = _settled(facts, purchase, services, now=now)
    if _had_ended(purchase, after):
        return resume(customer_id, purchase_id, services, now=now)
    if all(plan.ended for plan in after.subscriptions):  # it ended, and nobody had told us
        raise SubscriptionEnded(purchase_id)
    logger.info("subscription.resumed", purchase_id=purchase_id)
    return after


def portal(customer_id: str, return_url: str, services: Services) -> str:
    """Return the address of the provider's page for the customer's cards and bills. Raises NothingToManage.

    A customer who pays in several currencies may be several customers at the provider. Then it is the page of the one
    whose subscription runs.
    """
    account = services.table.account(customer_id)
    known = {slot: ref for slot, ref in account.customers.items() if slot.partition("#")[0] in services.providers}
    if not known:
        raise NothingToManage(customer_id)
    running: set[str] = set()
    if len(known) > 1:
        found = services.table.purchases(customer_id, account.running).values()
        running = {f"{one.provider}#{plan.currency}" for one in found for plan in one.subscriptions if not plan.ended}
    slot = min(known, key=lambda one: (one not in running, one))
    with within(MANAGE_WITHIN_S):
        return services.provider(slot.partition("#")[0]).open_portal(known[slot], return_url=return_url)


def _chosen(customer_id: str, purchase_id: str, wanted: Wanted, services: Services) -> tuple[Purchase, Cart]:
    """Return the purchase and the cart that it shall sell, at today's price.

    Raises NotFound, UnknownOffer and what `check_change` raises.
    """
    purchase = _purchase(customer_id, purchase_id, services)
    manageable(purchase)
    offer = services.table.offer(wanted.offer_id)
    if offer is None:
        raise UnknownOffer(wanted.offer_id)
    current = offer if purchase.sells == offer.offer_id else services.table.offer(purchase.sells)
    check_change(purchase, offer, current)
    quantity = purchase.sold_quantity if wanted.quantity is None else wanted.quantity
    return purchase, offer.cart(quantity, listed_price(offer, purchase.provider, services))


def _had_ended(before: Purchase, after: Purchase) -> bool:
    """Whether the subscription that was acted on had ended, and another one of the purchase runs: act on that one.

    A subscription that is made anew at the provider leaves a purchase with two. Nobody had told us that one ended.
    """
    acted, runs = before.subscription, after.subscription
    if acted is None or runs is None or runs.ended:
        return False
    return any(plan.ref == acted.ref and plan.ended for plan in after.subscriptions)


def _settled(facts: Sequence[Fact], purchase: Purchase, services: Services, *, now: int) -> Purchase:
    """Settle *facts* through the one door, and return the purchase after that."""
    settle(facts, Channel.REQUEST, services, now=now)
    return _purchase(purchase.customer_id, purchase.purchase_id, services)


def _purchase(customer_id: str, purchase_id: str, services: Services) -> Purchase:
    purchase = services.table.purchase(customer_id, purchase_id)
    if purchase is None:
        raise NotFound("purchase", purchase_id)
    return purchase
