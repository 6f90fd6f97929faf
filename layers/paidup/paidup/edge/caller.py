"""Who is calling: what the authorizer passes on to the functions behind it, a caller or why there is none."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from paidup.model.account import email_digest
from paidup.model.errors import Forbidden, IdentityUnavailable, InvalidToken, Refusal, Unauthorized

HOST, SERVICE = "host", "service"  # who gives live sessions and classes; another backend
SUPPORT = "support"  # who helps customers, at the desk

REFUSALS = {one.slug: one for one in (Unauthorized, InvalidToken, IdentityUnavailable)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A signed-in customer: `customer_id` is the identity token's subject; `email` is never logged.

    `email_verified`: the identity provider says that it verified the address. `token_ends_at`: when the identity token
    ends (epoch seconds).
    """

    customer_id: str
    email: str | None
    roles: tuple[str, ...]
    email_verified: bool = False
    token_ends_at: int = 0

    @property
    def email_digest(self) -> str | None:
        """What stands for the e-mail address, or None if nobody verified that it is the customer's."""
        return email_digest(self.email) if self.email and self.email_verified else None

    def require_role(self, role: str, *others: str) -> None:
        """Raise Forbidden unless the caller has *role*, or one of the *others*."""
        if not {role, *others} & set(self.roles):
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
    return Identity(
        customer_id=found["customer_id"],
        email=found.get("email") or None,
        roles=roles,
        email_verified=found.get("email_verified") is True,
        token_ends_at=int(found.get("token_ends_at") or 0),
    )


def refused(refusal: Refusal) -> dict[str, str]:
    """Return what the authorizer passes on if there is no caller: `identify` raises the same *refusal*."""
    return {"refused": refusal.slug, "why": str(refusal)}
