"""What a payment page saw: how its calls ended and how long they took. It alone knows which metric that becomes."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from paidup.outside import metrics

MOST = 20
LONGEST_MS = 600_000

# Counted by outcome, and timed if it was a success.
NAMES = {
    "payment": ("ClientPayment", "ClientPaymentTime"),
    "session_refresh": ("ClientSessionRefresh", "ClientSessionRefreshTime"),
    "token_refresh": ("ClientTokenRefresh", "ClientTokenRefreshTime"),
    "confirm": ("ClientConfirm", "ClientConfirmTime"),
}


class ClientMetric(BaseModel):
    """One call of a page: how it ended, and how many milliseconds that took. A `payment` is a click to buy, until the
    payment page can be opened.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Literal["payment", "session_refresh", "token_refresh", "confirm"]
    outcome: Literal["success", "failure", "timeout"]
    ms: int = Field(ge=0, le=LONGEST_MS)


class ClientMetrics(BaseModel):
    """What a page saw since it last told: at most 20 calls, and nothing of who made them."""

    model_config = ConfigDict(extra="forbid", strict=True)

    metrics: list[ClientMetric] = Field(max_length=MOST)

    def record(self) -> None:
        """Write them beside our own metrics."""
        for one in self.metrics:
            counted, timed = NAMES[one.name]
            metrics.count(counted, outcome=one.outcome)
            if one.outcome == "success":
                metrics.time(timed, one.ms)
