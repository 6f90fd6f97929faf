"""`paidup attention`: what waits for a person."""

from datetime import UTC, datetime
from typing import Any

import typer
from paidup.model.case import ReviewCase
from paidup.model.event import EventRecord

from tools.cli.options import AsJson, Stack, new_app
from tools.cli.output import show, waiting
from tools.cli.target import services

COLUMNS = {
    "since": "Since",
    "kind": "Kind",
    "what": "What",
    "id": "Id",
    "customer_id": "Customer",
    "purchase_id": "Purchase",
    "why": "Why",
}

app = new_app()


@app.command()
def attention(context: typer.Context, stack: Stack = None, as_json: AsJson = False) -> None:
    """List review cases, then failed events, the oldest first.

    A case waits for a decision: see paidup support. An event is tried again by itself until it is settled.

    Example: paidup attention --stack paidup
    """
    with services(context, stack) as there, waiting("Looking for what waits for a person …"):
        cases, events = there.table.open_cases(), there.table.failed_events()
    rows = [*map(_case, cases), *map(_event, events)]
    show(rows, COLUMNS, as_json=as_json, nothing="Nothing waits for a person.")


def _case(case: ReviewCase) -> dict[str, Any]:
    return {
        "since": _time(case.opened_at),
        "kind": "case",
        "what": case.reason,
        "id": case.case_id,
        "customer_id": case.customer_id,
        "purchase_id": case.purchase_id,
        "why": case.why,
    }


def _event(event: EventRecord) -> dict[str, Any]:
    return {
        "since": _time(event.received_at),
        "kind": "failed event",
        "what": event.type,
        "id": event.event_id,
        "customer_id": None,
        "purchase_id": event.purchase_id,
        "why": event.error,
    }


def _time(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()
