"""Attention: log rows by which somebody sees what only people can decide, until it is decided."""

from paidup.model.purchase import Pass
from paidup.model.timeline import EventRow, EventStatus

TRIES_BEFORE_ALARM = 6


def quarantine_row(held: Pass, status: EventStatus, why: str, *, now: int) -> EventRow:
    """Return the log row by which `attention` lists a quarantined payment, until support has decided."""
    return _row(held, f"quarantine-{held.pass_id}", "payment.quarantined", status, why, now=now)


def stuck_row(held: Pass, status: EventStatus, why: str, *, now: int) -> EventRow:
    """Return the log row by which `attention` lists a payment that could not be given back so far."""
    return _row(held, f"refund-{held.pass_id}", "refund.stuck", status, why, now=now)


def _row(held: Pass, event_id: str, kind: str, status: EventStatus, why: str, *, now: int) -> EventRow:
    return EventRow(
        provider=held.provider,
        event_id=event_id,
        type=kind,
        status=status,
        received_at=now,
        body="{}",
        error=f"{held.customer_id}: {why}",
        pass_id=held.pass_id,
    )
