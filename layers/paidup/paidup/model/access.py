"""Access: what a customer may use now, until when, and the words for the status of a purchase."""

from dataclasses import dataclass
from enum import StrEnum

from paidup.model.offer import Kind


class PurchaseStatus(StrEnum):
    """The status of a purchase now. The first three grant access."""

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
    """The status of a purchase at one moment. If it grants, `until` is its end (epoch seconds; None: for good)."""

    state: PurchaseStatus
    until: int | None = None

    @property
    def grants(self) -> bool:
        """Whether the customer may use the purchase."""
        return self.state in GRANTING


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How many of an offer a customer may use now by one purchase, and until when (epoch seconds; None: for good).

    If its uses are counted, `uses_left` of `uses` are left.
    """

    purchase_id: str
    offer_id: str
    kind: Kind
    status: PurchaseStatus
    quantity: int = 1
    until: int | None = None
    uses: int | None = None
    uses_left: int | None = None

    @property
    def entitlement(self) -> tuple[str, str, int, int | None]:
        """What is granted, without the status. The billing version moves only when this changes.

        How many uses are left is no part of it: a use moves the version only if it is the last one, which ends access.
        """
        return (self.purchase_id, self.offer_id, self.quantity, self.until)

    def holds(self, *, now: int) -> bool:
        """Whether the access still grants at *now* (epoch seconds)."""
        return self.until is None or now < self.until
