"""Recovering: validate, cancel or go on with a checkout that the buyer comes back to."""

from dataclasses import replace

from paidup.flows.buy import buy
from paidup.flows.confirm import look_at_page, refresh
from paidup.flows.services import Services
from paidup.flows.settle import settle
from paidup.flows.transact import update
from paidup.model.checkout import Checkout, CheckoutStatus
from paidup.model.errors import NotFound, ProviderRefused, ProviderUnavailable, Refusal
from paidup.model.fact import Channel
from paidup.model.group import refuse_second
from paidup.model.order import Order, is_paid, without_checkout_id
from paidup.model.snapshot import ChangeSet, Snapshot
from paidup.outside.deadline import within
from paidup.outside.log import logger

ASK_WITHIN_S = 4.0


def validate(customer_id: str, checkout_id: str, services: Services, *, now: int) -> Snapshot:
    """Return the customer's checkout at *now* (epoch seconds). If its page may be open, the provider is asked.

    The provider is asked at most once in 3 s. Raises NotFound if the customer has no such checkout.
    """
    seen = services.table.load(customer_id, checkout_id)
    if seen.checkout is None:
        raise NotFound("checkout", checkout_id)
    if seen.checkout.due_at is not None and refresh(seen.checkout, Channel.POLL, services, now=now):
        seen = services.table.load(customer_id, checkout_id)
    return seen


def cancel(customer_id: str, checkout_id: str, services: Services, *, now: int) -> Snapshot:
    """End the customer's checkout because they cancelled it, and return it. If it was paid before, it is completed.

    If the provider answers, the page is closed at once. If not, the sweep closes it. Raises NotFound.
    """

    def step(snapshot: Snapshot, change: ChangeSet) -> None:
        if snapshot.checkout is None:
            raise NotFound("checkout", checkout_id)
        if not snapshot.checkout.ended:
            change.put_checkout(snapshot.checkout.invalidated(by=None, now=now))
            change.account = replace(change.account, cancelled_checkout_id=checkout_id)

    before = update(customer_id, checkout_id, step, services, now=now).loaded
    if before.checkout and not before.checkout.ended:
        _close(before.checkout, services, now=now)
    return services.table.load(customer_id, checkout_id)


def recover(
    customer_id: str,
    checkout_id: str,
    email: str | None,
    services: Services,
    *,
    now: int,
    email_digest: str | None = None,
) -> tuple[Snapshot, bool]:
    """Return the checkout with which the buyer of *checkout_id* goes on, and whether this call opened it.

    If the checkout can still be paid, it is returned. If it was paid, or a linked checkout was, the paid one is
    returned with its purchase. If it expired, was invalidated, failed to be paid or is missing at the provider, a new
    checkout with the same cart and context is opened. *email_digest* is as in `Order`. Raises NotFound, and what `buy`
    raises: AlreadySubscribed too, if a subscription of the cart's group runs.
    """
    seen = services.table.load(customer_id, checkout_id)
    if seen.checkout is None:
        raise NotFound("checkout", checkout_id)
    if seen.checkout.status is not CheckoutStatus.COMPLETED and seen.checkout.token:
        seen = _verified(seen.checkout, services, now=now)
    checkout = seen.checkout
    if checkout is None:
        raise NotFound("checkout", checkout_id)
    if is_paid(checkout, seen.purchase, now=now):
        return seen, False
    if checkout.status is CheckoutStatus.OPEN and checkout.holds_slot(now=now):
        refuse_second(checkout.cart, services.table.running(seen.account), now=now, policy=services.policy)
        return seen, False
    order = replace(_order_again(checkout, email), email_digest=email_digest)
    opened, new = buy(order, services, now=now)
    return services.table.load(customer_id, opened.checkout_id), new


def _verified(checkout: Checkout, services: Services, *, now: int) -> Snapshot:
    """Ask the provider about *checkout*, and return it after that. If its page is missing there, it has ended."""
    try:
        with within(ASK_WITHIN_S):
            look_at_page(checkout, Channel.POLL, services, now=now)
    except (ProviderUnavailable, ProviderRefused) as refusal:
        logger.warning("page.unseen", checkout_id=checkout.checkout_id, why=refusal.slug)
    return services.table.load(checkout.customer_id, checkout.checkout_id)


def _close(checkout: Checkout, services: Services, *, now: int) -> None:
    if checkout.token is None:
        return
    try:
        with within(ASK_WITHIN_S):
            if facts := services.provider(checkout.provider).close_page(checkout).facts:
                settle(facts, Channel.POLL, services, now=now)
    except Refusal as refusal:
        logger.warning("page.unclosed", checkout_id=checkout.checkout_id, why=refusal.slug)


def _order_again(checkout: Checkout, email: str | None) -> Order:
    return Order(
        customer_id=checkout.customer_id,
        email=email,
        offer_id=checkout.cart.offer_id,
        quantity=checkout.cart.quantity,
        provider=checkout.provider,
        success_url=without_checkout_id(checkout.success_url, checkout.checkout_id),
        cancel_url=without_checkout_id(checkout.cancel_url, checkout.checkout_id),
        context=checkout.context,
        cart=checkout.cart,
        recovers=checkout.checkout_id,
    )
