"""Buying: reserve a checkout, call the provider, record the page. Each step can be repeated after a crash."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from paidup.flows.confirm import refresh
from paidup.flows.open_page import open_page
from paidup.flows.services import Services
from paidup.flows.transact import transact
from paidup.model.access import PurchaseStatus
from paidup.model.account import Account
from paidup.model.checkout import Checkout, CheckoutStatus, IdempotencyRecord, reserved, same_purchase
from paidup.model.errors import Malformed, TooManyRequests, UnknownOffer
from paidup.model.fact import Channel
from paidup.model.offer import Cart, Kind, Offer
from paidup.model.policy import Policy
from paidup.model.purchase import Purchase
from paidup.model.settlement import book_again, ensure_booking_slot, release_stale_booking
from paidup.model.snapshot import ChangeSet, Snapshot
from paidup.outside.deadline import within
from paidup.outside.log import logger

BUY_WITHIN_S = 7.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a buyer asks for: a quantity of an offer, the provider, the return URLs, and the front end's `context`.

    If the buyer recovers a checkout, `recovers` is its id, and `cart` its cart with the price of that time. `key` is
    the caller's Idempotency-Key. For a week, the same key is answered with the same checkout.
    """

    customer_id: str
    email: str | None
    offer_id: str
    quantity: int
    provider: str | None
    success_url: str
    cancel_url: str
    context: Mapping[str, Any] | None = None
    cart: Cart | None = None
    key: str | None = None
    recovers: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a decision about an order needs. `snapshot` holds the customer's open checkout and booking slot.

    `replayed` is the earlier answer to the order's key. `previous` is the best checkout of the chain being recovered,
    or the one that the buyer cancelled last, if it may still be paid.
    """

    snapshot: Snapshot
    replayed: Checkout | None = None
    previous: Checkout | None = None
    previous_paid: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The checkout to go on with, whether this request reserved it, and the change to commit."""

    checkout: Checkout
    reserved: bool
    change: ChangeSet


def buy(order: Order, services: Services, *, now: int) -> tuple[Checkout, bool]:
    """Return the buyer's checkout for *order*, and whether this call opened it.

    If a checkout with the same cart is open, it is returned with the same token: two clicks, two tabs, two devices. If
    a checkout with another cart is open, the new one replaces it in the same transaction. If the open checkout was paid
    already, it is settled and returned.

    A live session needs the customer's one booking slot. A stale booking in the slot is ended first.

    Raises UnknownOffer, Malformed, TooManyRequests, Replaced and BookingInTheWay. Raises ProviderUnavailable and
    ProviderRefused within 10 s. The choice is kept then.
    """
    offer = services.table.offer(order.offer_id)
    with within(BUY_WITHIN_S):
        replayed = _replayed(order, services)
        if replayed and _is_final(replayed, now=now):
            return replayed, False
        may_be_live_session = offer is None or offer.kind is Kind.LIVE_SESSION
        if may_be_live_session and replayed is None and (paid := _book_on_credit(order, services, now=now)):
            return paid, False
        cart, provider = (replayed.cart, replayed.provider) if replayed else _cart(order, offer, services)
        paid = _paid_meanwhile(order, cart, services, now=now)
        choice = _choose(order, cart, provider, paid, services, now=now)
        if choice.checkout.status is not CheckoutStatus.OPENING:
            return choice.checkout, False
        return open_page(choice.checkout, order.email, services, ours=choice.reserved, now=now), choice.reserved


def _cart(order: Order, offer: Offer | None, services: Services) -> tuple[Cart, str]:
    """Return the cart and the provider's name: those of the recovered checkout, else those of the offer today.

    Raises UnknownOffer, and Malformed if the offer is not sold through the provider.
    """
    if order.cart and order.provider:
        return order.cart, order.provider
    if offer is None:
        raise UnknownOffer(order.offer_id)
    sold_through = [name for name in offer.providers or services.providers if name in services.providers]
    provider = order.provider or next(iter(sold_through), "")
    if provider not in sold_through:
        raise Malformed("provider", f"{order.offer_id} is sold through {', '.join(sold_through) or 'no provider here'}")
    return offer.cart(order.quantity), provider


