"""What support sends to the desk, and who is let in: to everybody else the desk is not there."""

from typing import Annotated, Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict, Field

from paidup.edge.caller import SUPPORT, identify
from paidup.edge.http import Event, Handler
from paidup.flows.support import Decision
from paidup.model.errors import NotFound

MOST_REPLAYED = 100

Id = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\s\x00-\x1f]+$")]
Reason = Annotated[str, Field(min_length=1, max_length=500, pattern=r"\S")]


def for_support(respond: Handler) -> Handler:
    """Return *respond* for callers with the role `support`. To all others every route is one that does not exist."""

    def guarded(event: Event, context: LambdaContext) -> dict[str, Any]:
        if SUPPORT not in identify(event).roles:
            raise NotFound("route", f"{event['requestContext']['http']['method']} {event['rawPath']}")
        return respond(event, context)

    return guarded


class FindRequest(BaseModel):
    """What support looks for: a customer's id, an e-mail address, a reference, or any id of a payment provider."""

    model_config = ConfigDict(extra="forbid", strict=True)

    query: str = Field(min_length=1, max_length=255, pattern=r"\S")


class ReasonRequest(BaseModel):
    """Why support does something. It is kept on the customer's timeline."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: Reason

    def decision(self, event: Event, *, now: int) -> Decision:
        """Return the decision of the caller of *event*."""
        return Decision(by=identify(event).customer_id, reason=self.reason.strip(), now=now)


class SyncRequest(ReasonRequest):
    """A sync. With `email`, a customer whom no provider knows by id is looked for by that address."""

    email: str | None = Field(default=None, min_length=3, max_length=255, pattern="@")


class AssignRequest(ReasonRequest):
    """A payment by any id that its provider gives it, and the offer that it paid for."""

    payment: Id
    offer_id: Id


class MoveRequest(ReasonRequest):
    """The customer who gets everything."""

    to: Id


class ReplaysRequest(ReasonRequest):
    """How many failed events are replayed at most, or only listed. `before`: the `begun_at` of a run to go on with."""

    dry_run: bool = True
    most: int = Field(default=20, ge=1, le=MOST_REPLAYED)
    before: int | None = Field(default=None, ge=1, le=10**11)
