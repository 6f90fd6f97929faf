"""What the report needs of the table: payments on timelines, decisions, events, and review cases."""

from collections.abc import Callable
from typing import Any

from paidup.outside.dynamo import items
from paidup.outside.dynamo.table import Table

from tools import export
from tools.report.figures import Payment, Records

# Of payments, the older ones too: they show that a later one is a renewal.
WANTED = (
    "begins_with(#pk, :timeline) AND #provider_paid_at >= :zero"
    " OR begins_with(#pk, :timeline) AND #sk >= :since AND attribute_exists(#decided_by)"
    " OR begins_with(#pk, :event) AND #received_at >= :at"
    " OR begins_with(#pk, :case) AND #opened_at >= :at"
)
SHOWN = (
    "pk", "sk", "purchase_id", "channel", "provider_paid_at", "settled_at", "decided_by", "reason", "occurred_at",
    "received_at", "status", "replayed_by", "opened_at", "decided_at",
)  # fmt: skip


def read(table: Table, *, since: int, tell: Callable[[str], None]) -> Records:
    """Return what *table* says of the time since *since* (epoch seconds). *tell* hears how far it is.

    The whole table is read (see `export.pages`).
    """
    values = {":timeline": items.TIMELINE, ":event": items.EVENT, ":case": items.CASE, ":zero": 0, ":at": since}
    records, count = Records(), 0
    tell("Reading the table …")
    for page in export.pages(table, WANTED, values | {":since": f"{since:010d}"}, SHOWN):
        for item in page:
            _take(item, records)
        count += len(page)
        tell(f"Reading the table: {count:,} records …")
    return records


def _take(item: dict[str, Any], records: Records) -> None:
    match item["pk"].partition("#")[0] + "#":
        case items.TIMELINE:
            _take_entry(item, records)
        case items.EVENT:
            records.events[item["status"]] += 1
            records.replays += bool(item.get("replayed_by"))
        case items.CASE:
            records.cases[item["reason"]] += 1
            records.open_cases += item.get("decided_at") is None


def _take_entry(item: dict[str, Any], records: Records) -> None:
    if (paid_at := item.get("provider_paid_at")) is not None:
        records.payments.append(
            Payment(
                purchase_id=item["purchase_id"],
                channel=item["channel"],
                paid_at=paid_at,
                settled_at=item["settled_at"],
            )
        )
    elif item.get("decided_by"):  # a move is on two timelines, and is one decision
        records.interventions.add((item["decided_by"], item["occurred_at"], item.get("reason") or ""))
