"""`paidup attention`: what waits for a person."""

from typing import Any

import typer
from paidup.model.case import ReviewCase
from paidup.model.event import EventRecord

from tools.cli.options import AsJson, Stack, new_app
from tools.cli.output import show, waiting
from tools.cli.rows import case_row, event_row
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
    row = case_row(case)
    same = {name: row[name] for name in ("customer_id", "purchase_id", "why")}
    return {"since": row["opened"], "kind": "case", "what": row["reason"], "id": row["case_id"], **same}


def _event(event: EventRecord) -> dict[str, Any]:
    row = event_row(event)
    same = {name: row[name] for name in ("customer_id", "purchase_id")}
    told = {"since": row["received"], "kind": "failed event", "what": row["type"], "id": row["event_id"]}
    return {**told, **same, "why": row["error"]}
