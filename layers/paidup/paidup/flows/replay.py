"""Replaying: a person lets an event be settled once more, by the path on which it came. No event is replayed twice in
a run.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from paidup.flows.events import event_record, process_event, record_failure
from paidup.flows.services import Services
from paidup.flows.support import Decision, note
from paidup.model.errors import BrokenJson, NotFound, ObjectMissing, Refusal, SecondNotOver
from paidup.model.event import EventRecord, EventStatus
from paidup.model.fact import Channel
from paidup.model.provider import WebhookEvent
from paidup.outside.deadline import within
from paidup.outside.log import logger
from paidup.outside.queue import Letter, Queue

REPLAY_WITHIN_S = 6.0
SPARE_S = 8.0  # as long as one replay may take, and its answer
MOST_LETTERS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayRun:
    """What a run replayed, or would replay. `more`: other events wait that failed before `begun_at` (epoch seconds)."""

    begun_at: int
    events: tuple[EventRecord, ...]
    more: bool


def replay(provider: str, event_id: str, services: Services, decision: Decision) -> EventRecord:
    """Settle one event once more, and return its record after that: settled, ignored, or failed again.

    An event that the table does not hold, or holds without its body, is fetched from the provider. Raises NotFound if
    the provider does not have it either, and SecondNotOver if it must be tried again in two seconds.
    """
    known = services.table.event(provider, event_id)
    event = _event(provider, event_id, known, services)
    attempt = known.attempts + 1 if known else 1
    started = time.monotonic()
    try:
        with within(REPLAY_WITHIN_S):
            settled = event.relevant and process_event(
                event, services, now=decision.now, attempt=attempt, channel=Channel.SUPPORT, anew=True
            )
    except SecondNotOver:
        raise
    except Exception as error:
        failed = record_failure(event, services, error, now=decision.now, attempt=attempt, started=started)
        dead_at = known.dead_at if known else None
        return _signed(replace(failed, dead_at=dead_at), services, decision)
    if not event.relevant:
        services.table.log(event_record(event, services, now=decision.now, attempt=attempt))
    after = services.table.event(provider, event_id) or event_record(event, services, now=decision.now, attempt=attempt)
    logger.info("event.replayed", event_id=event_id, by=decision.by, status=after.status)
    if settled and after.customer_id:
        note(after.customer_id, after.purchase_id or "", f"event {event_id} replayed by support", services, decision)
    return after


def replay_failed(
    services: Services,
    decision: Decision,
    *,
    dry_run: bool,
    most: int,
    before: int | None,
    time_left: Callable[[], float],
    progress: Callable[[int, int], None] = lambda *_: None,
) -> ReplayRun:
    """Replay up to *most* failed events, the longest failed first. With *dry_run*, only say which.

    The events are listed once, so one that fails again is not replayed again. To go on, call with *before* as the
    `begun_at` of the run before: what failed again since then is left out. The run ends before *time_left* (seconds)
    is over. *progress* hears how many events are dealt with, and of how many.
    """
    begun_at = before or decision.now
    listed = services.table.failed_before(before or decision.now + 1, most=most + 1)
    due, more = listed[:most], len(listed) > most
    if dry_run:
        return ReplayRun(begun_at=begun_at, events=tuple(due), more=more)
    done: list[EventRecord] = []
    progress(0, len(due))
    for record in due:
        if time_left() < SPARE_S:
            more = True
            break
        try:
            done.append(replay(record.provider, record.event_id, services, decision))
        except Refusal as refusal:
            done.append(replace(record, error=str(refusal)))
        progress(len(done), len(due))
    return ReplayRun(begun_at=begun_at, events=tuple(done), more=more)


def collect_dead(letters: Queue, services: Services, *, now: int) -> None:
    """Let every dead letter be a failed event that says so. Remove the letters whose event was dealt with since."""
    for letter in letters.letters(most=MOST_LETTERS):
        if letter.provider not in services.providers:
            logger.error("letter.unreadable", message_id=letter.message_id)
            continue
        event = _in(letter, services)
        known = services.table.event(event.provider, event.event_id)
        if known and known.dealt_with:
            letters.remove(letter)
        elif known is None:
            record = event_record(event, services, now=now, attempt=0)
            why = "It was found among the dead letters, and nothing was recorded of it."
            services.table.log(replace(record, status=EventStatus.FAILED, error=why, dead_at=now))
        elif known.dead_at is None:
            services.table.log(replace(known, dead_at=now))


def _in(letter: Letter, services: Services) -> WebhookEvent:
    """Return the event in *letter*. If it cannot be read, return one that is called as the message is."""
    try:
        return services.provider(letter.provider).read_event(letter.body)
    except BrokenJson:
        return WebhookEvent(
            provider=letter.provider,
            event_id=letter.message_id,
            type="unreadable",
            created_at=0,
            urgent=False,
            relevant=False,
            body=letter.body,
        )


def _event(provider: str, event_id: str, known: EventRecord | None, services: Services) -> WebhookEvent:
    if known and known.body:
        return services.provider(provider).read_event(known.body)
    try:
        return services.provider(provider).event(event_id)
    except ObjectMissing as missing:
        raise NotFound("event", event_id) from missing


def _signed(failed: EventRecord, services: Services, decision: Decision) -> EventRecord:
    """Keep who replayed the event that *failed* again, and why: it has no timeline."""
    signed = replace(failed, replayed_by=decision.by, reason=decision.reason)
    services.table.log(signed)
    return signed
