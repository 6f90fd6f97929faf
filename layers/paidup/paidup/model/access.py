"""Access: what a customer may use now, until when, and the words for how a pass stands."""

from dataclasses import dataclass
from enum import StrEnum

from paidup.model.offer import Kind


class PurchaseStatus(StrEnum):
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


GRANTING = frozenset({PurchaseStatus.ACTIVE, PurchaseStatus.TRIALING, PurchaseStatus.PAST_DUE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How a pass stands: its status and, where it grants, until when (epoch seconds; None: for good)."""

    state: PurchaseStatus
    until: int | None = None

    @property
    def grants(self) -> bool:
        """Whether the customer may use it."""
        return self.state in GRANTING


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One thing that a customer may use now, and until when (epoch seconds; None: for good)."""

    purchase_id: str
    offer_id: str
    kind: Kind
    status: PurchaseStatus
    until: int | None = None

    @property
    def entitlement(self) -> tuple[str, str, int | None]:
        """What is granted, without the word for why: the billing version moves only when this does."""
        return (self.purchase_id, self.offer_id, self.until)

    def holds(self, *, now: int) -> bool:
        """Whether it still grants at *now* (epoch seconds)."""
        return self.until is None or now < self.until
