"""Review cases: questions that only a person can decide. Facts open a case, a decision closes it."""

from dataclasses import dataclass, replace
from enum import StrEnum


class CaseReason(StrEnum):
    """Why a case was opened."""

    AMOUNT_MISMATCH = "amount-mismatch"
    REFUND_STUCK = "refund-stuck"
    REFUND_RETURNED = "refund-returned"
    UNKNOWN_PRICE = "unknown-price"
    PARTLY_TAKEN_BACK = "partly-taken-back"
    PAID_AFTER_END = "paid-after-end"
    BILLED_BESIDE = "billed-beside"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewCase:
    """A question about a purchase that a person must decide. Times are epoch seconds.

    `why` is a sentence for people. `facts` are the ids of the facts that opened the case. `decided_by` is a person, or
    `paidup` if a later fact closed the case.
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
        """Whether the case still waits for a decision."""
        return self.decided_at is None

    def decided(self, decision: str, *, by: str, now: int, purge_at: int) -> "ReviewCase":
        """Return this case closed with *decision* and kept until *purge_at*. A closed case stays as it is."""
        if not self.open:
            return self
        return replace(self, decided_at=now, decided_by=by, decision=decision, purge_at=purge_at)


def case_id(reason: CaseReason, purchase_id: str) -> str:
    """Return the id of the case. A purchase has one case of each reason. A closed case can be opened again."""
    return f"{reason}-{purchase_id}"
