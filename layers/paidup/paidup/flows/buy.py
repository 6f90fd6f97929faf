"""Buying: reserve, call, record. One open checkout a customer; every step can be made again after a crash."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from paidup.flows.book import book_on_credit
from paidup.flows.confirm import refresh
from paidup.flows.consequences import ensure_booking_slot, release_stale_booking
from paidup.flows.draft import Draft
from paidup.flows.open_page import open_page
from paidup.flows.services import Services
from paidup.model.access import PurchaseStatus
from paidup.model.account import Account
from paidup.model.checkout import Checkout, CheckoutStatus, IdempotencyRecord, reserved, same_purchase
from paidup.model.errors import Contended, Malformed, UnknownOffer
from paidup.model.fact import Channel
from paidup.model.offer import Cart, Kind, Offer
from paidup.model.purchase import Purchase
from paidup.model.snapshot import Change, Seen
from paidup.outside.deadline import within
from paidup.outside.dynamo.client import LostRace, attempts
from paidup.outside.log import logger

BUY_WITHIN_S = 7.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a buyer asks for: *quantity* of an offer, by which provider, where to come back to, and their own state.

    `cart` is what they chose before, at the price of that time; `recovers` is the checkout that they go on from. `key`
    is the caller's Idempotency-Key: for a week it is answered with the same checkout.
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


def buy(order: Order, services: Services, *, now: int) -> tuple[Checkout, bool]:
    """Return the buyer's checkout for *order*, and whether it was opened by this call.

    The same cart while one is open is that one, with the same token: two clicks, two tabs, two devices. Another cart
    replaces it in the same transaction. Where the open one was paid already, it is settled, not opened again.

    A live session waits for the customer's one open booking: BookingInTheWay tells which it is; a stale one is called
    off on the way.

    Raises UnknownOffer, Malformed, Replaced, BookingInTheWay; ProviderUnavailable or ProviderRefused within 10 s, with
    the choice kept.
    """
    offer = services.table.offer(order.offer_id)
    with within(BUY_WITHIN_S):
        for _ in attempts():
            try:
                mine = _replayed(order, services)
                if mine and (mine.ended or (mine.token and not mine.holds_slot(now=now))):
                    return mine, False
                live_session = offer is None or offer.kind is Kind.LIVE_SESSION
                if live_session and mine is None and (paid := _on_credit(order, services, now=now)):
                    return paid, False
                cart, provider = (mine.cart, mine.provider) if mine else _cart(order, offer, services)
                checkout, reserved_now = _reserve(order, mine, cart, provider, services, now=now)
                if checkout.status is not CheckoutStatus.OPENING:
                    return checkout, False
                return open_page(checkout, order.email, services, ours=reserved_now, now=now), reserved_now
            except LostRace:
                continue
    raise Contended(order.customer_id)


def _cart(order: Order, offer: Offer | None, services: Services) -> tuple[Cart, str]:
    """Return what is bought, and through whom: as it was chosen, where the buyer goes on; else as it is sold today."""
    if order.cart and order.provider:
        return order.cart, order.provider
    if offer is None:
        raise UnknownOffer(order.offer_id)
    sold_through = [name for name in offer.providers or services.providers if name in services.providers]
    if (order.provider or sold_through[0]) not in sold_through:
        raise Malformed("provider", f"{order.offer_id} is sold through {', '.join(sold_through)}")
    return offer.cart(order.quantity), order.provider or sold_through[0]


def _reserve(
    order: Order, mine: Checkout | None, cart: Cart, provider: str, services: Services, *, now: int
) -> tuple[Checkout, bool]:
    """Return the checkout to go on with, and whether it was reserved here; *mine* is what the order's key was answered
    with before. Raises LostRace.
    """
    seen = services.table.load_open(order.customer_id)
    if seen.checkout and seen.checkout.holds_slot(now=now) and refresh(seen.checkout, Channel.POLL, services, now=now):
        paid = services.table.checkout(order.customer_id, seen.checkout.checkout_id)
        if paid and paid.status is CheckoutStatus.COMPLETED and paid.cart.same_choice(cart):
            return _kept(order, services.table.load_open(order.customer_id), paid, services, now=now), False
        seen = services.table.load_open(order.customer_id)
    last = _last_of(order, services, now=now)
    if last and is_paid(last, services.table.purchase(order.customer_id, last.checkout_id), now=now):
        # bought in another tab: what is paid once more would go back
        return _kept(order, seen, last, services, now=now), False
    current = seen.checkout
    if current and current.holds_slot(now=now) and current.cart == cart and current.provider == provider:
        return _kept(order, seen, current, services, now=now), False
    if current and not current.ended and mine and current.checkout_id == mine.checkout_id:
        again = current.reserved_again(now=now)
        services.table.commit(seen.account, Change(account=seen.account, checkouts=(again,)), now=now)
        return again, True
    if mine:
        raise LostRace  # it was in the slot a moment ago: whoever ended it meanwhile, its key opens no second one
    return _replaced(order, cart, provider, seen, services, now=now), True


def _replayed(order: Order, services: Services) -> Checkout | None:
    """Return the checkout with which this very request was answered before; None where it ended before it ever had a
    page: who sends the request again is to get one. Raises Malformed where the key came with another cart.
    """
    idempotency_record = services.table.idempotency_record(order.customer_id, order.key) if order.key else None
    if idempotency_record is None:
        return None
    if (idempotency_record.offer_id, idempotency_record.quantity) != (order.offer_id, order.quantity):
        raise Malformed("Idempotency-Key", "was used for another cart; send a new key")
    found = services.table.checkout(order.customer_id, idempotency_record.checkout_id)
    dead = found and found.ended and not found.token and found.status is not CheckoutStatus.COMPLETED
    return None if dead else found


def _idempotency_record(order: Order, checkout: Checkout, *, now: int) -> IdempotencyRecord | None:
    """Return what to remember of answering *order* with *checkout*."""
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


def _kept(order: Order, seen: Seen, there: Checkout, services: Services, *, now: int) -> Checkout:
    """Return the checkout that is *there* already; while it is open, the caller's newest context is the one kept."""
    kept = there if there.ended or order.context is None else replace(there, context=order.context)
    if kept != there or order.key:
        checkouts = (kept,) if kept != there else ()
        change = Change(
            account=seen.account, checkouts=checkouts, idempotency_record=_idempotency_record(order, kept, now=now)
        )
        services.table.commit(seen.account, change, now=now)
    return kept


