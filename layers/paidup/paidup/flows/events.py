"""Events: settle the facts of a provider's event, and record the event with its outcome."""

from dataclasses import dataclass, replace

from paidup.flows.services import Services
from paidup.flows.settle import settle
from paidup.model.errors import Malformed
from paidup.model.event import EventRecord, EventStatus
from paidup.model.fact import Channel
from paidup.model.provider import WebhookEvent
from paidup.outside.deadline import all_within, within
from paidup.outside.log import logger

SETTLE_WITHIN_S = 2.0
QUEUE_WITHIN_S = 6.0


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
    if event.urgent:
        try:
            with all_within(SETTLE_WITHIN_S):
                process_event(event, services, now=now)
        except Exception as error:
            logger.warning("event.unsettled", event_id=event.event_id, type=event.type, why=type(error).__name__)
        else:
            return Received(received="settled")
    services.webhooks().put(event.provider, event.body)
    logger.info("event.queued", event_id=event.event_id, type=event.type)
    return Received(received="queued")


def retry_event(event: WebhookEvent, services: Services, *, now: int, attempt: int, left_s: float) -> None:
    """Settle a queued *event* within *left_s* seconds. *attempt* counts from 1.

    If that fails, record the failure and raise, so that the queue delivers the event again. If the event is Malformed,
    record the failure only: it can never be settled.
    """
    try:
        with within(min(QUEUE_WITHIN_S, left_s)):
            process_event(event, services, now=now, attempt=attempt)
    except Malformed as error:
        record_failure(event, services, error, now=now, attempt=attempt)
    except Exception as error:
        record_failure(event, services, error, now=now, attempt=attempt)
        raise


def process_event(event: WebhookEvent, services: Services, *, now: int, attempt: int = 1) -> None:
    """Settle every fact that *event* reports. An event that is settled or ignored already is skipped.

    *attempt* counts from 1. Raises NotYetKnown, ProviderUnavailable and Contended: the event must be retried later.
    Raises Malformed if it can never be settled.
    """
    known = services.table.event(event.provider, event.event_id)
    if known and known.dealt_with:
        logger.info("event.known", event_id=event.event_id, type=event.type)
        return
    record = event_record(event, services, now=now, attempt=attempt)
    facts = services.provider(event.provider).facts_of(event, services.table)
    if facts:
        settle(facts, Channel.WEBHOOK, services, now=now, event=record)
    else:
        services.table.log(record)
        logger.info("event.ignored", event_id=event.event_id, type=event.type)


def record_failure(event: WebhookEvent, services: Services, error: Exception, *, now: int, attempt: int) -> None:
    """Record that *event* could not be settled. It is listed among the failed events until it is settled."""
    why = f"{type(error).__name__}: {error}"[:500]
    record = replace(event_record(event, services, now=now, attempt=attempt), status=EventStatus.FAILED, error=why)
    services.table.log(record)
    logger.warning("event.failed", event_id=event.event_id, type=event.type, attempt=attempt, error=why)


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
