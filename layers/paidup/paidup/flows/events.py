"""Events: settle the facts of a provider's event, and record the event with its outcome."""

import time
from dataclasses import dataclass, replace

from paidup.flows.services import Services
from paidup.flows.settle import settle
from paidup.model.errors import Malformed, SecondNotOver
from paidup.model.event import EventRecord, EventStatus
from paidup.model.fact import Channel
from paidup.model.provider import WebhookEvent
from paidup.outside import metrics
from paidup.outside.deadline import all_within, within
from paidup.outside.failure import sentence_of, traceback_of
from paidup.outside.log import logger

SETTLE_WITHIN_S = 2.0
QUEUE_WITHIN_S = 6.0
AGAIN_IN_S = 2  # by then, the second of a tie is over


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """The outcome of a webhook before it is answered: `settled`, `queued` or `ignored`."""

    received: str


def receive(event: WebhookEvent, services: Services, *, now: int) -> Received:
    """Make the effect of *event* durable before returning.

    The buyer's redirect waits for an urgent event, so it is settled at once, within 2 s. If that fails, the event goes
    to the queue. Every other relevant event goes to the queue at once.

    Raises what the queue raises. Then the webhook is answered with an error, and the provider sends it again.
    """
    if not event.relevant:
        logger.info("event.ignored", event_id=event.event_id, type=event.type)
        return Received(received="ignored")
    delay_s, started = 0, time.monotonic()
    if event.urgent:
        with all_within(SETTLE_WITHIN_S):
            try:
                process_event(event, services, now=now, heard_at=now)
            except Exception as error:
                delay_s = AGAIN_IN_S if isinstance(error, SecondNotOver) else 0
                logger.warning("event.unsettled", event_id=event.event_id, type=event.type, why=type(error).__name__)
                _record_unsettled(event, services, error, now=now, started=started)
            else:
                return Received(received="settled")
    services.webhooks().put(event.provider, event.body, channel=Channel.WEBHOOK, heard_at=now, delay_s=delay_s)
    logger.info("event.queued", event_id=event.event_id, type=event.type)
    return Received(received="queued")


def retry_event(
    event: WebhookEvent,
    services: Services,
    *,
    now: int,
    attempt: int,
    left_s: float,
    channel: Channel = Channel.WEBHOOK,
    heard_at: int | None = None,
) -> None:
    """Settle a queued *event* within *left_s* seconds. *channel* brought it at *heard_at*. *attempt* counts from 1.

    If that fails, record the failure and raise, so that the queue delivers the event again. If the event is Malformed,
    record the failure only: it can never be settled. SecondNotOver is no failure: the event comes back in two seconds.
    """
    started = time.monotonic()
    try:
        with within(min(QUEUE_WITHIN_S, left_s)):
            process_event(event, services, now=now, attempt=attempt, channel=channel, heard_at=heard_at)
    except Malformed as error:
        record_failure(event, services, error, now=now, attempt=attempt, started=started)
    except SecondNotOver:
        logger.info("event.postponed", event_id=event.event_id, type=event.type, attempt=attempt)
        raise
    except Exception as error:
        record_failure(event, services, error, now=now, attempt=attempt, started=started)
        raise


def process_event(
    event: WebhookEvent,
    services: Services,
    *,
    now: int,
    attempt: int = 1,
    channel: Channel = Channel.WEBHOOK,
    heard_at: int | None = None,
    anew: bool = False,
) -> bool:
    """Settle every fact that *event* reports, record the event, and return whether it reported any.

    An event that is settled or ignored already is skipped, unless it is to be settled *anew*. After a crash between
    settling and recording, the event comes again and changes nothing: facts are merged, so once more is as once.
    *attempt* counts from 1.

    Raises NotYetKnown, ProviderUnavailable and Contended: the event must be retried later.
    Raises Malformed if it can never be settled.
    """
    started = time.monotonic()
    known = services.table.event(event.provider, event.event_id)
    if known and known.dealt_with and not anew:
        logger.info("event.known", event_id=event.event_id, type=event.type)
        return False
    record = event_record(event, services, now=now, attempt=attempt)
    facts = services.provider(event.provider).facts_of(event, services.table)
    if facts and known is None and channel is Channel.RECONCILER:
        metrics.count("EventUntold")
    if facts:
        settle(facts, channel, services, now=now, heard_at=heard_at, comes_back=True)
        record = replace(
            record,
            status=EventStatus.SETTLED,
            purchase_id=facts[0].purchase_id,
            customer_id=facts[0].customer_id,
        )
    else:
        metrics.count("EventIgnored")
        logger.info("event.ignored", event_id=event.event_id, type=event.type)
    services.table.log(replace(record, ms=_ms_since(started)))
    return bool(facts)


def record_failure(
    event: WebhookEvent, services: Services, error: Exception, *, now: int, attempt: int, started: float
) -> EventRecord:
    """Record that *event* could not be settled, and why. It is listed until it is settled.

    The try *started* at that second of the clock that only runs on (`time.monotonic`).
    """
    why = sentence_of(error)
    record = replace(
        event_record(event, services, now=now, attempt=attempt),
        status=EventStatus.FAILED,
        error=why,
        traceback=traceback_of(error),
        ms=_ms_since(started),
    )
    services.table.log(record)
    metrics.count("EventFailed")
    logger.warning("event.failed", event_id=event.event_id, type=event.type, attempt=attempt, error=why)
    return record


def _record_unsettled(event: WebhookEvent, services: Services, error: Exception, *, now: int, started: float) -> None:
    """Record that an urgent *event* was not settled at once, if there is time. The queue keeps the event anyway."""
    if isinstance(error, SecondNotOver):
        return
    try:
        record_failure(event, services, error, now=now, attempt=1, started=started)
    except Exception as unrecorded:
        logger.warning("event.unrecorded", event_id=event.event_id, why=type(unrecorded).__name__)


def event_record(event: WebhookEvent, services: Services, *, now: int, attempt: int) -> EventRecord:
    """Return the record of *event*, received at *now* (epoch seconds) for the *attempt*th time, with status ignored."""
    return EventRecord(
        provider=event.provider,
        event_id=event.event_id,
        type=event.type,
        status=EventStatus.IGNORED,
        received_at=now,
        purge_at=now + services.policy.event_retention_s,
        body=event.body,
        attempts=attempt,
    )


def _ms_since(started: float) -> int:
    return int((time.monotonic() - started) * 1000)
