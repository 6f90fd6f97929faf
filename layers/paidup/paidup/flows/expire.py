"""Expiring: what the clock ends. Checkouts past their time, pages that must be closed, passes that run out."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import chain

from paidup.flows.book import expire_booking
from paidup.flows.refund import refund
from paidup.flows.services import Services
from paidup.flows.settle import settle
from paidup.flows.transact import update
from paidup.model.checkout import Checkout
from paidup.model.errors import NotYetKnown, ObjectMissing, ProviderRefused, ProviderUnavailable
from paidup.model.fact import Channel
from paidup.model.purchase import Purchase
from paidup.model.snapshot import ChangeSet, Due, Snapshot
from paidup.outside.deadline import within
from paidup.outside.log import logger

ASK_WITHIN_S = 6.0
ASK_AGAIN_S = 600
SPARE_S = 10.0
TO_WRITE_S = 3.0
OUTAGES_ENDURED = 3


@dataclass(slots=True, kw_only=True)
class SweepReport:
    """What one run did: things ended, closed or found paid, put off because the provider did not answer or refused,
    how often it was silent, failed by a mistake of ours or an outage of the table, and whether time ran out.
    """

    ended: int = 0
    postponed: int = 0
    outages: int = 0
    failed: int = 0
    unfinished: bool = False

    def postpone(self, *, provider_down: bool) -> None:
        """Count something that could not be done now: the provider was *silent*, or refused this one thing."""
        self.postponed += 1
        self.outages += provider_down


class SweepFailed(Exception):
    """Something that was due could not be dealt with; all else was."""


def expire(services: Services, *, now: int, time_left: Callable[[], float]) -> SweepReport:
    """End what is due at *now* (epoch seconds): bookings, access and refunds first, then checkouts; the longest due
    first in each of the index's shards.

    Stops 10 s before *time_left* (seconds) runs out, and after three outages of the provider: the next run goes on,
    beginning at another shard. Touches only what is due. What fails does not hold up the others.
    """
    report = SweepReport()
    for due in chain(services.table.due_access(now=now), services.table.due_pages(now=now)):
        if due.checkout_id and report.outages >= OUTAGES_ENDURED:
            return report
        if not _dealt_with(due, services, report, left_s=time_left(), now=now):
            return report
    return report


def _dealt_with(due: Due, services: Services, report: SweepReport, *, left_s: float, now: int) -> bool:
    """Act on *due*, and return False where the *left_s* seconds do not suffice for it."""
    if left_s < SPARE_S:
        report.unfinished = True
        return False
    try:
        with within(left_s - TO_WRITE_S):
            _act_on(due, services, report, provider_down=report.outages >= OUTAGES_ENDURED, now=now)
    except Exception:
        logger.exception("due.failed", customer_id=due.customer_id)
        report.failed += 1
    return True


def _act_on(due: Due, services: Services, report: SweepReport, *, provider_down: bool, now: int) -> None:
    """Do what is *due*; where the provider is *silent*, only what needs no word from it."""
    if due.booking_id:
        booking = expire_booking(due.customer_id, due.booking_id, services, now=now)
        report.ended += booking is not None and not booking.open
        if booking and not provider_down and not refund(booking.customer_id, booking.purchase_id, services, now=now):
            report.postpone(provider_down=True)
    elif due.purchase_id:
        _end_purchase(due, services, report, refresh=not provider_down, now=now)
        if not provider_down and not refund(due.customer_id, due.purchase_id, services, now=now):
            report.postpone(provider_down=True)
    elif due.checkout_id:
        _end_checkout(due, services, report, now=now)


def _end_checkout(due: Due, services: Services, report: SweepReport, *, now: int) -> None:
    """Close the provider's page first: if it was paid after all, that is settled; else the checkout has ended."""
    checkout = services.table.checkout(due.customer_id, due.checkout_id or "")
    if checkout is None or checkout.due_at is None or checkout.due_at > now:
        return
    try:
        if checkout.token:
            with within(ASK_WITHIN_S):
                if facts := services.provider(checkout.provider).close_page(checkout.token).facts:
                    settle(facts, Channel.SWEEP, services, now=now)
    except ObjectMissing:
        logger.warning("page.gone", checkout_id=checkout.checkout_id)
    except (ProviderUnavailable, ProviderRefused) as refusal:
        logger.warning("page.unclosed", checkout_id=checkout.checkout_id, why=refusal.slug)
        _rewrite(due, Checkout.postponed, services, now=now)
        report.postpone(provider_down=isinstance(refusal, ProviderUnavailable))
        return
    _rewrite(due, lambda one, *, now: one.page_closed() if one.ended else one.expired(now=now), services, now=now)
    report.ended += 1


def _rewrite(due: Due, move: Callable[..., Checkout], services: Services, *, now: int) -> None:
    """*move* the checkout if it is still due."""
    checkout_id = due.checkout_id or ""

    def step(snapshot: Snapshot, change: ChangeSet) -> None:
        checkout = snapshot.checkout
        if checkout and checkout.due_at is not None and checkout.due_at <= now:
            change.put_checkout(move(checkout, now=now))

    for moved in update(due.customer_id, checkout_id, step, services, now=now).change.checkouts.values():
        logger.info("checkout.ended", checkout_id=moved.checkout_id, status=moved.status)


def _end_purchase(due: Due, services: Services, report: SweepReport, *, refresh: bool, now: int) -> None:
    """End the access of a purchase whose time has run out. Before that, the provider is asked for a subscription's news."""
    purchase = services.table.purchase(due.customer_id, due.purchase_id or "")
    if purchase is None or purchase.refund_decision:
        return
    asked = purchase.subscription is None or (refresh and _hear_news(purchase, services, report, now=now))
    purchase_id = purchase.purchase_id

    def step(snapshot: Snapshot, change: ChangeSet) -> None:
        there = snapshot.purchase
        if there is None:
            return
        recheck_at = None if asked else now + ASK_AGAIN_S
        change.put_purchase(replace(there, recheck_at=recheck_at), reschedule=True)  # it may be due no longer
        if change.account.billing_version != snapshot.account.billing_version:
            status = there.status_at(now=now, grace_s=services.policy.grace_s)
            change.note(
                there,
                f"access ended by the clock: {status.state}",
                channel=Channel.SWEEP,
                said_by="clock",
                register="access",
                fact_id=f"{purchase_id}@{now}",
            )

    report.ended += bool(update(due.customer_id, purchase_id, step, services, now=now).change.timeline)


def _hear_news(purchase: Purchase, services: Services, report: SweepReport, *, now: int) -> bool:
    """Settle what the provider says of the subscription now, and return whether it said anything."""
    try:
        with within(ASK_WITHIN_S):
            settle(services.provider(purchase.provider).purchase_facts(purchase), Channel.SWEEP, services, now=now)
    except (ProviderUnavailable, ProviderRefused, NotYetKnown) as refusal:
        logger.warning("pass.unasked", purchase_id=purchase.purchase_id, why=refusal.slug)
        if isinstance(refusal, ProviderUnavailable):
            report.postpone(provider_down=True)
        return isinstance(refusal, ObjectMissing)
    return True
