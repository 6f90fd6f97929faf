"""The authorizer's side of `edge.caller`: an identity token becomes what is passed on to the functions behind."""

from collections.abc import Mapping
from typing import Any

from paidup.edge import settings
from paidup.edge.caller import refused
from paidup.model.errors import IdentityUnavailable, Unauthorized
from paidup.outside import identity
from paidup.outside.log import logger

SETTINGS = ("PAIDUP_IDENTITY_ISSUER", "PAIDUP_IDENTITY_AUDIENCE", "PAIDUP_IDENTITY_JWKS_URL")


def caller_context(authorization: str, *, now: int) -> dict[str, Any]:
    """Return the caller whom the bearer token in *authorization* names at *now*, or why there is none."""
    try:
        return identity.caller_in(_claims(authorization, now=now))
    except (Unauthorized, IdentityUnavailable) as refusal:
        logger.info("caller.refused", kind=refusal.slug, why=str(refusal))
        return refused(refusal)


def _claims(authorization: str, *, now: int) -> Mapping[str, Any]:
    """Return the claims of the bearer token in *authorization*. Raises Unauthorized if there is none."""
    scheme, _, token = authorization.strip().partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthorized
    return verified(token.strip(), now=now)


def verified(token: str, *, now: int) -> Mapping[str, Any]:
    """Return the claims of the identity token *token* at *now*. Raises InvalidToken and IdentityUnavailable."""
    issuer, audience, keys = (settings.text(name) for name in SETTINGS)
    return identity.verify(token, identity.connect(keys), issuer=issuer, audience=audience, now=now)
