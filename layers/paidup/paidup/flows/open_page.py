"""Opening the provider's page for a reserved checkout. After a crash, the same call under the same key finishes."""

import time
from dataclasses import replace

from paidup.flows.services import Services
from paidup.flows.settle import settle
from paidup.flows.transact import update
from paidup.model.account import Account
from paidup.model.checkout import Checkout, CheckoutStatus
from paidup.model.errors import (
    Conflict,
    Contended,
    IdempotencyKeySpent,
    ProviderRefused,
    ProviderUnavailable,
    Refusal,
)
from paidup.model.fact import Channel
from paidup.model.provider import Page
from paidup.model.snapshot import ChangeSet, Snapshot
from paidup.outside.log import logger

PAGE_TAKES_S = 2.5
LOOK_EVERY_S = 0.125


class Replaced(Conflict):
    """The buyer chose something else while the page was being opened."""

    slug = "replaced"
    next_step = "Use the newer checkout, or send this request again to come back to this choice."

    def __init__(self, checkout: Checkout) -> None:
        """Refuse *checkout*, because a newer one replaced it or it ended."""
        what = f"replaced by {checkout.replaced_by!r}" if checkout.replaced_by else "ended"
        super().__init__(f"Checkout {checkout.checkout_id!r} was {what} meanwhile.")


def open_page(checkout: Checkout, email: str | None, services: Services, *, ours: bool, now: int) -> Checkout:
    """Return *checkout* open on the provider's page. Every request for it makes the same call under the same key.

    If another request reserved the checkout (not *ours*), wait at most 2.5 s for that request first. Raises Replaced.
    """
    fresh = now - checkout.created_at <= PAGE_TAKES_S
    if not ours and fresh and (finished := _finished_meanwhile(checkout, services)):
        return finished
    account = services.table.account(checkout.customer_id)
    _close_other_currency(checkout, services, now=now)
    told = _tell_email(account, checkout.provider, email, services)
    try:
        page = services.provider(checkout.provider).open_page(
            checkout, customer_ref=account.customer_ref(checkout.provider, checkout.cart.currency), email=email
        )
    except IdempotencyKeySpent:
        _use_another_key(checkout, services, now=now)
        raise
    opened = _record(checkout, page, email, told, services, now=now)
    if opened.status not in (CheckoutStatus.OPEN, CheckoutStatus.COMPLETED):
        raise Replaced(opened)
    return opened


def _close_other_currency(checkout: Checkout, services: Services, *, now: int) -> None:
    """Close the page that *checkout* replaces, if it is in another currency: the provider may count it as running.

    If the provider does not close it, the sweep does. Raises Replaced if it was paid meanwhile.
    """
    replaced = services.table.checkout(checkout.customer_id, checkout.replaces) if checkout.replaces else None
    if replaced is None or replaced.due_at is None or replaced.cart.currency == checkout.cart.currency:
        return
    try:
        if facts := services.provider(replaced.provider).close_page(replaced).facts:
            settle(facts, Channel.POLL, services, now=now)
    except Refusal as refusal:
        logger.warning("page.unclosed", checkout_id=replaced.checkout_id, why=refusal.slug)
    there = services.table.checkout(checkout.customer_id, checkout.checkout_id)
    if there and there.ended:
        raise Replaced(there)


def _tell_email(account: Account, provider: str, email: str | None, services: Services) -> list[str]:
    """Give the customers whom *provider* knows by an older address the address *email*. Return those who have it now.

    An address that the provider refuses counts as told: it must stop neither this sale nor the next.
    """
    told = []
    for ref in account.outdated(provider, email):
        try:
            services.provider(provider).change_email(ref, email or "")
            told.append(ref)
        except ProviderRefused as refusal:
            logger.warning("email.refused", provider=provider, why=refusal.slug)
            told.append(ref)
        except ProviderUnavailable as refusal:
            logger.warning("email.untold", provider=provider, why=refusal.slug)
    return told


def _record(
    checkout: Checkout, page: Page, email: str | None, told: list[str], services: Services, *, now: int
) -> Checkout:
    """Record *page*, and return the new checkout. If the checkout ended meanwhile, its page is due to be closed.

    *told* are the provider's customers who have the address *email* now.
    """

    def step(snapshot: Snapshot, change: ChangeSet) -> None:
        there = _there(snapshot, checkout)
        if there.status in (CheckoutStatus.OPEN, CheckoutStatus.COMPLETED):
            return
        if there.status is CheckoutStatus.OPENING:
            opened = there.opened(token=page.token, url=page.url, expires_at=page.expires_at, now=now)
        else:
            opened = replace(there, token=page.token, url=page.url, due_at=now)
        change.put_checkout(opened)
        change.account = _knowing(change.account, checkout, page, email, told)

    committed = update(checkout.customer_id, checkout.checkout_id, step, services, now=now)
    if committed.change.empty:
        return _there(committed.loaded, checkout)
    opened = committed.change.checkouts[checkout.checkout_id]
    logger.info("checkout.opened", checkout_id=opened.checkout_id, expires_at=opened.expires_at, status=opened.status)
    return opened


def _knowing(account: Account, checkout: Checkout, page: Page, email: str | None, told: list[str]) -> Account:
    """Return *account* with the customer of *page*, and with what is known of the provider's e-mail addresses."""
    for known in told:
        account = account.with_email(known, email)
    ref, currency = page.customer_ref, checkout.cart.currency
    if ref is None:
        return account
    alone = page.one_currency or f"{checkout.provider}#{currency}" in account.customers
    account = account.known_as(ref, currency=currency if alone else None)
    return account if ref in account.emails else account.with_email(ref, email)


def _finished_meanwhile(checkout: Checkout, services: Services) -> Checkout | None:
    """Wait at most 2.5 s until another request has opened the page. Return the checkout then, else None."""
    for _ in range(int(PAGE_TAKES_S / LOOK_EVERY_S)):
        time.sleep(LOOK_EVERY_S)
        found = services.table.checkout(checkout.customer_id, checkout.checkout_id)
        if found and found.status is not CheckoutStatus.OPENING:
            return found
    return None


def _use_another_key(checkout: Checkout, services: Services, *, now: int) -> None:
    """Give the next try a new key: under the old key, the provider would repeat this outage."""

    def step(snapshot: Snapshot, change: ChangeSet) -> None:
        if snapshot.checkout and snapshot.checkout.attempt == checkout.attempt:
            change.put_checkout(snapshot.checkout.retried())

    update(checkout.customer_id, checkout.checkout_id, step, services, now=now)


def _there(snapshot: Snapshot, checkout: Checkout) -> Checkout:
    """Return *checkout* as it was read. Raises Contended if the snapshot has none."""
    if snapshot.checkout is None:
        raise Contended(checkout.customer_id)
    return snapshot.checkout