def _replaced(order: Order, cart: Cart, provider: str, seen: Seen, services: Services, *, now: int) -> Checkout:
    """Write the intent to open a new checkout, and end what is in its way in the same transaction."""
    in_the_way = seen.checkout if seen.checkout and not seen.checkout.ended else None
    last = _last_of(order, services, now=now) or _cancelled(seen.account, services)
    checkout_id = new_id(now=now)
    checkout = reserved(
        checkout_id=checkout_id,
        customer_id=order.customer_id,
        cart=cart,
        provider=provider,
        success_url=with_checkout_id(order.success_url, checkout_id),
        cancel_url=with_checkout_id(order.cancel_url, checkout_id),
        lifetime_s=services.policy.checkout_lifetime_s,
        context=order.context,
        replaces=in_the_way.checkout_id if in_the_way else None,
        recovers=last.checkout_id if last else None,
        now=now,
    )
    draft = Draft(seen=seen, account=seen.account, now=now, grace_s=services.policy.grace_s)
    if last and (in_the_way is None or last.checkout_id != in_the_way.checkout_id):
        draft.put_checkout(replace(last, replaced_by=checkout_id))
    if in_the_way:
        draft.put_checkout(in_the_way.invalidated(by=checkout_id, now=now))
    if cart.kind is Kind.LIVE_SESSION:
        ensure_booking_slot(draft, services)
    draft.put_checkout(checkout)
    draft.account = replace(draft.account, open_checkout_id=checkout_id, cancelled_checkout_id=None)
    change = draft.change() or Change(account=draft.account)
    services.table.commit(
        seen.account, replace(change, idempotency_record=_idempotency_record(order, checkout, now=now)), now=now
    )
    logger.info("checkout.reserved", checkout_id=checkout_id, replaces=checkout.replaces)
    return checkout


