"""When a billing period ends: whole days, weeks, months or years from an anchor, as Stripe counts them."""

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from typing import Any


def after(anchor: int, recurring: dict[str, Any], second: int) -> int:
    """Return the first period end later than *second*, counted from *anchor* (both epoch seconds).

    A period anchored on the 31st ends on the last day of a shorter month, and on the 31st again later.
    """
    count = 1
    while (end := _add(anchor, recurring["interval"], count * recurring["interval_count"])) <= second:
        count += 1
    return end


def _add(anchor: int, interval: str, count: int) -> int:
    start = datetime.fromtimestamp(anchor, UTC)
    if interval in ("day", "week"):
        return int((start + timedelta(days=count * (7 if interval == "week" else 1))).timestamp())
    month = start.month - 1 + count * (12 if interval == "year" else 1)
    year, month = start.year + month // 12, month % 12 + 1
    day = min(start.day, monthrange(year, month)[1])
    return int(start.replace(year=year, month=month, day=day).timestamp())