def _paid_meanwhile(order: Order, cart: Cart, services: Services, *, now: int) -> Checkout | None:
    """Ask the provider about the open checkout. Return it if it is paid and has the same choice as *cart*."""
    open_one = services.table.load_open(order.customer_id).checkout
    if not (open_one and open_one.holds_slot(now=now) and refresh(open_one, Channel.POLL, services, now=now)):
        return None
    found = services.table.checkout(order.customer_id, open_one.checkout_id)
    completed = found is not None and found.status is CheckoutStatus.COMPLETED
    return found if found and completed and found.cart.same_choice(cart) else None


def _choose(order: Order, cart: Cart, provider: str, paid: Checkout | None, services: Services, *, now: int) -> Choice:
    """Choose the checkout to go on with, commit the change, and return the choice."""
    checkout_id = new_id(now=now)

    def load() -> Situation:
        return _situation(order, services, now=now)

    def choose(situation: Situation) -> Choice:
        return choice_of(order, cart, provider, paid, situation, checkout_id, services.policy, now=now)

    committed = transact(order.customer_id, load, lambda situation: choose(situation).change, services)
    choice = choose(committed.loaded)
    if choice.reserved:
        logger.info("checkout.reserved", checkout_id=choice.checkout.checkout_id, replaces=choice.checkout.replaces)
    return choice


def choice_of(
    order: Order,
    cart: Cart,
    provider: str,
    paid: Checkout | None,
    situation: Situation,
    checkout_id: str,
    policy: Policy,
    *,
    now: int,
) -> Choice:
    """Decide which checkout *order* goes on with. Pure. A new checkout gets the id *checkout_id*.

    *paid* is a checkout with the same choice that the provider has just reported as paid. Raises BookingInTheWay and
    TooManyRequests.
    """
    snapshot, replayed = situation.snapshot, situation.replayed
    change = ChangeSet(snapshot=snapshot, policy=policy, now=now)
    current = snapshot.checkout
    if replayed and _is_final(replayed, now=now):
        return Choice(checkout=replayed, reserved=False, change=change)
    if paid:
        return _keep(order, paid, change)
    if situation.previous and situation.previous_paid:  # paid in another tab: a second payment would go back
        return _keep(order, situation.previous, change)
    if current and current.holds_slot(now=now) and (current.cart, current.provider) == (cart, provider):
        return _keep(order, current, change)
    if current and not current.ended and replayed and current.checkout_id == replayed.checkout_id:
        again = current.reserved_again(now=now)
        change.put_checkout(again)
        return Choice(checkout=again, reserved=True, change=change)
    checkout = _reserve(order, cart, provider, situation, checkout_id, change)
    return Choice(checkout=checkout, reserved=True, change=change)


def _reserve(
    order: Order, cart: Cart, provider: str, situation: Situation, checkout_id: str, change: ChangeSet
) -> Checkout:
    """Put a new checkout into *change*, and end the open checkout that it replaces."""
    current, previous, now = situation.snapshot.checkout, situation.previous, change.now
    change.account = _counted(change)
    in_the_way = current if current and not current.ended else None
    checkout = reserved(
        checkout_id=checkout_id,
        customer_id=order.customer_id,
        cart=cart,
        provider=provider,
        success_url=with_checkout_id(order.success_url, checkout_id),
        cancel_url=with_checkout_id(order.cancel_url, checkout_id),
        lifetime_s=change.policy.checkout_lifetime_s,
        context=order.context,
        replaces=in_the_way.checkout_id if in_the_way else None,
        recovers=previous.checkout_id if previous else None,
        now=now,
    )
    if previous and (in_the_way is None or previous.checkout_id != in_the_way.checkout_id):
        change.put_checkout(replace(previous, replaced_by=checkout_id))
    if in_the_way:
        change.put_checkout(in_the_way.invalidated(by=checkout_id, now=now))
    if cart.kind is Kind.LIVE_SESSION:
        ensure_booking_slot(change)
    change.put_checkout(checkout)
    change.account = replace(change.account, open_checkout_id=checkout_id, cancelled_checkout_id=None)
    change.idempotency_record = _idempotency_record(order, checkout, now=now)
    return checkout


