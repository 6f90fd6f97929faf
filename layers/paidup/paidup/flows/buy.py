"""Buying: reserve a checkout, call the provider, record the page. Each step can be repeated after a crash."""

import secrets
from dataclasses import replace

from paidup.flows.confirm import refresh
from paidup.flows.open_page import Replaced, open_page
from paidup.flows.services import Services
from paidup.flows.transact import transact
from paidup.model.booking import BookingInTheWay
from paidup.model.booking_slot import book_again, release_stale_booking
from paidup.model.checkout import Checkout, CheckoutStatus, same_purchase
from paidup.model.errors import (
    Contended,
    Malformed,
    ProviderRefused,
    ProviderUnavailable,
    TooManyRequests,
    UnknownOffer,
)
from paidup.model.fact import Channel
from paidup.model.group import AlreadySubscribed, exclusive_group, group_of
from paidup.model.offer import Cart, CatalogPrice, Kind, Offer
from paidup.model.order import Choice, Order, Situation, choose, idempotency_record_of, is_final, is_paid
from paidup.model.purchase import Purchase
from paidup.model.snapshot import ChangeSet, Snapshot
from paidup.outside.deadline import within
from paidup.outside.log import logger

BUY_WITHIN_S = 7.0

# What may refuse a cart that is on sale: a new one, and one that is recovered.
REFUSALS = (
    Replaced,
    AlreadySubscribed,
    BookingInTheWay,
    TooManyRequests,
    ProviderRefused,
    ProviderUnavailable,
    Contended,
)


