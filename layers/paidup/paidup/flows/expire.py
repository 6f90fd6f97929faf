"""Expiring: what the sweep ends or retries when its time comes. Checkouts, bookings, access and refunds."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import chain

from paidup.flows.book import expire_booking
from paidup.flows.confirm import look_at_page
from paidup.flows.refund import refund
from paidup.flows.services import Services
from paidup.flows.settle import settle
from paidup.flows.transact import update
from paidup.model.checkout import Checkout
from paidup.model.errors import BudgetSpent, NotFound, NotYetKnown, ObjectMissing, ProviderRefused, ProviderUnavailable
from paidup.model.fact import Channel
from paidup.model.offer import Kind
from paidup.model.purchase import Purchase
from paidup.model.snapshot import ChangeSet, Due, Snapshot
from paidup.outside import metrics
from paidup.outside.deadline import within
from paidup.outside.log import logger

ASK_WITHIN_S = 6.0
ASK_AGAIN_S = 600
SPARE_S = 10.0
TO_WRITE_S = 3.0
OUTAGES_ENDURED = 3


@dataclass(slots=True, kw_only=True)
class SweepReport:
    """What one run of the sweep did.

    `ended` counts what was ended, closed or found paid. `looked` counts looks at open pages. `postponed` counts what
    waits because the provider was down or refused. `outages` counts how often the provider was down. `failed` counts
    mistakes of ours and outages of the table. `unfinished` says that the time was over before the work was, or
    that the read budget was `spent`. `late_s` is for how many seconds the thing was due that waited longest.
    """

    ended: int = 0
    looked: int = 0
    postponed: int = 0
    outages: int = 0
    failed: int = 0
    unfinished: bool = False
    spent: bool = False
    late_s: int = 0

    @property
    def asks_no_more(self) -> bool:
        """Whether the provider is left alone for the rest of the run."""
        return self.spent or self.outages >= OUTAGES_ENDURED

    def postpone(self, *, provider_down: bool) -> None:
        """Count something that waits: the provider was down, or refused this one thing."""
        self.postponed += 1
        self.outages += provider_down


class SweepFailed(Exception):
    """Something that was due failed. Everything else was done."""


def expire(services: Services, *, now: int, time_left: Callable[[], float]) -> SweepReport:
    """Act on what is due at *now* (epoch seconds): bookings, access and refunds first, then checkouts.

    *time_left* returns the seconds that are left. The run stops when less than 10 s are left. After three outages of
    the provider, it skips what needs the provider. The next run goes on. A failure does not stop the rest: SweepFailed
    is raised at the end, so that the error metric shows it.
    """
    report = SweepReport()
    with services.asking(Channel.SWEEP, now=now):  # around all: it counts the seconds since the run began
        _sweep(services, report, time_left, now=now)
    metrics.time("SweepLag", report.late_s * 1000)
    logger.info("clock.swept", **asdict(report))
    if report.failed:
        raise SweepFailed(f"{report.failed} things that are due could not be dealt with")
    return report


def _sweep(services: Services, report: SweepReport, time_left: Callable[[], float], *, now: int) -> None:
    for due in chain(services.table.due_access(now=now), services.table.due_pages(now=now)):
        report.late_s = max(report.late_s, now - due.due_at)
        if due.checkout_id and report.asks_no_more:
            return
        if not _dealt_with(due, services, report, left_s=time_left(), now=now):
            return


def _dealt_with(due: Due, services: Services, report: SweepReport, *, left_s: float, now: int) -> bool:
    """Act on *due*. Return False if *left_s* seconds are too few for that."""
    if left_s < SPARE_S:
        report.unfinished = True
        return False
    try:
        with within(left_s - TO_WRITE_S):
            _act_on(due, services, report, provider_down=report.asks_no_more, now=now)
    except BudgetSpent:
        report.spent = report.unfinished = True  # it stays due: the next run goes on with it
    except NotFound:
        logger.info(
            "due.gone", customer_id=due.customer_id
        )  # support moved it since it was listed: its new place is due
    except Exception:
        logger.exception("due.failed", customer_id=due.customer_id)
        report.failed += 1
    return True


def _act_on(due: Due, services: Services, report: SweepReport, *, provider_down: bool, now: int) -> None:
    """Do what is *due*. If the provider is down, skip what needs the provider."""
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
    """Close the provider's page, and settle its facts. Then the checkout is completed, or it ends here.

    A page that may still be paid is only looked at.
    """
    checkout = services.table.checkout(due.customer_id, due.checkout_id or "")
    if checkout is None or checkout.due_at is None or checkout.due_at > now:
        return
    if checkout.token and checkout.holds_slot(now=now):
        _look_at_page(checkout, services, report, now=now)
        return
    try:
        if checkout.token:
            with within(ASK_WITHIN_S):
                if facts := services.provider(checkout.provider).close_page(checkout).facts:
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


def _look_at_page(checkout: Checkout, services: Services, report: SweepReport, *, now: int) -> None:
    """Settle what the open page says: its webhook may be lost, and its buyer may have closed the tab."""
    report.looked += 1
    try:
        look_at_page(checkout, Channel.SWEEP, services, now=now)
    except (ProviderUnavailable, ProviderRefused) as refusal:
        logger.warning("page.unseen", checkout_id=checkout.checkout_id, why=refusal.slug)
        report.postpone(provider_down=isinstance(refusal, ProviderUnavailable))
    services.table.look_later(checkout, due_at=checkout.next_look(now=now))


def _rewrite(due: Due, move: Callable[..., Checkout], services: Services, *, now: int) -> None:
    """Apply *move* to the checkout, if the checkout is still due."""
    checkout_id = due.checkout_id or ""

    def step(snapshot: Snapshot, change: ChangeSet) -> None:
        checkout = snapshot.checkout
        if checkout and checkout.due_at is not None and checkout.due_at <= now:
            change.put_checkout(move(checkout, now=now))

    for moved in update(due.customer_id, checkout_id, step, services, now=now).change.checkouts.values():
        logger.info("checkout.ended", checkout_id=moved.checkout_id, status=moved.status)


def _end_purchase(due: Due, services: Services, report: SweepReport, *, refresh: bool, now: int) -> None:
    """End the access of the purchase if its time is over. A subscription is first refreshed from the provider."""
    purchase = services.table.purchase(due.customer_id, due.purchase_id or "")
    if purchase is None or purchase.refund_decision:
        return
    asks = purchase.kind is Kind.SUBSCRIPTION
    answered = asks and refresh and _settle_news(purchase, services, report, now=now)
    purchase_id = purchase.purchase_id

    def step(snapshot: Snapshot, change: ChangeSet) -> None:
        there = snapshot.purchase
        if there is None:
            return
        recheck_at = now + ASK_AGAIN_S if asks and not answered else None
        asked_at = now if answered else there.asked_at
        asked = replace(there, asked_at=asked_at, recheck_at=recheck_at)
        change.put_purchase(asked, reschedule=True)  # it may no longer be due
        if change.account.billing_version != snapshot.account.billing_version:
            status = there.status_at(now=now, policy=services.policy)
            change.note(
                there,
                f"access ended by the clock: {status.state}",
                channel=Channel.SWEEP,
                said_by="clock",
                register="access",
                fact_id=f"{purchase_id}@{now}",
            )

    report.ended += bool(update(due.customer_id, purchase_id, step, services, now=now).change.timeline)


def _settle_news(purchase: Purchase, services: Services, report: SweepReport, *, now: int) -> bool:
    """Settle what the provider says now about the subscription, and return whether the provider answered.

    An answer that the subscription is missing counts too.
    """
    try:
        with within(ASK_WITHIN_S):
            if facts := services.provider(purchase.provider).purchase_facts(purchase):
                settle(facts, Channel.SWEEP, services, now=now)
    except (ProviderUnavailable, ProviderRefused, NotYetKnown) as refusal:
        logger.warning("purchase.unasked", purchase_id=purchase.purchase_id, why=refusal.slug)
        if isinstance(refusal, ProviderUnavailable):
            report.postpone(provider_down=True)
        return isinstance(refusal, ObjectMissing)
    return True
