"""The arithmetic of the report, on plain records. Times are epoch seconds, durations seconds."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

MISSED_AFTER_S = 60  # a sweep in the moment of the payment may well be before the webhook
AFTERWARDS = frozenset({"sync", "sweep", "reconciler", "support"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A payment of a purchase: when the provider took it, by which channel it was heard, and when it was settled."""

    purchase_id: str
    channel: str
    paid_at: int
    settled_at: int

    @property
    def waited_s(self) -> int:
        """How long it took from the charge to the access. The two clocks may differ."""
        return max(0, self.settled_at - self.paid_at)

    @property
    def missed(self) -> bool:
        """Whether no webhook told of it, nor the buyer's own page."""
        return self.channel in AFTERWARDS and self.waited_s > MISSED_AFTER_S


@dataclass(slots=True, kw_only=True)
class Records:
    """What the table says of a time: every first and later payment, and what happened since the time began.

    `events` are outcomes of provider events, `interventions` what tells one decision of a person from another,
    `replays` how many events a person replayed. `cases` are reasons, `open_cases` how many of them are not decided.
    """

    payments: list[Payment] = field(default_factory=list)
    events: Counter[str] = field(default_factory=Counter)
    interventions: set[tuple[str, int, str]] = field(default_factory=set)
    replays: int = 0
    cases: Counter[str] = field(default_factory=Counter)
    open_cases: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """How many purchases a channel (or `all`) told first, and how long buyers waited. None: there were none."""

    channel: str
    purchases: int
    p50_s: int | None
    p95_s: int | None
    p99_s: int | None
    longest_s: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The report of the time from `since` to `until`. `webhook_success` is in percent (None: there was no event)."""

    since: int
    until: int
    total: Wait
    channels: tuple[Wait, ...]
    missed: int
    events: int
    events_failed: int
    webhook_success: float | None
    interventions: int
    cases_opened: int
    cases_open: int
    cases_by_reason: dict[str, int]


def figures(records: Records, *, since: int, until: int) -> Figures:
    """Return the report of the purchases that were first paid from *since* until *until*, and of what else happened."""
    firsts = [one for one in first_payments(records.payments) if since <= one.paid_at <= until]
    by_channel: dict[str, list[Payment]] = defaultdict(list)
    for one in firsts:
        by_channel[one.channel].append(one)
    waits = [_wait(channel, found) for channel, found in by_channel.items()]
    events, failed = records.events.total(), records.events["failed"]
    return Figures(
        since=since,
        until=until,
        total=_wait("all", firsts),
        channels=tuple(sorted(waits, key=lambda one: (-one.purchases, one.channel))),
        missed=sum(one.missed for one in firsts),
        events=events,
        events_failed=failed,
        webhook_success=round(100 * (events - failed) / events, 2) if events else None,
        interventions=len(records.interventions) + records.replays,
        cases_opened=records.cases.total(),
        cases_open=records.open_cases,
        cases_by_reason=dict(sorted(records.cases.items())),
    )


def first_payments(payments: Iterable[Payment]) -> list[Payment]:
    """Return the payment of each purchase that was settled first: by it the access began. Others are renewals."""
    first: dict[str, Payment] = {}
    for one in sorted(payments, key=lambda one: (one.settled_at, one.paid_at)):
        first.setdefault(one.purchase_id, one)
    return list(first.values())


def percentile(ordered: Sequence[int], percent: int) -> int | None:
    """Return the least of the *ordered* values that *percent* of them do not exceed. None: there are none."""
    return ordered[math.ceil(len(ordered) * percent / 100) - 1] if ordered else None


def _wait(channel: str, payments: Sequence[Payment]) -> Wait:
    waited = sorted(one.waited_s for one in payments)
    return Wait(
        channel=channel,
        purchases=len(waited),
        p50_s=percentile(waited, 50),
        p95_s=percentile(waited, 95),
        p99_s=percentile(waited, 99),
        longest_s=waited[-1] if waited else None,
    )


def duration(seconds: int | None) -> str:
    """Return *seconds* as people read them: `7 s`, `2 min 5 s`, `3 h 4 min`, `2 d 3 h`. None is nothing."""
    if seconds is None:
        return ""
    for unit_s, unit, part_s, part in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= unit_s:
            rest = seconds % unit_s // part_s
            return f"{seconds // unit_s} {unit}" + (f" {rest} {part}" if rest else "")
    return f"{seconds} s"
