"""The decision to give a purchase's money back, and when it is tried again."""

from dataclasses import dataclass, replace

LONGEST_WAIT_S = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundDecision:
    """The decision to refund a purchase. `why` is for people. Times are epoch seconds.

    `due_at` is when to try next. `tries` counts the tries so far. If the buyer paid twice, `paid_before` is the id of
    the purchase that they paid first.
    """

    why: str
    decided_at: int
    due_at: int
    tries: int = 0
    paid_before: str | None = None

    def tried(self, *, now: int) -> "RefundDecision":
        """Return this decision with one more try, due after 1, 2, 4 … at most 60 minutes."""
        return replace(self, due_at=now + min(60 * 2**self.tries, LONGEST_WAIT_S), tries=self.tries + 1)
