"""The timeline: what happened to a customer's purchases, for people to read. There is no other record of it."""

from dataclasses import dataclass

from paidup.model.fact import Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """One change: who said it (`said_by`: a provider, `paidup` or `clock`), when (`occurred_at`, the provider's epoch
    second), by which channel it reached us, and what it changed. `settled_at` and `purge_at` are our own epoch seconds.
    """

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
    purge_at: int
