"""Who is calling: what the authorizer passes on to the functions behind it, a caller or why there is none."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from paidup.model.errors import Forbidden, IdentityUnavailable, InvalidToken, Refusal, Unauthorized

REFUSALS = {one.slug: one for one in (Unauthorized, InvalidToken, IdentityUnavailable)}


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


def identify(event: Mapping[str, Any]) -> Identity:
    """Return who is calling, as the authorizer in front of the route found it in the identity token.

    Raises Unauthorized, InvalidToken or IdentityUnavailable as the authorizer says, and Unauthorized if there is no
    authorizer in front of the route.
    """
    found = (event.get("requestContext", {}).get("authorizer") or {}).get("lambda") or {}
    if slug := found.get("refused"):
        raise REFUSALS.get(slug, Unauthorized)(str(found.get("why")))
    if not found.get("customer_id"):
        raise Unauthorized
    roles = tuple(found.get("roles") or ())
    return Identity(customer_id=found["customer_id"], email=found.get("email") or None, roles=roles)


def refused(refusal: Refusal) -> dict[str, str]:
    """Return what the authorizer passes on if there is no caller: `identify` raises the same *refusal*."""
    return {"refused": refusal.slug, "why": str(refusal)}
