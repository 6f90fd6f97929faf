"""Reconciling: where a run in the provider's lists of events and of objects goes on, and what it did."""

from dataclasses import dataclass, replace
from enum import StrEnum

from paidup.model.policy import DAY_S

WEBHOOKS_COME_WITHIN_S = 45  # beside five minutes, that leaves a run 15 s until somebody has waited for six
FIRST_LOOK_S = DAY_S
LISTED_LATE_S = 3 * 3_600  # how much later than its own second an event may stand in the provider's list
LISTED_FOR_S = 29 * DAY_S  # providers keep their events for 30 days

RUN_EVERY_S = 300  # as template.yaml has it
EVERY_S = 3_600  # how often all objects are read
OVERLAP_S = 25 * 3_600  # a page lives for a day, and may be paid in its last minute
DEEP_EVERY_S = DAY_S
DEEP_S = 30 * DAY_S  # a debit is decided, and a refund fails, days after it was made


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """The last event of a provider up to which everything is dealt with, made at `at` (epoch seconds)."""

    event_id: str
    at: int

    def listed(self, *, now: int) -> bool:
        """Whether the provider still lists the event, so that the list can be read on from there."""
        return now - self.at < LISTED_FOR_S


@dataclass(slots=True, kw_only=True)
class ReconcileReport:
    """What one run did with the provider's events.

    `found` counts events that no webhook had told, and that are settled now. `known` were dealt with before. `queued`
    could not be settled: the queue tries them again. `sold` of all were about a page that a buyer completed.
    `unfinished`: the time was over, the provider was down, or the read budget was spent, before the list ended.
    `taken`: another run was under way.
    """

    found: int = 0
    known: int = 0
    queued: int = 0
    sold: int = 0
    unfinished: bool = False
    taken: bool = False


def looks_back_to(*, now: int) -> int:
    """Return since when (epoch seconds) events are read if there is no cursor that the provider lists."""
    return now - FIRST_LOOK_S


def looks_behind(*, now: int) -> bool:
    """Return whether a run at *now* (epoch seconds) looks for events that were listed late: one or two of each hour."""
    return now % EVERY_S < 2 * RUN_EVERY_S


class Stage(StrEnum):
    """The stages of a round: what the provider lists, then what runs here and was not listed. Then it is done."""

    LISTED = "listed"
    RUNNING = "running"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One reading of all objects of a provider. It began at `began_at`, and reads what was made since `since`.

    All times are epoch seconds. `after` is where the stage goes on (None: at its beginning). `deep_at` is when the last
    round began that looked back for 30 days.
    """

    began_at: int
    since: int
    deep_at: int
    stage: Stage = Stage.LISTED
    after: str | None = None

    @property
    def done(self) -> bool:
        """Whether everything was read."""
        return self.stage is Stage.DONE

    def moved(self, after: str | None) -> "Round":
        """Return this round, up to the object with the cursor *after*."""
        return replace(self, after=after)

    def next_stage(self) -> "Round":
        """Return this round at the beginning of the next stage."""
        stage = Stage.RUNNING if self.stage is Stage.LISTED else Stage.DONE
        return replace(self, stage=stage, after=None)


def next_round(last: Round | None, *, now: int) -> Round | None:
    """Return the round to go on with, or to begin at *now* (epoch seconds). None: the last one is done and is fresh.

    A round looks back over the one before, and a day more. Once a day, it looks back for 30 days.
    """
    if last is not None and not last.done:
        return last
    if last is not None and now < last.began_at + EVERY_S:
        return None
    if last is None or now >= last.deep_at + DEEP_EVERY_S:
        since = now - DEEP_S if last is None else min(now - DEEP_S, last.began_at - OVERLAP_S)
        return Round(began_at=now, since=since, deep_at=now)
    return Round(began_at=now, since=last.began_at - OVERLAP_S, deep_at=last.deep_at)


@dataclass(slots=True, kw_only=True)
class ObjectsReport:
    """What one run did with the provider's objects.

    `found` counts objects that said something new, which is settled now. `known` said nothing new. `problems` could not
    be read or settled. `unfinished`: the time was over, or the provider was down, before all was read. `taken`: another
    run was under way.
    """

    found: int = 0
    known: int = 0
    problems: int = 0
    unfinished: bool = False
    taken: bool = False
