"""Reconciling: what no webhook told is read from the providers' own lists of events, and settled."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict

from paidup.flows.events import process_event, record_failure
from paidup.flows.services import Services
from paidup.model.errors import BudgetSpent, Malformed, ProviderRefused, ProviderUnavailable
from paidup.model.fact import Channel
from paidup.model.provider import WebhookEvent
from paidup.model.reconciliation import (
    LISTED_LATE_S,
    WEBHOOKS_COME_WITHIN_S,
    Cursor,
    ReconcileReport,
    looks_back_to,
    looks_behind,
)
from paidup.outside.deadline import within
from paidup.outside.log import logger

SETTLE_WITHIN_S = 6.0
SPARE_S = 10.0
SAVED_EVERY = 25


def reconcile(services: Services, *, run_id: str, now: int, time_left: Callable[[], float]) -> ReconcileReport:
    """Settle the events of every provider that no webhook told, from where the last run ended until 45 s ago.

    An event that the provider lists late stands behind the cursor. If it was not delivered, a run of each hour finds
    it.

    *run_id* names this run, *now* is in epoch seconds, *time_left* returns the seconds that are left. One run at a time
    has the lease, which frees itself. The cursor moves only past events that are settled, or safe in the queue. So a
    run that dies, or runs out of time, is finished by the next one. Raises what the table and the queue raise.
    """
    report = ReconcileReport()
    for provider in services.providers:
        name, sold = f"events#{provider}", report.sold
        until = now + math.ceil(time_left())
        if not services.table.claim_run(name, run_id, until=until, now=now):
            report.taken = True
            continue
        try:
            with services.asking(Channel.RECONCILER, now=now):
                _read_on(provider, name, services, report, time_left, now=now)
        finally:
            services.budgets.sold(provider, report.sold - sold, services.policy.reads, now=now)
            services.table.release_run(name, run_id, now=now)
    logger.info("events.reconciled", **asdict(report))
    return report


def _read_on(
    provider: str, name: str, services: Services, report: ReconcileReport, time_left: Callable[[], float], *, now: int
) -> None:
    """Deal with the events of *provider* after the cursor, and once an hour with those that were listed behind it."""
    try:
        _read_after_cursor(provider, name, services, report, time_left, now=now)
        if looks_behind(now=now):
            _read_behind_cursor(provider, services, report, time_left, now=now)
    except (ProviderUnavailable, ProviderRefused, BudgetSpent) as refusal:
        logger.warning("events.unlisted", provider=provider, why=refusal.slug)
        report.unfinished = True


def _read_after_cursor(
    provider: str, name: str, services: Services, report: ReconcileReport, time_left: Callable[[], float], *, now: int
) -> None:
    cursor = services.table.cursor(name)
    last = cursor.event_id if cursor and cursor.listed(now=now) else None
    changes = services.provider(provider).changes(last, since=looks_back_to(now=now))
    with _saved(name, services) as move:
        for event in changes:
            if event.created_at > now - WEBHOOKS_COME_WITHIN_S:
                return  # its webhook may still come
            if time_left() < SPARE_S:
                report.unfinished = True
                return
            report.sold += event.urgent
            _deal_with(event, services, report, left_s=time_left(), now=now)
            move(Cursor(event_id=event.event_id, at=event.created_at))


def _read_behind_cursor(
    provider: str, services: Services, report: ReconcileReport, time_left: Callable[[], float], *, now: int
) -> None:
    """Deal with what was not delivered, and of which the log knows nothing: the provider listed it late."""
    for event in services.provider(provider).undelivered(since=now - LISTED_LATE_S):
        if event.created_at > now - WEBHOOKS_COME_WITHIN_S:
            return
        if time_left() < SPARE_S:
            report.unfinished = True
            return
        if services.table.event(provider, event.event_id) is None:
            report.sold += event.urgent
            _deal_with(event, services, report, left_s=time_left(), now=now)


@contextmanager
def _saved(name: str, services: Services) -> Iterator[Callable[[Cursor], None]]:
    """Yield what moves the cursor of the run *name*. It is written now and then, and when the block ends."""
    unsaved: list[Cursor] = []

    def move(cursor: Cursor) -> None:
        unsaved.append(cursor)
        if len(unsaved) == SAVED_EVERY:
            save()

    def save() -> None:
        if unsaved:
            services.table.move_cursor(name, unsaved[-1])
            unsaved.clear()

    try:
        yield move
    finally:
        save()


def _deal_with(event: WebhookEvent, services: Services, report: ReconcileReport, *, left_s: float, now: int) -> None:
    """Settle *event*. If that fails, record why, and give it to the queue, which tries again for three hours.

    An event that can never be read is only recorded.
    """
    started = time.monotonic()
    try:
        with within(min(SETTLE_WITHIN_S, left_s)):
            news = process_event(event, services, now=now, channel=Channel.RECONCILER)
    except BudgetSpent:
        raise  # the next run goes on with this event
    except Malformed as error:
        record_failure(event, services, error, now=now, attempt=1, started=started)
        return
    except Exception as error:
        record_failure(event, services, error, now=now, attempt=1, started=started)
        services.webhooks().put(event.provider, event.body, channel=Channel.RECONCILER, heard_at=now)
        report.queued += 1
        return
    report.found += news
    report.known += not news
