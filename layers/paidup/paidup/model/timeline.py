"""The timeline: what happened to a customer's purchases, for people to read. It is stored, not derived."""

from dataclasses import dataclass

from paidup.model.account import Account
from paidup.model.fact import Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """One change of a purchase. `change` is a sentence for people.

    `said_by` is a provider's name, `paidup` or `clock`. `occurred_at` is the epoch second of the one that said it: the
    provider's clock for a fact, ours for a decision. `settled_at` and `purge_at` are epoch seconds of our clock.
    `decided_by` is the person who decided, and `reason` what they gave as their reason.

    What a provider said came to us at `heard_at` (our clock), by `channel`. If the entry is about a payment, the
    provider took it at `provider_paid_at` (the provider's clock).
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
    provider_paid_at: int | None = None
    heard_at: int | None = None
    decided_by: str | None = None
    reason: str | None = None
    purge_at: int


def token_issued(account: Account, *, now: int, purge_at: int) -> TimelineEntry:
    """Return the entry that a billing token told *account*'s customer of its billing version for the first time."""
    version = account.billing_version
    return TimelineEntry(
        customer_id=account.customer_id,
        occurred_at=now,
        fact_id=f"token@{version}",
        purchase_id="",
        said_by="paidup",
        channel=Channel.REQUEST,
        register="token",
        change=f"billing token issued, version {version}",
        settled_at=now,
        billing_version=version,
        purge_at=purge_at,
    )


def decided(
    change: str, *, account: Account, purchase_id: str, by: str, reason: str, now: int, purge_at: int
) -> TimelineEntry:
    """Return the entry that *by* decided something about a purchase (an empty id: about the account) at *now*."""
    return TimelineEntry(
        customer_id=account.customer_id,
        occurred_at=now,
        fact_id=f"{purchase_id or 'account'}@{account.version}#support",
        purchase_id=purchase_id,
        said_by="paidup",
        channel=Channel.SUPPORT,
        register="decision",
        change=change,
        settled_at=now,
        billing_version=account.billing_version,
        decided_by=by,
        reason=reason,
        purge_at=purge_at,
    )
