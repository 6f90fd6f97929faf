"""Hearing: what a provider's event says is settled, and the event logged with what became of it."""

from dataclasses import replace

from paidup.flows.settle import settle
from paidup.flows.shop import Shop
from paidup.model.fact import Road
from paidup.model.timeline import EventRow, EventStatus
from paidup.outside.log import logger
from paidup.outside.stripe_facts import NAME
from paidup.outside.stripe_webhook import Event


def hear(event: Event, shop: Shop, *, now: int, attempt: int = 1) -> None:
    """Settle every fact that *event* tells; one that was dealt with before is not looked at again.

    *attempt* counts from 1. Raises NotYetKnown, ProviderUnavailable or Contended when it must be heard again later.
    """
    known = shop.table.event(NAME, event.event_id)
    if known and known.dealt_with:
        logger.info("event.known", event_id=event.event_id, type=event.type)
        return
    row = row_of(event, now=now, attempt=attempt)
    facts = shop.stripe.facts_of(event, shop.customer_of)
    for fact in facts[:-1]:
        settle(fact, Road.WEBHOOK, shop, now=now)
    if facts:
        settle(facts[-1], Road.WEBHOOK, shop, now=now, event=row)
    else:
        shop.table.log(row)
        logger.info("event.ignored", event_id=event.event_id, type=event.type)


def give_up(event: Event, shop: Shop, error: Exception, *, now: int, attempt: int) -> None:
    """Log that *event* could not be settled this time, so that `attention` lists it until it is."""
    why = f"{type(error).__name__}: {error}"[:500]
    row = replace(row_of(event, now=now, attempt=attempt), status=EventStatus.FAILED, error=why)
    shop.table.log(row)
    logger.warning("event.failed", event_id=event.event_id, type=event.type, attempt=attempt, error=why)


def row_of(event: Event, *, now: int, attempt: int) -> EventRow:
    """Return the log row of *event*, received at *now* (epoch seconds) for the *attempt*th time, as yet ignored."""
    return EventRow(
        provider=NAME,
        event_id=event.event_id,
        type=event.type,
        status=EventStatus.IGNORED,
        received_at=now,
        body=event.body,
        attempts=attempt,
    )
