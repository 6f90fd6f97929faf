"""Identity tokens: whose JWKS is trusted, which algorithms count, and what makes a token good or bad."""

import time
from collections.abc import Mapping
from functools import cache
from http.client import HTTPException
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import jwt

from paidup.model.errors import IdentityUnavailable, InvalidToken
from paidup.outside.log import logger

ALGORITHMS = ("RS256", "ES256", "EdDSA")
SKEW_S = 30
KEYS_KEPT_S = 300.0
REFETCH_AFTER_S = 5.0
FETCH_WITHIN_S = 2.0
MOST_BYTES = 256 * 1024
MOST_SUBJECT_BYTES = 255  # what OpenID Connect allows
# no answer, half an answer, or one that is no set of keys
UNREADABLE = (OSError, HTTPException, ValueError, TypeError, AttributeError, RecursionError, jwt.PyJWTError)


class Keys:
    """The identity provider's public keys, fetched when first needed and again when a token names an unknown one."""

    def __init__(self, url: str) -> None:
        """Take the keys at *url* (a JWKS document); nothing is fetched yet."""
        self._url = url
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = self._asked_at = float("-inf")
        self._one_at_a_time = Lock()

    def key(self, kid: str) -> jwt.PyJWK:
        """Return the key called *kid*.

        The provider is asked when its keys are 5 minutes old or *kid* is unknown, but at most every 5 s, however many
        ask and whether it answered or not. While it does not answer, the keys at hand are used.

        Raises InvalidToken if there is no such key, and IdentityUnavailable if the provider does not say.
        """
        with self._one_at_a_time:
            now = time.monotonic()
            wanted = kid not in self._keys or now - self._fetched_at > KEYS_KEPT_S
            if wanted and now - self._asked_at > REFETCH_AFTER_S:
                self._fetch()
            if kid in self._keys:
                return self._keys[kid]
            if self._fetched_at < self._asked_at:
                raise IdentityUnavailable
            raise InvalidToken("The token is signed by an unknown key.")

    def _fetch(self) -> None:
        """Fetch the keys within 2 s; the ones at hand are kept when the identity provider does not answer."""
        try:
            self._keys = {key.key_id: key for key in _read(self._url) if key.key_id}
            self._asked_at = self._fetched_at = time.monotonic()
        except UNREADABLE as error:
            self._asked_at = time.monotonic()
            logger.error("keys.unreadable", url=self._url, why=type(error).__name__, at_hand=len(self._keys))


def _read(url: str) -> list[jwt.PyJWK]:
    """Return the keys at *url*, within 2 s in all: a time-out alone would hold for every piece of the answer anew."""
    answer: SimpleQueue[bytes | Exception] = SimpleQueue()
    Thread(target=lambda: answer.put(_fetched(url)), daemon=True).start()
    try:
        found = answer.get(timeout=FETCH_WITHIN_S)
    except Empty:
        raise TimeoutError(f"no keys within {FETCH_WITHIN_S} s") from None
    if isinstance(found, Exception):
        raise found
    return jwt.PyJWKSet.from_json(found.decode()).keys


def _fetched(url: str) -> bytes | Exception:
    """Return what lies at *url*, or why it could not be fetched."""
    try:
        with urlopen(Request(url, headers={"Accept": "application/json"}), timeout=FETCH_WITHIN_S) as answer:  # noqa: S310 - the URL is a setting
            return bytes(answer.read(MOST_BYTES))
    except HTTPError as refused:
        refused.close()
        return refused
    except (OSError, HTTPException, ValueError) as error:
        return error


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
            keys.key(str(header.get("kid"))),
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
    """Return what functions learn of the caller: `customer_id`, a verified `email` or nothing, a list of `roles`."""
    verified = claims.get("email_verified", True) in (True, "true")
    email, roles = claims.get("email"), claims.get("roles") or ()
    return {
        "customer_id": claims["sub"],
        "email": email if verified and _is_printable(email) else "",
        "roles": [role for role in (roles if isinstance(roles, list) else [roles]) if _is_printable(role)],
    }


def _is_printable(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable()


@cache
def connect(url: str) -> Keys:
    """Return the keys at *url*, kept for the life of the process."""
    return Keys(url)
