"""Orders: what a buyer asks for, and which checkout they go on with. Pure; `flows.buy` reads and writes around it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from paidup.model.access import PurchaseStatus
from paidup.model.account import Account
from paidup.model.booking_slot import ensure_booking_slot
from paidup.model.checkout import Checkout, CheckoutStatus, IdempotencyRecord, reserved
from paidup.model.errors import TooManyRequests
from paidup.model.group import Running, group_of, refuse_second
from paidup.model.offer import Cart, Kind
from paidup.model.policy import Policy
from paidup.model.purchase import Purchase
from paidup.model.snapshot import ChangeSet, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a buyer asks for: a quantity of an offer, the provider, the return URLs, and the front end's `context`.

    `promotion_code` is a code for a discount.

    If the buyer recovers a checkout, `recovers` is its id, and `cart` its cart with the price of that time. `key` is
    the caller's Idempotency-Key. For a week, the same key is answered with the same checkout. `email_digest` stands for
    the e-mail address, if the identity provider says that it verified the address.
    """

    customer_id: str
    email: str | None
    offer_id: str
    quantity: int
    provider: str | None
    success_url: str
    cancel_url: str
    context: Mapping[str, Any] | None = None
    email_digest: str | None = None
    cart: Cart | None = None
    key: str | None = None
    recovers: str | None = None
    promotion_code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a decision about an order needs. `snapshot` holds the customer's open checkout and booking slot.

    `replayed` is the earlier answer to the order's key. `previous` is the best checkout of the chain being recovered,
    or the one that the buyer cancelled last, if it may still be paid. `running` are the customer's purchases that run.
    `email_had_trial` says that a trial of the cart's group began for the buyer's e-mail address.
    """

    snapshot: Snapshot
    replayed: Checkout | None = None
    previous: Checkout | None = None
    previous_paid: bool = False
    running: tuple[Running, ...] = ()
    email_had_trial: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The checkout to go on with, whether this request reserved it, and the change to commit."""

    checkout: Checkout
    reserved: bool
    change: ChangeSet


def choose(
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

    *paid* is a checkout with the same choice that the provider has just reported as paid. Raises AlreadySubscribed,
    BookingInTheWay and TooManyRequests.
    """
    snapshot, replayed = situation.snapshot, situation.replayed
    change = ChangeSet(snapshot=snapshot, policy=policy, now=now)
    current = snapshot.checkout
    if replayed and is_final(replayed, now=now):
        return Choice(checkout=replayed, reserved=False, change=change)
    if paid:
        return _keep(order, paid, change)
    if situation.previous and situation.previous_paid:  # paid in another tab: a second payment would go back
        return _keep(order, situation.previous, change)
    refuse_second(cart, situation.running, now=now, policy=policy)
    cart = _without_used_trial(cart, situation)
    if current and current.holds_slot(now=now) and (current.cart, current.provider) == (cart, provider):
        return _keep(order, current, change)
    again_ours = current and not current.ended and replayed and current.checkout_id == replayed.checkout_id
    if current and again_ours and current.cart == cart:
        again = current.reserved_again(now=now)
        change.put_checkout(again)
        return Choice(checkout=again, reserved=True, change=change)
    checkout = _reserve(order, cart, provider, situation, checkout_id, change)
    return Choice(checkout=checkout, reserved=True, change=change)


def _without_used_trial(cart: Cart, situation: Situation) -> Cart:
    """Return *cart*, without trial days if the customer or the e-mail address has had the trial of its group."""
    used = situation.email_had_trial or group_of(cart) in situation.snapshot.account.trials
    return replace(cart, trial_days=None) if cart.trial_days and used else cart


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
        trial_email=order.email_digest if cart.trial_days else None,
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
    change.idempotency_record = idempotency_record_of(order, checkout, now=now)
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
    change.idempotency_record = idempotency_record_of(order, kept, now=change.now)
    return Choice(checkout=kept, reserved=False, change=change)


def is_final(replayed: Checkout, *, now: int) -> bool:
    """Whether a repeated request gets *replayed* as it is: it ended, or the deadline of its page is over."""
    return replayed.ended or (replayed.token is not None and not replayed.holds_slot(now=now))


def idempotency_record_of(order: Order, checkout: Checkout, *, now: int) -> IdempotencyRecord | None:
    """Return the record that *order* was answered with *checkout*, or None if the order has no key."""
    if order.key is None:
        return None
    return IdempotencyRecord(
        customer_id=order.customer_id,
        key=order.key,
        offer_id=order.offer_id,
        quantity=order.quantity,
        promotion_code=order.promotion_code,
        checkout_id=checkout.checkout_id,
        at=now,
    )


def is_paid(checkout: Checkout, purchase: Purchase | None, *, now: int) -> bool:
    """Whether *checkout* is paid, or its delayed payment is pending. A delayed payment of *purchase* can fail."""
    failed = purchase is not None and purchase.status_at(now=now, policy=Policy()).state is PurchaseStatus.FAILED
    return checkout.status is CheckoutStatus.COMPLETED and not failed


def with_checkout_id(url: str, checkout_id: str) -> str:
    """Return *url* with the checkout's id as a query parameter. The rest of the URL stays the same."""
    rest, hash_sign, fragment = url.partition("#")
    return f"{rest}{'&' if '?' in rest else '?'}checkout_id={checkout_id}{hash_sign}{fragment}"


def without_checkout_id(url: str, checkout_id: str) -> str:
    """Return *url* as it was before `with_checkout_id`."""
    for mark in "?&":
        url = url.replace(f"{mark}checkout_id={checkout_id}", "")
    return url
