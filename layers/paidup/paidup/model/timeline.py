"""The record of what happened: settled facts for people to read, and the provider's events as they came."""

from dataclasses import dataclass
from enum import StrEnum

from paidup.model.fact import Channel, Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """One settled change: who said it, when (provider's epoch second), by which channel, and what it changed."""

    customer_id: str
    occurred_at: int
    fact_id: str
    purchase_id: str
    said_by: str
    channel: Channel
    register: str
    change: str
    settled_at: int
    billing_version: int

    @classmethod
    def of(cls, fact: Fact, channel: Channel, change: str, *, now: int, billing_version: int) -> "TimelineEntry":
        """Return the entry for *fact*, heard by *channel*, that made *change* (a short phrase) at *now*."""
        return cls(
            customer_id=fact.customer_id,
            occurred_at=fact.entry.at,
            fact_id=fact.fact_id,
            purchase_id=fact.purchase_id,
            said_by=fact.provider,
            channel=channel,
            register=fact.register,
            change=change,
            settled_at=now,
            billing_version=billing_version,
        )


class EventStatus(StrEnum):
    """What became of a provider's event."""

    SETTLED = "settled"
    IGNORED = "ignored"
    FAILED = "failed"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """A provider's event in our log: `body` is its raw JSON, `ms` how long dealing with it took, `error` why it failed
    (a class and a sentence, without secrets); `received_at` is epoch seconds.
    """

    provider: str
    event_id: str
    type: str
    status: EventStatus
    received_at: int
    body: str
    attempts: int = 1
    ms: int = 0
    error: str | None = None
    purchase_id: str | None = None

    @property
    def dealt_with(self) -> bool:
        """Whether nothing is left to do about it."""
        return self.status in (EventStatus.SETTLED, EventStatus.IGNORED)
