"""Opening the provider's page for a reserved checkout. After a crash, the same call under the same key finishes."""

import time
from dataclasses import replace

from paidup.flows.services import Services
from paidup.flows.transact import update
from paidup.model.checkout import Checkout, CheckoutStatus
from paidup.model.errors import Conflict, Contended, IdempotencyKeySpent
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
    refs = services.table.account(checkout.customer_id).customer_refs(checkout.provider)
    try:
        page = services.provider(checkout.provider).open_page(
            checkout, customer_ref=refs[0] if refs else None, email=email
        )
    except IdempotencyKeySpent:
        _use_another_key(checkout, services, now=now)
        raise
    opened = _record(checkout, page, services, now=now)
    if opened.status not in (CheckoutStatus.OPEN, CheckoutStatus.COMPLETED):
        raise Replaced(opened)
    return opened


def _record(checkout: Checkout, page: Page, services: Services, *, now: int) -> Checkout:
    """Record *page*, and return the new checkout. If the checkout ended meanwhile, its page is due to be closed."""

    def step(snapshot: Snapshot, change: ChangeSet) -> None:
        there = _there(snapshot, checkout)
        if there.status in (CheckoutStatus.OPEN, CheckoutStatus.COMPLETED):
            return
        if there.status is CheckoutStatus.OPENING:
            opened = there.opened(token=page.token, url=page.url, expires_at=page.expires_at, now=now)
        else:
            opened = replace(there, token=page.token, url=page.url, due_at=now)
        change.put_checkout(opened)
        if page.customer_ref:
            change.account = change.account.known_as(page.customer_ref)

    committed = update(checkout.customer_id, checkout.checkout_id, step, services, now=now)
    if committed.change.empty:
        return _there(committed.loaded, checkout)
    opened = committed.change.checkouts[checkout.checkout_id]
    logger.info("checkout.opened", checkout_id=opened.checkout_id, expires_at=opened.expires_at, status=opened.status)
    return opened


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
