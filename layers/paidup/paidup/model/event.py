"""Event records: our log of a provider's events, each with its raw body and its outcome."""

from dataclasses import dataclass
from enum import StrEnum


class EventStatus(StrEnum):
    """The outcome of processing a provider's event."""

    SETTLED = "settled"
    IGNORED = "ignored"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """A provider's event and its outcome. `received_at` and `purge_at` are epoch seconds.

    `body` is the raw JSON, or empty if it was too large for the table. `ms` is how long the last try took, in
    milliseconds. `error` says why the event failed: the name of a class and a sentence. `traceback` says where. Both
    hold no secrets and no e-mail addresses. A settled event names its purchase and the customer. `dead_at` is when the
    event was found among the dead letters. `replayed_by` and `reason` are of the last replay by a person.
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
    traceback: str | None = None
    purchase_id: str | None = None
    customer_id: str | None = None
    dead_at: int | None = None
    replayed_by: str | None = None
    reason: str | None = None

    @property
    def dealt_with(self) -> bool:
        """Whether the event is settled or ignored, so that nothing is left to do."""
        return self.status is not EventStatus.FAILED
