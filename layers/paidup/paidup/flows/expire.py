"""Expiring: what the clock ends. Checkouts past their time, pages that must be closed, passes that run out."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from paidup.flows.book import lapse
from paidup.flows.draft import Draft, rewritten
from paidup.flows.refund import repay
from paidup.flows.services import Shop
from paidup.flows.settle import settle
from paidup.model.account import Whose
from paidup.model.checkout import Checkout
from paidup.model.errors import NotYetKnown, ProviderRefused, ProviderUnavailable
from paidup.model.fact import Road
from paidup.model.purchase import Pass
from paidup.model.snapshot import Due
from paidup.model.timeline import TimelineEntry
from paidup.outside.deadline import within
from paidup.outside.dynamo.items import DUE_SHARDS, PAGE_SHARDS, SHARDS
from paidup.outside.log import logger
from paidup.outside.stripe.client import Gone

ASK_WITHIN_S = 6.0
ASK_AGAIN_S = 600
SPARE_S = 10.0
TO_WRITE_S = 3.0
OUTAGES_ENDURED = 3


@dataclass(slots=True, kw_only=True)
class Swept:
    """What one run did: things ended, closed or found paid, put off because the provider did not answer or refused,
    how often it was silent, failed by a mistake of ours or an outage of the table, and whether time ran out.
    """

    ended: int = 0
    postponed: int = 0
    silences: int = 0
    failed: int = 0
    unfinished: bool = False

    def put_off(self, *, silent: bool) -> None:
        """Count something that could not be done now: the provider was *silent*, or refused this one thing."""
        self.postponed += 1
        self.silences += silent


class Unswept(Exception):
    """Something that was due could not be dealt with; all else was."""


def expire(shop: Shop, *, now: int, time_left: Callable[[], float]) -> Swept:
    """End what is due at *now* (epoch seconds): bookings, access and refunds first, then checkouts; the longest due
    first in each of the index's shards.

    Stops 10 s before *time_left* (seconds) runs out, and after three outages of the provider: the next run goes on,
    beginning at another shard. Touches only what is due. What fails does not hold up the others.
    """
    swept = Swept()
    first = now // 60 % SHARDS
    for shards in (DUE_SHARDS, PAGE_SHARDS):
        for due in (due for shard in shards[first:] + shards[:first] for due in shop.table.due(shard, now=now)):
            if due.checkout_id and swept.silences >= OUTAGES_ENDURED:
                return swept
            if not _dealt_with(due, shop, swept, left_s=time_left(), now=now):
                return swept
    return swept


def _dealt_with(due: Due, shop: Shop, swept: Swept, *, left_s: float, now: int) -> bool:
    """Act on *due*, and return False where the *left_s* seconds do not suffice for it."""
    if left_s < SPARE_S:
        swept.unfinished = True
        return False
    try:
        with within(left_s - TO_WRITE_S):
            _act_on(due, shop, swept, silent=swept.silences >= OUTAGES_ENDURED, now=now)
    except Exception:
        logger.exception("due.failed", customer_id=due.customer_id)
        swept.failed += 1
    return True


def _act_on(due: Due, shop: Shop, swept: Swept, *, silent: bool, now: int) -> None:
    """Do what is *due*; where the provider is *silent*, only what needs no word from it."""
    if due.booking_id:
        booking = lapse(due.customer_id, due.booking_id, shop, now=now)
        swept.ended += booking is not None and not booking.open
        if booking and not silent and not repay(booking.customer_id, booking.pass_id, shop, now=now):
            swept.put_off(silent=True)
    elif due.pass_id:
        _end_pass(due, shop, swept, ask=not silent, now=now)
        if not silent and not repay(due.customer_id, due.pass_id, shop, now=now):
            swept.put_off(silent=True)
    elif due.checkout_id:
        _end_checkout(due, shop, swept, now=now)


def _end_checkout(due: Due, shop: Shop, swept: Swept, *, now: int) -> None:
    """Close the provider's page first: if it was paid after all, that is settled; else the checkout has ended."""
    checkout = shop.table.checkout(due.customer_id, due.checkout_id or "")
    if checkout is None or checkout.due_at is None or checkout.due_at > now:
        return
    try:
        if checkout.token:
            with within(ASK_WITHIN_S):
                if facts := shop.stripe.close_page(checkout.token).facts:
                    settle(facts, Road.SWEEP, shop, now=now)
    except Gone:
        logger.warning("page.gone", checkout_id=checkout.checkout_id)
    except (ProviderUnavailable, ProviderRefused) as refusal:
        logger.warning("page.unclosed", checkout_id=checkout.checkout_id, why=refusal.slug)
        _rewrite(due, Checkout.postponed, shop, now=now)
        swept.put_off(silent=isinstance(refusal, ProviderUnavailable))
        return
    _rewrite(due, lambda one, *, now: one.page_closed() if one.ended else one.expired(now=now), shop, now=now)
    swept.ended += 1


