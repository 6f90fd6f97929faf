"""Opening: the provider's page for a reserved checkout. The same call, under the same key, finishes any crash."""

import time
from dataclasses import replace

from paidup.flows.services import Services
from paidup.model.checkout import Checkout, CheckoutStatus
from paidup.model.errors import Conflict, Contended, IdempotencyKeySpent
from paidup.model.snapshot import Change
from paidup.outside.dynamo.client import LostRace, attempts
from paidup.outside.log import logger

PAGE_TAKES_S = 2.5
LOOK_EVERY_S = 0.125


class Replaced(Conflict):
    """While its page was being opened, the buyer chose something else."""

    slug = "replaced"
    next_step = "Use the newer checkout, or send this request again to come back to this choice."

    def __init__(self, checkout: Checkout) -> None:
        """Refuse *checkout*, which a newer one replaced."""
        what = f"replaced by {checkout.replaced_by!r}" if checkout.replaced_by else "ended"
        super().__init__(f"Checkout {checkout.checkout_id!r} was {what} meanwhile.")


def open_page(checkout: Checkout, email: str | None, services: Services, *, ours: bool, now: int) -> Checkout:
    """Return *checkout* open on the provider's page: the same call, under the same key, whoever makes it.

    Where another request reserved it (not *ours*), that one is given a moment to finish first.
    """
    fresh = now - checkout.created_at <= PAGE_TAKES_S
    if not ours and fresh and (finished := _finished_meanwhile(checkout, services)):
        return finished
    try:
        refs = services.table.account(checkout.customer_id).customer_refs(checkout.provider)
        page = services.provider(checkout.provider).open_page(
            checkout, customer_ref=refs[0] if refs else None, email=email
        )
    except IdempotencyKeySpent:
        _ask_anew_next_time(checkout, services, now=now)
        raise
    for _ in attempts():
        seen = services.table.load_for_update(checkout.customer_id, checkout.checkout_id)
        if seen.checkout is None:
            raise LostRace
        if seen.checkout.status is CheckoutStatus.OPEN:
            return seen.checkout
        opened = _recorded(seen.checkout, page.token, page.url, page.expires_at, now=now)
        account = seen.account.known_as(page.customer_ref) if page.customer_ref else seen.account
        change = Change(account=account, checkouts=(opened,))
        try:
            services.table.commit(seen.account, change, now=now)
        except LostRace:
            continue
        if opened.status is CheckoutStatus.OPEN:
            logger.info("checkout.opened", checkout_id=opened.checkout_id, expires_at=opened.expires_at)
            return opened
        if opened.status is CheckoutStatus.COMPLETED:
            return opened
        raise Replaced(opened)
    raise Contended(checkout.customer_id)


def _recorded(checkout: Checkout, token: str, url: str, expires_at: int, *, now: int) -> Checkout:
    """Return *checkout* with the provider's page; where it ended meanwhile, the page is due to be closed."""
    if checkout.status is CheckoutStatus.COMPLETED:
        return checkout
    if checkout.status is CheckoutStatus.OPENING:
        return checkout.opened(token=token, url=url, expires_at=expires_at, now=now)
    return replace(checkout, token=token, url=url, due_at=now)


def _finished_meanwhile(checkout: Checkout, services: Services) -> Checkout | None:
    """Return *checkout* when somebody else's request has opened its page, waiting at most 2.5 s for that."""
    for _ in range(int(PAGE_TAKES_S / LOOK_EVERY_S)):
        time.sleep(LOOK_EVERY_S)
        found = services.table.checkout(checkout.customer_id, checkout.checkout_id)
        if found and found.status is not CheckoutStatus.OPENING:
            return found
    return None


def _ask_anew_next_time(checkout: Checkout, services: Services, *, now: int) -> None:
    """Give the next try a key of its own: the provider would replay this outage under the old one for a day."""
    seen = services.table.load_for_update(checkout.customer_id, checkout.checkout_id)
    if seen.checkout and seen.checkout.attempt == checkout.attempt:
        try:
            change = Change(account=seen.account, checkouts=(seen.checkout.retried(),))
            services.table.commit(seen.account, change, now=now)
        except LostRace:
            logger.info("checkout.raced", checkout_id=checkout.checkout_id)
