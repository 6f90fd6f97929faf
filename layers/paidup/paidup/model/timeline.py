"""The timeline: what happened to a customer's purchases, for people to read. It is stored, not derived."""

from dataclasses import dataclass

from paidup.model.fact import Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """One change of a purchase. `change` is a sentence for people.

    `said_by` is a provider's name, `paidup` or `clock`. `occurred_at` is the epoch second of the one that said it: the
    provider's clock for a fact, ours for a decision. `settled_at` and `purge_at` are epoch seconds of our clock.
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
    decided_by: str | None = None
    purge_at: int