def _rewrite(due: Due, move: Callable[..., Checkout], shop: Shop, *, now: int) -> None:
    """*move* the checkout if it is still due."""

    def step(draft: Draft) -> None:
        checkout = draft.seen.checkout
        if checkout and checkout.due_at is not None and checkout.due_at <= now:
            draft.put_checkout(move(checkout, now=now))
            logger.info("checkout.ended", checkout_id=checkout.checkout_id, status=checkout.status)

    rewritten(due.customer_id, due.checkout_id or "", step, shop, now=now)


def _end_pass(due: Due, shop: Shop, swept: Swept, *, ask: bool, now: int) -> None:
    """End the access of a pass whose time has run out. Before that, the provider is asked for a subscription's news."""
    held = shop.table.held(due.customer_id, due.pass_id or "")
    if held is None or held.give_back:
        return
    asked = held.subscription is None or (ask and _hear_news(held, shop, swept, now=now))

    def step(draft: Draft) -> None:
        draft.due_again = True  # by the clock alone nothing of the pass changes, but it is due no longer
        if draft.seen.held:
            draft.put_pass(replace(draft.seen.held, ask_at=None if asked else now + ASK_AGAIN_S))
        if draft.seen.held and draft.account.billing_version != draft.seen.account.billing_version:
            draft.timeline.append(_ended(draft.seen.held, draft.account.billing_version, shop, now=now))

    swept.ended += bool(rewritten(due.customer_id, held.pass_id, step, shop, now=now).timeline)


def _hear_news(held: Pass, shop: Shop, swept: Swept, *, now: int) -> bool:
    """Settle what the provider says of the subscription now, and return whether it said anything."""
    plan, whose = held.subscription, Whose(customer_id=held.customer_id, pass_id=held.pass_id)
    try:
        with within(ASK_WITHIN_S):
            fact = shop.stripe.subscription(plan.ref if plan else "", lambda _: whose)
            settle([fact], Road.SWEEP, shop, now=now)
    except (ProviderUnavailable, ProviderRefused, NotYetKnown) as refusal:
        logger.warning("pass.unasked", pass_id=held.pass_id, why=refusal.slug)
        if isinstance(refusal, ProviderUnavailable):
            swept.put_off(silent=True)
        return isinstance(refusal, Gone)
    return True


def _ended(held: Pass, billing_version: int, shop: Shop, *, now: int) -> TimelineEntry:
    standing = held.standing(now=now, grace_s=shop.policy.grace_s)
    return TimelineEntry(
        customer_id=held.customer_id,
        occurred_at=now,
        fact_id=f"{held.pass_id}@{now}",
        pass_id=held.pass_id,
        said_by="clock",
        road=Road.SWEEP,
        register="access",
        change=f"access ended by the clock: {standing.status}",
        settled_at=now,
        billing_version=billing_version,
    )
