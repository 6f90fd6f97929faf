"""How one purchase stands, and what happened to it."""

from dataclasses import dataclass
from typing import Self

from paidup.edge.views.purchase import PurchaseView
from paidup.flows.confirm import Confirmation, State
from paidup.model.policy import Policy
from paidup.model.timeline import TimelineEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Something that happened to a purchase: what, when (epoch seconds), who said it, and how it reached us.

    `said_by` is a payment provider, `paidup` or `clock`. What a provider said was heard at `heard_at`, by `channel`,
    and took effect here at `settled_at`. If it was a payment, the provider took it at `provider_paid_at`.
    """

    what: str
    at: int
    said_by: str
    channel: str
    provider_paid_at: int | None
    heard_at: int | None
    settled_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationView:
    """How one purchase stands; ask again after `attempt_after_ms` (0: the answer is known)."""

    state: State
    attempt_after_ms: int
    checkout_id: str
    billing_version: int
    purchase: PurchaseView | None = None
    timeline: list[Moment]

    @classmethod
    def of(cls, found: Confirmation, *, now: int, policy: Policy) -> Self:
        """Return the view of what was *found* at *now*."""
        view = PurchaseView.of(found.purchase, now=now, policy=policy) if found.purchase else None
        return cls(
            state=found.state,
            attempt_after_ms=found.attempt_after_ms,
            checkout_id=found.checkout_id,
            billing_version=found.account.billing_version,
            timeline=[moment(entry) for entry in reversed(found.timeline)],
            purchase=view,
        )


def moment(entry: TimelineEntry) -> Moment:
    """Return the view of a timeline entry."""
    return Moment(
        what=entry.change,
        at=entry.occurred_at,
        said_by=entry.said_by,
        channel=entry.channel,
        provider_paid_at=entry.provider_paid_at,
        heard_at=entry.heard_at,
        settled_at=entry.settled_at,
    )