def _counted(change: ChangeSet) -> Account:
    """Return the account with one more new payment page counted. Raises TooManyRequests."""
    account, policy, now = change.account, change.policy, change.now
    recent = tuple(at for at in account.reservations if now - at < policy.new_pages_within_s)
    if len(recent) >= policy.new_pages:
        wait_s = recent[0] + policy.new_pages_within_s - now
        minutes = policy.new_pages_within_s // 60
        raise TooManyRequests(
            f"At most {policy.new_pages} new payment pages in {minutes} minutes.", retry_after_s=wait_s
        )
    return replace(account, reservations=(*recent, now))


def _keep(order: Order, there: Checkout, change: ChangeSet) -> Choice:
    """Go on with the checkout *there*. While it is open, it takes the context of the newest request."""
    kept = there if there.ended or order.context is None else replace(there, context=order.context)
    if kept != there:
        change.put_checkout(kept)
    change.idempotency_record = _idempotency_record(order, kept, now=change.now)
    return Choice(checkout=kept, reserved=False, change=change)


def _situation(order: Order, services: Services, *, now: int) -> Situation:
    """Read what a decision about *order* needs."""
    replayed = _replayed(order, services)
    snapshot = services.table.load_open(order.customer_id)
    if replayed and not replayed.ended and snapshot.account.open_checkout_id != replayed.checkout_id:
        replayed = _replayed(order, services)  # it ended between the two reads
    if order.recovers:
        previous, paid = _best_of_chain(order.customer_id, order.recovers, services, now=now)
        return Situation(snapshot=snapshot, replayed=replayed, previous=previous, previous_paid=paid)
    return Situation(snapshot=snapshot, replayed=replayed, previous=_cancelled(snapshot, services))


def _replayed(order: Order, services: Services) -> Checkout | None:
    """Return the checkout with which the same Idempotency-Key was answered before.

    Return None if that checkout ended before it had a page: the request then gets a new one. Raises Malformed if the
    key came with another cart.
    """
    record = services.table.idempotency_record(order.customer_id, order.key) if order.key else None
    if record is None:
        return None
    if (record.offer_id, record.quantity) != (order.offer_id, order.quantity):
        raise Malformed("Idempotency-Key", "was used for another cart; send a new key")
    found = services.table.checkout(order.customer_id, record.checkout_id)
    dead = found and found.ended and not found.token and found.status is not CheckoutStatus.COMPLETED
    return None if dead else found


def _is_final(replayed: Checkout, *, now: int) -> bool:
    """Whether a repeated request gets *replayed* as it is: it ended, or the deadline of its page is over."""
    return replayed.ended or (replayed.token is not None and not replayed.holds_slot(now=now))


def _idempotency_record(order: Order, checkout: Checkout, *, now: int) -> IdempotencyRecord | None:
    """Return the record that *order* was answered with *checkout*, or None if the order has no key."""
    if order.key is None:
        return None
    return IdempotencyRecord(
        customer_id=order.customer_id,
        key=order.key,
        offer_id=order.offer_id,
        quantity=order.quantity,
        checkout_id=checkout.checkout_id,
        at=now,
    )


def _best_of_chain(customer_id: str, checkout_id: str, services: Services, *, now: int) -> tuple[Checkout | None, bool]:
    """Return the best checkout of the chain being recovered, and whether it was paid.

    The best is one whose payment we keep, else any paid one, else the newest.
    """
    found = services.table.checkout(customer_id, checkout_id)
    if found is None:
        return None, False
    family = [found]
    if found.linked:
        family += same_purchase(found, services.table.checkouts_of(customer_id))
    completed = [one.checkout_id for one in family if one.status is CheckoutStatus.COMPLETED]
    purchases = services.table.purchases(customer_id, completed)

    def rank(one: Checkout) -> tuple[bool, bool, int, bool]:
        purchase = purchases.get(one.checkout_id)
        kept = purchase is not None and purchase.is_effective
        return (kept, is_paid(one, purchase, now=now), one.created_at, one.replaces is not None)

    best = max(family, key=rank)
    return best, is_paid(best, purchases.get(best.checkout_id), now=now)


