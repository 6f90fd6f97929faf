"""A provider's events in our log: the raw body, and what became of it."""

from dataclasses import dataclass
from enum import StrEnum


class EventStatus(StrEnum):
    """What became of a provider's event."""

    SETTLED = "settled"
    IGNORED = "ignored"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """A provider's event: `body` is its raw JSON, `ms` how long dealing with it took, `error` why it failed (a class
    and a sentence, without secrets). `received_at` and `purge_at` are epoch seconds.
    """

    provider: str
    event_id: str
    type: str
    status: EventStatus
    received_at: int
    purge_at: int
    body: str
    attempts: int = 1
    ms: int = 0
    error: str | None = None
    purchase_id: str | None = None

    @property
    def dealt_with(self) -> bool:
        """Whether nothing is left to do about it."""
        return self.status is not EventStatus.FAILED