def buy(order: Order, services: Services, *, now: int) -> tuple[Checkout, bool]:
    """Return the buyer's checkout for *order*, and whether this call opened it.

    If a checkout with the same cart is open, it is returned with the same token: two clicks, two tabs, two devices. If
    a checkout with another cart is open, the new one replaces it in the same transaction. If the open checkout was paid
    already, it is settled and returned.

    A live session needs the customer's one booking slot. A stale booking in the slot is ended first.

    Raises UnknownOffer, Malformed, TooManyRequests, AlreadySubscribed, Replaced and BookingInTheWay. Raises
    ProviderUnavailable and ProviderRefused within 10 s. The choice is kept then.
    """
    offer = services.table.offer(order.offer_id)
    with within(BUY_WITHIN_S):
        replayed = _replayed(order, services)
        if replayed and is_final(replayed, now=now):
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

    Raises UnknownOffer, Malformed if the offer is not sold through the provider or not with the code, and what the
    provider raises if it must be asked for the price or the code.
    """
    if order.cart and order.provider:
        return order.cart, order.provider
    if offer is None:
        raise UnknownOffer(order.offer_id)
    sold_through = [name for name in offer.providers or services.providers if name in services.providers]
    provider = order.provider or next(iter(sold_through), "")
    if provider not in sold_through:
        raise Malformed("provider", f"{order.offer_id} is sold through {', '.join(sold_through) or 'no provider here'}")
    cart = offer.cart(order.quantity, listed_price(offer, provider, services))
    return _discounted(cart, order, provider, services), provider


def listed_price(offer: Offer, provider: str, services: Services) -> CatalogPrice | None:
    """Return the price that *offer* names, as the provider's catalogue has it now; None if it names none.

    Raises ProviderRefused if the price is not as the offer says.
    """
    if offer.price is None:
        return None
    listed = services.provider(provider).price(offer.price)
    if differences := offer.differences(listed):
        raise ProviderRefused(provider, f"the offer {offer.offer_id!r} does not fit: {differences[0]}")
    return listed


def _discounted(cart: Cart, order: Order, provider: str, services: Services) -> Cart:
    """Return *cart* with the promotion whose code the order has. Raises Malformed if the code cannot be used.

    The provider is asked before anything is reserved: a mistyped code must not cost the buyer an open checkout.
    """
    if order.promotion_code is None:
        return cart
    if not cart.promotion_codes:
        raise Malformed("promotion_code", f"{cart.offer_id} is sold without codes")
    ref = services.table.account(order.customer_id).customer_ref(provider, cart.currency)
    found = services.provider(provider).promotion(order.promotion_code, customer_ref=ref)
    return replace(cart, promotion=found, promotion_code=order.promotion_code)


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
        return _situation(order, cart, services, now=now)

    def decide(situation: Situation) -> Choice:
        return choose(order, cart, provider, paid, situation, checkout_id, services.policy, now=now)

    committed = transact(order.customer_id, load, lambda situation: decide(situation).change, services)
    choice = decide(committed.loaded)
    if choice.reserved:
        logger.info("checkout.reserved", checkout_id=choice.checkout.checkout_id, replaces=choice.checkout.replaces)
    return choice


def _situation(order: Order, cart: Cart, services: Services, *, now: int) -> Situation:
    """Read what a decision about *order* needs. A customer of whom nothing runs, and a cart without a trial, cost no
    read more.
    """
    replayed = _replayed(order, services)
    snapshot = services.table.load_open(order.customer_id)
    if replayed and not replayed.ended and snapshot.account.open_checkout_id != replayed.checkout_id:
        replayed = _replayed(order, services)  # it ended between the two reads
    situation = Situation(
        snapshot=snapshot,
        replayed=replayed,
        running=services.table.running(snapshot.account) if exclusive_group(cart) else (),
        email_had_trial=_email_had_trial(order, cart, services),
    )
    if order.recovers:
        previous, paid = _best_of_chain(order.customer_id, order.recovers, services, now=now)
        return replace(situation, previous=previous, previous_paid=paid)
    return replace(situation, previous=_cancelled(snapshot, services))


def _email_had_trial(order: Order, cart: Cart, services: Services) -> bool:
    group = group_of(cart)
    if not cart.trial_days or group is None or order.email_digest is None:
        return False
    return services.table.had_trial(order.email_digest, group)


def _replayed(order: Order, services: Services) -> Checkout | None:
    """Return the checkout with which the same Idempotency-Key was answered before.

    Return None if that checkout ended before it had a page: the request then gets a new one. Raises Malformed if the
    key came with another cart.
    """
    record = services.table.idempotency_record(order.customer_id, order.key) if order.key else None
    if record is None:
        return None
    before = (record.offer_id, record.quantity, record.promotion_code)
    if before != (order.offer_id, order.quantity, order.promotion_code):
        raise Malformed("Idempotency-Key", "was used for another cart; send a new key")
    found = services.table.checkout(order.customer_id, record.checkout_id)
    dead = found and found.ended and not found.token and found.status is not CheckoutStatus.COMPLETED
    return None if dead else found


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
        granting = [one for one in mine if one.status_at(now=now, policy=services.policy).grants]
        checkouts = [(one, services.table.checkout(order.customer_id, one.purchase_id)) for one in granting]
        return snapshot, [(one, paid) for one, paid in checkouts if paid]

    def credit(loaded: tuple[Snapshot, list[tuple[Purchase, Checkout]]]) -> tuple[Checkout | None, ChangeSet]:
        snapshot, paid_for = loaded
        change = ChangeSet(snapshot=snapshot, policy=services.policy, now=now)
        if release_stale_booking(change):
            for purchase, paid in paid_for:
                left = change.purchase(purchase.purchase_id) or purchase
                if left.status_at(now=now, policy=services.policy).grants:
                    book_again(left, booking_id, change)
                    change.idempotency_record = idempotency_record_of(order, paid, now=now)
                    return paid, change
        return None, ChangeSet(snapshot=snapshot, policy=services.policy, now=now)

    committed = transact(order.customer_id, load, lambda loaded: credit(loaded)[1], services)
    return credit(committed.loaded)[0]


def new_id(*, now: int) -> str:
    """Return a new checkout id. Later ids sort after earlier ones. *now* is in epoch seconds."""
    return f"co_{now:09x}{secrets.token_hex(8)}"
