"""Review cases: what only a person can decide, opened by facts and closed by a decision."""

from dataclasses import dataclass, replace
from enum import StrEnum


class CaseReason(StrEnum):
    """Why a case was opened."""

    AMOUNT_MISMATCH = "amount-mismatch"
    REFUND_STUCK = "refund-stuck"
    REFUND_RETURNED = "refund-returned"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewCase:
    """Something about a purchase that a person must see: `why` is a sentence for people, `facts` are the ids of the
    facts that opened it. Times are epoch seconds. `decided_by` is a person, or `paidup` if the matter settled itself.
    """

    case_id: str
    reason: CaseReason
    customer_id: str
    purchase_id: str
    why: str
    opened_at: int
    facts: tuple[str, ...] = ()
    decided_at: int | None = None
    decided_by: str | None = None
    decision: str | None = None
    purge_at: int | None = None

    @property
    def open(self) -> bool:
        """Whether it still waits for a decision."""
        return self.decided_at is None

    def decided(self, decision: str, *, by: str, now: int, purge_at: int) -> "ReviewCase":
        """Return it closed with *decision*, and kept until *purge_at*; the first decision stands."""
        if not self.open:
            return self
        return replace(self, decided_at=now, decided_by=by, decision=decision, purge_at=purge_at)


def case_id(reason: CaseReason, purchase_id: str) -> str:
    """Return the id of the case: a purchase has one of each reason, which may be opened again."""
    return f"{reason}-{purchase_id}"
