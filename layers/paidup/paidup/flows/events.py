"""Hearing: what a provider's event says is settled, and the event logged with what became of it."""

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
    """What became of a webhook before it was answered: settled, queued, or ignored for its type."""

    received: str


def receive(event: WebhookEvent, services: Services, *, now: int) -> Received:
    """Make *event*'s effect durable, and only then return.

    Stripe's page waits for the answer to a completed session before it sends the buyer back, so that and its
    asynchronous twins are settled at once, within 2 s; where that fails, whatever the cause, and for every other type,
    the queue keeps it.
    Raises what the queue raises: the answer is then 500, and Stripe sends it again.
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


def retry_event(event: WebhookEvent, services: Services, *, now: int, attempt: int) -> None:
    """Settle a queued *event*; where that fails, log it as failed and raise, so that the queue hands it out again."""
    try:
        with within(QUEUE_WITHIN_S):
            process_event(event, services, now=now, attempt=attempt)
    except Malformed as error:  # it will never be better
        record_failure(event, services, error, now=now, attempt=attempt)
    except Exception as error:
        record_failure(event, services, error, now=now, attempt=attempt)
        raise


def process_event(event: WebhookEvent, services: Services, *, now: int, attempt: int = 1) -> None:
    """Settle every fact that *event* tells; one that was dealt with before is not looked at again.

    *attempt* counts from 1. Raises NotYetKnown, ProviderUnavailable or Contended when it must be heard again later.
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
    """Log that *event* could not be settled this time, so that `attention` lists it until it is."""
    why = f"{type(error).__name__}: {error}"[:500]
    record = replace(event_record(event, services, now=now, attempt=attempt), status=EventStatus.FAILED, error=why)
    services.table.log(record)
    logger.warning("event.failed", event_id=event.event_id, type=event.type, attempt=attempt, error=why)


def event_record(event: WebhookEvent, services: Services, *, now: int, attempt: int) -> EventRecord:
    """Return the log row of *event*, received at *now* (epoch seconds) for the *attempt*th time, as yet ignored."""
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