def _cancelled(snapshot: Snapshot, services: Services) -> Checkout | None:
    """Return the checkout that the buyer cancelled last, if its page or a linked page may still be open.

    The buyer could pay there too, so a new checkout must be linked to it.
    """
    account = snapshot.account
    if account.cancelled_checkout_id is None:
        return None
    found = services.table.checkout(account.customer_id, account.cancelled_checkout_id)
    if found is None or found.status is not CheckoutStatus.INVALIDATED:
        return None
    others = same_purchase(found, services.table.checkouts_of(account.customer_id)) if found.linked else []
    payable = (one for one in (found, *others) if one.due_at is not None or (one.ended and not one.token))
    return found if next(payable, None) else None


def _book_on_credit(order: Order, services: Services, *, now: int) -> Checkout | None:
    """Book with a credit: a purchase whose earlier booking did not take place. Return its checkout, or None.

    A credit stays valid if the policy changes, or if the offer is no longer sold.
    """
    booking_id = new_id(now=now)

    def load() -> tuple[Snapshot, list[tuple[Purchase, Checkout]]]:
        snapshot = services.table.load_open(order.customer_id)
        purchases = services.table.purchases_of(order.customer_id)
        mine = [one for one in purchases if one.kind is Kind.LIVE_SESSION and one.offer_id == order.offer_id]
        granting = [one for one in mine if one.status_at(now=now, grace_s=services.policy.grace_s).grants]
        checkouts = [(one, services.table.checkout(order.customer_id, one.purchase_id)) for one in granting]
        return snapshot, [(one, paid) for one, paid in checkouts if paid]

    def credit(loaded: tuple[Snapshot, list[tuple[Purchase, Checkout]]]) -> tuple[Checkout | None, ChangeSet]:
        snapshot, paid_for = loaded
        change = ChangeSet(snapshot=snapshot, policy=services.policy, now=now)
        if release_stale_booking(change):
            for purchase, paid in paid_for:
                left = change.purchase(purchase.purchase_id) or purchase
                if left.status_at(now=now, grace_s=services.policy.grace_s).grants:
                    book_again(left, booking_id, change)
                    change.idempotency_record = _idempotency_record(order, paid, now=now)
                    return paid, change
        return None, ChangeSet(snapshot=snapshot, policy=services.policy, now=now)

    committed = transact(order.customer_id, load, lambda loaded: credit(loaded)[1], services)
    return credit(committed.loaded)[0]


def is_paid(checkout: Checkout, purchase: Purchase | None, *, now: int) -> bool:
    """Whether *checkout* is paid, or its delayed payment is pending. A delayed payment of *purchase* can fail."""
    failed = purchase is not None and purchase.status_at(now=now, grace_s=0).state is PurchaseStatus.FAILED
    return checkout.status is CheckoutStatus.COMPLETED and not failed


def new_id(*, now: int) -> str:
    """Return a new checkout id. Later ids sort after earlier ones. *now* is in epoch seconds."""
    return f"co_{now:09x}{secrets.token_hex(8)}"


def with_checkout_id(url: str, checkout_id: str) -> str:
    """Return *url* with the checkout's id as a query parameter. The rest of the URL stays the same."""
    rest, hash_sign, fragment = url.partition("#")
    return f"{rest}{'&' if '?' in rest else '?'}checkout_id={checkout_id}{hash_sign}{fragment}"


def without_checkout_id(url: str, checkout_id: str) -> str:
    """Return *url* as it was before `with_checkout_id`."""
    for mark in "?&":
        url = url.replace(f"{mark}checkout_id={checkout_id}", "")
    return url