def _last_of(order: Order, services: Services, *, now: int) -> Checkout | None:
    """Return the checkout of the purchase that the buyer goes on with which is paid for and kept, or was paid for, or
    is the newest, so that one payment of all is kept; None where they go on with nothing.
    """
    found = services.table.checkout(order.customer_id, order.recovers) if order.recovers else None
    if found is None or not found.linked:
        return found
    family = [found, *same_purchase(found, services.table.checkouts_of(order.customer_id))]

    def rank(one: Checkout) -> tuple[bool, bool, int, bool]:
        purchase = (
            services.table.purchase(order.customer_id, one.checkout_id)
            if one.status is CheckoutStatus.COMPLETED
            else None
        )
        kept = purchase is not None and purchase.is_effective
        return (kept, is_paid(one, purchase, now=now), one.created_at, one.replaces is not None)

    return max(family, key=rank)


def _cancelled(account: Account, services: Services) -> Checkout | None:
    """Return what the buyer cancelled while its page, or one that it replaced, was not closed yet: that may be paid
    beside the new one.
    """
    if account.cancelled_checkout_id is None:
        return None
    found = services.table.checkout(account.customer_id, account.cancelled_checkout_id)
    if found is None or found.status is not CheckoutStatus.INVALIDATED:
        return None
    others = same_purchase(found, services.table.checkouts_of(account.customer_id)) if found.linked else []
    payable = (one for one in (found, *others) if one.due_at is not None or (one.ended and not one.token))
    return found if next(payable, None) else None


def _on_credit(order: Order, services: Services, *, now: int) -> Checkout | None:
    """Book with a pass whose earlier booking did not take place; None where there is no such credit.

    What was credited stays so, whatever the policy is by now, and whether the offer is still sold.
    """
    seen, purchases = services.table.load_account(order.customer_id)
    draft = Draft(seen=Seen(account=seen.account), account=seen.account, now=now, grace_s=services.policy.grace_s)
    if not release_stale_booking(draft, services):
        return None
    for purchase in (draft.purchases.get(one.purchase_id, one) for one in purchases):
        grants = purchase.status_at(now=now, grace_s=services.policy.grace_s).grants
        paid = services.table.checkout(order.customer_id, purchase.purchase_id) if grants else None
        if paid and purchase.kind is Kind.LIVE_SESSION and purchase.offer_id == order.offer_id:
            book_on_credit(purchase, new_id(now=now), draft, services)
            change = draft.change() or Change(account=draft.account)
            services.table.commit(
                seen.account, replace(change, idempotency_record=_idempotency_record(order, paid, now=now)), now=now
            )
            return paid
    return None


def is_paid(checkout: Checkout, purchase: Purchase | None, *, now: int) -> bool:
    """Whether *checkout* was paid for, or may yet be: a delayed payment (of the pass *held*) can fail after all."""
    failed = purchase is not None and purchase.status_at(now=now, grace_s=0).state is PurchaseStatus.FAILED
    return checkout.status is CheckoutStatus.COMPLETED and not failed


def new_id(*, now: int) -> str:
    """Return a new checkout id: later ones sort after earlier ones."""
    return f"co_{now:09x}{secrets.token_hex(8)}"


def with_checkout_id(url: str, checkout_id: str) -> str:
    """Return *url* with the checkout's id, which its caller could not know; the rest stays as it was written."""
    rest, hash_sign, fragment = url.partition("#")
    return f"{rest}{'&' if '?' in rest else '?'}checkout_id={checkout_id}{hash_sign}{fragment}"


def without_checkout_id(url: str, checkout_id: str) -> str:
    """Return *url* as its caller gave it, before `coming_back`."""
    for mark in "?&":
        url = url.replace(f"{mark}checkout_id={checkout_id}", "")
    return url
