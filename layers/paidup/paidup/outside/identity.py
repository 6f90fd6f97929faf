"""Identity tokens: whose JWKS is trusted, which algorithms count, and what makes a token good or bad."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import jwt
from paidup_gate.jwks import KeySet, KeysUnavailable

from paidup.model.errors import IdentityUnavailable, InvalidToken
from paidup.outside.log import logger

ALGORITHMS = ("RS256", "ES256", "EdDSA")
SKEW_S = 30
MOST_SUBJECT_BYTES = 255  # what OpenID Connect allows

type Keys = KeySet[jwt.PyJWK]


def verify(token: str, keys: Keys, *, issuer: str, audience: str, now: int) -> Mapping[str, Any]:
    """Return the claims of *token*, signed by one of *keys* with RS256, ES256 or EdDSA, good at *now* (epoch seconds).

    Raises InvalidToken: another algorithm (`none`, HS256 with the public key), issuer or audience, expired, not valid
    yet (30 s of skew allowed), or without exp, iss, aud or sub. Raises IdentityUnavailable.
    """
    try:
        header = jwt.get_unverified_header(token)
        if header.get("alg") not in ALGORITHMS:
            raise InvalidToken("The token is signed with an algorithm that is not accepted.")
        claims: dict[str, Any] = jwt.decode(
            token,
            _key(keys, str(header.get("kid"))),
            algorithms=list(ALGORITHMS),
            issuer=issuer,
            audience=audience,
            options={
                "require": ["exp", "iss", "aud", "sub"],
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
        ends, begins = int(claims["exp"]), max(int(claims.get("nbf", 0)), int(claims.get("iat", 0)))
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise InvalidToken(f"The token is not valid ({type(error).__name__}).") from error
    # the times are held against our own clock, the one that every other deadline here is held against
    if now >= ends:
        raise InvalidToken("The token has expired.")
    if begins > now + SKEW_S:
        raise InvalidToken("The token is not valid yet.")
    subject = claims["sub"]
    if not isinstance(subject, str) or not subject.isprintable() or not 0 < len(subject.encode()) <= MOST_SUBJECT_BYTES:
        raise InvalidToken("The token's subject is not usable as a customer id.")
    return claims


def caller_in(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Return what functions learn of the caller: `customer_id`, a list of `roles`, and `email` or nothing.

    `token_ends_at` (epoch seconds) is when the token ends.
    An address that the identity provider calls unverified is left out. `email_verified`: it says that it verified it.
    """
    said = claims.get("email_verified")
    verified = said in (None, True, "true")
    email, roles = claims.get("email"), claims.get("roles") or ()
    return {
        "customer_id": claims["sub"],
        "email": email if verified and _is_printable(email) else "",
        **({"email_verified": True} if said in (True, "true") else {}),
        "token_ends_at": int(claims["exp"]),
        "roles": [role for role in (roles if isinstance(roles, list) else [roles]) if _is_printable(role)],
    }


def _is_printable(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable()


def _key(keys: Keys, kid: str) -> jwt.PyJWK:
    """Return the key called *kid*. Raises InvalidToken if there is none, and IdentityUnavailable in an outage."""
    try:
        key = keys.get(kid)
    except KeysUnavailable:
        raise IdentityUnavailable from None
    if key is None:
        raise InvalidToken("The token is signed by an unknown key.")
    return key


def _read(document: bytes) -> Mapping[str, jwt.PyJWK]:
    """Return the keys of a JWKS *document* by their ids. Raises ValueError if it is none."""
    try:
        return {key.key_id: key for key in jwt.PyJWKSet.from_json(document.decode()).keys if key.key_id}
    except jwt.PyJWTError as error:
        raise ValueError(type(error).__name__) from error


@cache
def connect(url: str) -> Keys:
    """Return the identity provider's keys at *url*, kept for the life of the process."""

    def unreadable(error: Exception, at_hand: int) -> None:
        logger.error("keys.unreadable", url=url, why=type(error).__name__, at_hand=at_hand)

    return KeySet(url, _read, on_failure=unreadable)
