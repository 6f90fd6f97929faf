"""Access: what a customer may use now, until when, and the words for how a pass stands."""

from dataclasses import dataclass
from enum import StrEnum

from paidup.model.offer import Kind


class PassStatus(StrEnum):
    """How a pass stands now; the first three let the customer in."""

    ACTIVE = "active"
    TRIALING = "trialing"
    PAST_DUE = "past_due"
    PENDING = "pending"
    PAUSED = "paused"
    UNPAID = "unpaid"
    FAILED = "failed"
    QUARANTINED = "quarantined"
    DISPUTED = "disputed"
    CHARGED_BACK = "charged_back"
    REFUNDING = "refunding"
    REFUNDED = "refunded"
    CANCELED = "canceled"
    ENDED = "ended"


GRANTING = frozenset({PassStatus.ACTIVE, PassStatus.TRIALING, PassStatus.PAST_DUE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a pass stands: its status and, where it grants, until when (epoch seconds; None: for good)."""

    status: PassStatus
    until: int | None = None

    @property
    def grants(self) -> bool:
        """Whether the customer may use it."""
        return self.status in GRANTING


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One thing that a customer may use now, and until when (epoch seconds; None: for good)."""

    pass_id: str
    offer_id: str
    kind: Kind
    status: PassStatus
    until: int | None = None

    @property
    def right(self) -> tuple[str, str, int | None]:
        """What is granted, without the word for why: the billing version moves only when this does."""
        return (self.pass_id, self.offer_id, self.until)

    def holds(self, *, now: int) -> bool:
        """Whether it still grants at *now* (epoch seconds)."""
        return self.until is None or now < self.until
