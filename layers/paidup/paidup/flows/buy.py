"""Buying: reserve, call, record. One open checkout a customer; every step can be made again after a crash."""

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from paidup.flows.confirm import ask
from paidup.flows.shop import Shop
from paidup.model.checkout import Checkout, CheckoutStatus, reserved
from paidup.model.fact import Road
from paidup.model.offer import Cart
from paidup.model.refusal import Conflict, Contended, Malformed, UnknownOffer
from paidup.outside.deadline import within
from paidup.outside.log import logger
from paidup.outside.stripe_facts import NAME
from paidup.outside.stripe_http import DeadAnswer
from paidup.outside.table import Change, LostRace, Seen, attempts

BUY_WITHIN_S = 8.0
PAGE_TAKES_S = 2.5


class Replaced(Conflict):
    """While its page was being opened, the buyer chose something else."""

    next_step = "Use the newer checkout, or send this request again to come back to this choice."

    def __init__(self, checkout: Checkout) -> None:
        """Refuse *checkout*, which a newer one replaced."""
        super().__init__(f"Checkout {checkout.checkout_id!r} was replaced by {checkout.replaced_by!r} meanwhile.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a buyer asks for: *quantity* of an offer, by which provider, where to come back to, and their own state.

    `key` is the caller's Idempotency-Key: the same key never opens a second checkout.
    """

    customer_id: str
    email: str | None
    offer_id: str
    quantity: int
    provider: str | None
    success_url: str
    cancel_url: str
    context: Mapping[str, Any] | None = None
    key: str | None = None


def buy(order: Order, shop: Shop, *, now: int) -> tuple[Checkout, bool]:
    """Return the buyer's checkout for *order*, and whether it was opened by this call.

    The same cart while one is open is that one, with the same token: two clicks, two tabs, two devices. Another cart
    replaces it in the same transaction. Where the open one was paid already, it is settled, not opened again.

    Raises UnknownOffer, Malformed, Replaced; ProviderUnavailable or ProviderRefused within 10 s, with the choice kept.
    """
    cart, provider = _cart(order, shop)
    with within(BUY_WITHIN_S):
        for _ in attempts():
            try:
                checkout, reserved_now = _reserve(order, cart, provider, shop, now=now)
                if checkout.status is not CheckoutStatus.OPENING:
                    return checkout, False
                return open_page(checkout, order.email, shop, ours=reserved_now, now=now), reserved_now
            except LostRace:
                continue
    raise Contended(order.customer_id)


def _cart(order: Order, shop: Shop) -> tuple[Cart, str]:
    offer = shop.table.offer(order.offer_id)
    if offer is None:
        raise UnknownOffer(order.offer_id)
    provider = order.provider or offer.providers[0]
    if provider not in offer.providers or provider != NAME:
        raise Malformed("provider", f"{order.offer_id} is sold through {', '.join(offer.providers)}")
    return offer.cart(order.quantity), provider


def _reserve(order: Order, cart: Cart, provider: str, shop: Shop, *, now: int) -> tuple[Checkout, bool]:
    """Return the checkout to go on with, and whether it was reserved here. Raises LostRace."""
    if order.key and (known := shop.table.checkout(order.customer_id, _id_of_key(order))):
        if known.cart != cart:
            raise Malformed("Idempotency-Key", "was used for another cart; send a new key")
        if known.ended:
            return known, False
    seen = shop.table.current(order.customer_id)
    if seen.checkout and seen.checkout.holds_slot(now=now) and ask(seen.checkout, Road.POLL, shop, now=now):
        paid = shop.table.checkout(order.customer_id, seen.checkout.checkout_id)
        if paid and paid.status is CheckoutStatus.COMPLETED and paid.cart == cart:
            return paid, False
        seen = shop.table.current(order.customer_id)
    current = seen.checkout
    if current and current.holds_slot(now=now) and current.cart == cart and current.provider == provider:
        return _kept(order, seen, current, shop, now=now), False
    return _replaced(order, cart, provider, seen, shop, now=now), True


def _kept(order: Order, seen: Seen, current: Checkout, shop: Shop, *, now: int) -> Checkout:
    """Return the open checkout; the caller's newest context is the one that is kept."""
    if order.context is None or order.context == current.context:
        return current
    kept = replace(current, context=order.context)
    shop.table.commit(seen.account, Change(account=seen.account, checkouts=(kept,)), now=now)
    return kept


def _replaced(order: Order, cart: Cart, provider: str, seen: Seen, shop: Shop, *, now: int) -> Checkout:
    """Write the intent to open a new checkout, and end the one in its way in the same transaction."""
    current = seen.checkout if seen.checkout and not seen.checkout.ended else None
    in_the_way = current if current and current.holds_slot(now=now) else None
    checkout_id = _id_of_key(order) if order.key else new_id(now=now)
    checkout = reserved(
        checkout_id=checkout_id,
        customer_id=order.customer_id,
        cart=cart,
        provider=provider,
        success_url=_coming_back(order.success_url, checkout_id),
        cancel_url=_coming_back(order.cancel_url, checkout_id),
        lifetime_s=shop.policy.checkout_lifetime_s,
        context=order.context,
        replaces=in_the_way.checkout_id if in_the_way else None,
        now=now,
    )
    ended = [in_the_way.invalidated(by=checkout.checkout_id, now=now)] if in_the_way else []
    account = replace(seen.account, open_checkout_id=checkout.checkout_id)
    shop.table.commit(seen.account, Change(account=account, checkouts=(checkout, *ended)), now=now)
    logger.info("checkout.reserved", checkout_id=checkout.checkout_id, replaces=checkout.replaces)
    return checkout


def open_page(checkout: Checkout, email: str | None, shop: Shop, *, ours: bool, now: int) -> Checkout:
    """Return *checkout* open on the provider's page: the same call, under the same key, whoever makes it.

    Where another request reserved it (not *ours*), that one is given a moment to finish first.
    """
    fresh = now - checkout.created_at <= PAGE_TAKES_S
    if not ours and fresh and (finished := _finished_meanwhile(checkout, shop)):
        return finished
    account = shop.table.account(checkout.customer_id)
    customer = (account.provider_ref or "").removeprefix(f"{NAME}#") or shop.stripe.customer(
        checkout.customer_id, email
    )
    try:
        page = shop.stripe.open_page(checkout, customer)
    except DeadAnswer:
        _ask_anew_next_time(checkout, shop, now=now)
        raise
    for _ in attempts():
        seen = shop.table.look(checkout.customer_id, checkout.checkout_id)
        if seen.checkout is None:
            raise LostRace
        if seen.checkout.status is CheckoutStatus.OPEN:
            return seen.checkout
        opened = _recorded(seen.checkout, page.token, page.url, page.expires_at, now=now)
        owned = seen.account.provider_ref or f"{NAME}#{customer}"
        change = Change(account=replace(seen.account, provider_ref=owned), checkouts=(opened,))
        try:
            shop.table.commit(seen.account, change, now=now)
        except LostRace:
            continue
        if opened.status is CheckoutStatus.OPEN:
            logger.info("checkout.opened", checkout_id=opened.checkout_id, expires_at=opened.expires_at)
            return opened
        raise Replaced(opened)
    raise Contended(checkout.customer_id)


def new_id(*, now: int) -> str:
    """Return a new checkout id: later ones sort after earlier ones."""
    return f"co_{now:09x}{secrets.token_hex(8)}"


def _recorded(checkout: Checkout, token: str, url: str, expires_at: int, *, now: int) -> Checkout:
    """Return *checkout* with the provider's page; where it ended meanwhile, the page is due to be closed."""
    if checkout.status is CheckoutStatus.OPENING:
        return checkout.opened(token=token, url=url, expires_at=expires_at, now=now)
    return replace(checkout, token=token, url=url, due_at=now)


def _finished_meanwhile(checkout: Checkout, shop: Shop) -> Checkout | None:
    waited_until = time.monotonic() + PAGE_TAKES_S
    while time.monotonic() < waited_until:
        time.sleep(0.15)
        found = shop.table.checkout(checkout.customer_id, checkout.checkout_id)
        if found and found.status is not CheckoutStatus.OPENING:
            return found
    return None


def _ask_anew_next_time(checkout: Checkout, shop: Shop, *, now: int) -> None:
    """Give the next try a key of its own: the provider would replay this outage under the old one for a day."""
    seen = shop.table.look(checkout.customer_id, checkout.checkout_id)
    if seen.checkout and seen.checkout.attempt == checkout.attempt:
        try:
            change = Change(account=seen.account, checkouts=(seen.checkout.retried(),))
            shop.table.commit(seen.account, change, now=now)
        except LostRace:
            logger.info("checkout.raced", checkout_id=checkout.checkout_id)


def _coming_back(url: str, checkout_id: str) -> str:
    """Return *url* with the checkout's id, which its caller could not know; the rest stays as it was written."""
    rest, hash_sign, fragment = url.partition("#")
    return f"{rest}{'&' if '?' in rest else '?'}checkout_id={checkout_id}{hash_sign}{fragment}"


def _id_of_key(order: Order) -> str:
    text = json.dumps([order.customer_id, order.key])
    return f"co_{sha256(text.encode()).hexdigest()[:25]}"
