"""Lambda authorizer of the API: who is calling, by the identity provider's token."""

from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from paidup.edge import clock, settings
from paidup.edge.caller import refused
from paidup.model.errors import IdentityUnavailable, Unauthorized
from paidup.outside import identity
from paidup.outside.log import logger

SETTINGS = ("PAIDUP_IDENTITY_ISSUER", "PAIDUP_IDENTITY_AUDIENCE", "PAIDUP_IDENTITY_JWKS_URL")

for name in SETTINGS:
    settings.text(name)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Pass on the caller to the function behind, or why there is none: that function answers 401, or 503 in an outage.

    Every request is let through, since API Gateway answers 403 to `isAuthorized: false`, and nobody promises what it
    answers to an authorizer that raises.
    """
    try:
        passed_on = identity.caller_in(_claims((event.get("headers") or {}).get("authorization") or ""))
    except (Unauthorized, IdentityUnavailable) as refusal:
        logger.info("caller.refused", kind=refusal.slug, why=str(refusal))
        passed_on = refused(refusal)
    return {"isAuthorized": True, "context": passed_on}


def _claims(authorization: str) -> Mapping[str, Any]:
    """Return the claims of the bearer token in *authorization*. Raises Unauthorized if there is none."""
    scheme, _, token = authorization.strip().partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthorized
    issuer, audience, keys = (settings.text(name) for name in SETTINGS)
    return identity.verify(token.strip(), identity.connect(keys), issuer=issuer, audience=audience, now=clock.now())
