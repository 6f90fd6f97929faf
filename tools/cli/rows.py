"""How commands show what several of them list: review cases, events, and seconds."""

from datetime import UTC, datetime
from typing import Any

from paidup.model.case import ReviewCase
from paidup.model.event import EventRecord

CASE_COLUMNS = {
    "opened": "Opened",
    "reason": "Reason",
    "customer_id": "Customer",
    "purchase_id": "Purchase",
    "why": "Why",
    "case_id": "Case",
}
EVENT_COLUMNS = {
    "received": "Received",
    "type": "Type",
    "event_id": "Event",
    "status": "Status",
    "attempts": "Tries",
    "error": "Why",
}


def case_row(case: ReviewCase) -> dict[str, Any]:
    """Return *case* as a row of `CASE_COLUMNS`."""
    return {
        "opened": shown_time(case.opened_at),
        "reason": case.reason,
        "customer_id": case.customer_id,
        "purchase_id": case.purchase_id,
        "why": case.why,
        "case_id": case.case_id,
    }


def event_row(event: EventRecord) -> dict[str, Any]:
    """Return *event* as a row of `EVENT_COLUMNS`, with its provider, its traceback, and when it was a dead letter."""
    return {
        "received": shown_time(event.received_at),
        "type": event.type,
        "provider": event.provider,
        "event_id": event.event_id,
        "status": event.status,
        "attempts": event.attempts,
        "ms": event.ms,
        "customer_id": event.customer_id,
        "purchase_id": event.purchase_id,
        "error": event.error,
        "traceback": event.traceback,
        "dead": shown_time(event.dead_at),
    }


def shown_time(second: int | None) -> str | None:
    """Return an epoch *second* as people and scripts read it, in UTC."""
    return None if second is None else datetime.fromtimestamp(second, UTC).isoformat()
