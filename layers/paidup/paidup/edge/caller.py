"""Who is calling: the customer that the authorizer found in the identity token."""

from dataclasses import dataclass
from typing import Annotated

from aws_lambda_powertools.event_handler import Depends
from aws_lambda_powertools.event_handler.request import Request

from paidup.model.errors import Forbidden, Unauthorized


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A signed-in customer: `customer_id` is the identity token's subject; `email` is never logged."""

    customer_id: str
    email: str | None
    roles: tuple[str, ...]

    def require_role(self, role: str) -> None:
        """Raise Forbidden unless the caller has *role*."""
        if role not in self.roles:
            raise Forbidden(role)


def identify(request: Request) -> Identity:
    """Return who is calling; raises Unauthorized where no authorizer stood before the route."""
    context = request.resolved_event.raw_event.get("requestContext", {})
    found = (context.get("authorizer") or {}).get("lambda") or {}
    if not found.get("customer_id"):
        raise Unauthorized
    roles = tuple(filter(None, (found.get("roles") or "").split(",")))
    return Identity(customer_id=found["customer_id"], email=found.get("email") or None, roles=roles)


Caller = Annotated[Identity, Depends(identify)]
