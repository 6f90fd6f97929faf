"""Attention: log rows by which somebody sees what only people can decide, until it is decided."""

from paidup.model.purchase import Purchase
from paidup.model.timeline import EventRecord, EventStatus

TRIES_BEFORE_ALARM = 6


def quarantine_record(purchase: Purchase, status: EventStatus, why: str, *, now: int) -> EventRecord:
    """Return the log row by which `attention` lists a quarantined payment, until support has decided."""
    return _row(purchase, f"quarantine-{purchase.purchase_id}", "payment.quarantined", status, why, now=now)


def stuck_record(purchase: Purchase, status: EventStatus, why: str, *, now: int) -> EventRecord:
    """Return the log row by which `attention` lists a payment that could not be given back so far."""
    return _row(purchase, f"refund-{purchase.purchase_id}", "refund.stuck", status, why, now=now)


def _row(purchase: Purchase, event_id: str, kind: str, status: EventStatus, why: str, *, now: int) -> EventRecord:
    return EventRecord(
        provider=purchase.provider,
        event_id=event_id,
        type=kind,
        status=status,
        received_at=now,
        body="{}",
        error=f"{purchase.customer_id}: {why}",
        purchase_id=purchase.purchase_id,
    )
