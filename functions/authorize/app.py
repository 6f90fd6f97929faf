"""Lambda authorizer of the API: who is calling, by the identity provider's token."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from paidup.edge import clock, settings
from paidup.model.errors import Unauthorized
from paidup.outside import identity
from paidup.outside.log import logger

SETTINGS = ("PAIDUP_IDENTITY_ISSUER", "PAIDUP_IDENTITY_AUDIENCE", "PAIDUP_IDENTITY_JWKS_URL")

for name in SETTINGS:
    settings.text(name)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return the caller for the functions behind; anything but a good token is 401, which API Gateway answers
    where an authorizer of payload format 2.0 raises exactly "Unauthorized".

    Where the identity provider's keys cannot be read, nobody is told to sign in again: API Gateway answers 500.
    """
    scheme, _, token = (event.get("headers") or {}).get("authorization", "").strip().partition(" ")
    try:
        if scheme.lower() != "bearer":
            raise Unauthorized
        issuer, audience, keys = (settings.text(name) for name in SETTINGS)
        claims = identity.verify(
            token.strip(), identity.connect(keys), issuer=issuer, audience=audience, now=clock.now()
        )
    except Unauthorized as refusal:
        logger.info("caller.refused", why=str(refusal))
        raise Exception("Unauthorized") from None
    return {"isAuthorized": True, "context": identity.caller_in(claims)}
