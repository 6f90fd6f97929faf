"""Billing tokens: what one says, and what makes one good or bad. Every backend of the shop reads them with this."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from paidup_gate.jwks import KeySet

MOST_BYTES = 4_096
SKEW_S = 30
ALGORITHM, KEY_TYPE, CURVE = "EdDSA", "OKP", "Ed25519"  # the only ones: a token cannot choose


class InvalidBillingToken(Exception):
    """The billing token is missing or not valid. The message is a sentence without any part of the token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """`quantity` of an offer that the customer may use until `until` (epoch seconds; None: for good)."""

    offer_id: str
    kind: str
    status: str
    quantity: int
    until: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingClaims:
    """What a good token says: the access of `customer_id` as of the billing version `version`.

    `access` holds what grants now. If `truncated`, the customer has more than that. Times are epoch seconds.
    """

    customer_id: str
    version: int
    access: tuple[Grant, ...]
    truncated: bool
    issued_at: int
    expires_at: int

    def opens(self, *offer_ids: str) -> bool:
        """Whether the customer may use one of the offers *offer_ids*; without any: whether they may use anything."""
        return any(not offer_ids or one.offer_id in offer_ids for one in self.access)


type BillingKeys = KeySet[Ed25519PublicKey]


def keys_of(issuer: str, **more: Any) -> BillingKeys:
    """Return the keys that *issuer* (the URL of paidup's API) signs with. *more* is as in `KeySet`."""
    return KeySet(f"{issuer.rstrip('/')}/.well-known/jwks.json", read_keys, **more)


def read_keys(document: bytes) -> Mapping[str, Ed25519PublicKey]:
    """Return the Ed25519 keys of a JWKS *document*, by `kid`. Others are left out. Raises ValueError if it has none."""
    found: dict[str, Ed25519PublicKey] = {}
    for one in json.loads(document)["keys"]:
        if (one.get("kty"), one.get("crv")) == (KEY_TYPE, CURVE) and isinstance(kid := one.get("kid"), str):
            found[kid] = Ed25519PublicKey.from_public_bytes(_decoded(one["x"]))
    if not found:
        raise ValueError("no Ed25519 key")
    return found


def bearer(authorization: str | None) -> str:
    """Return the token of the header `Authorization: Bearer <token>`. Raises InvalidBillingToken if there is none."""
    scheme, _, token = (authorization or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise InvalidBillingToken("The request carries no billing token.")
    return token.strip()


def verify(token: str, keys: BillingKeys, *, issuer: str, audience: str, now: int) -> BillingClaims:
    """Return what *token* says at *now* (epoch seconds).

    Raises InvalidBillingToken if it is over 4 KB, signed with another algorithm than EdDSA or by a key that is not
    among *keys*, of another *issuer* or *audience*, expired, or issued over 30 s in the future. Raises KeysUnavailable
    if the keys cannot be read. What can be refused without the keys is refused before they are asked for.
    """
    try:
        signed, signature, kid, claims = _parsed(token)
        found = _claims(claims, issuer=issuer, audience=audience, now=now)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InvalidBillingToken("The billing token is not valid.") from error
    key = keys.get(kid)
    if key is None:
        raise InvalidBillingToken("The billing token is signed by an unknown key.")
    try:
        key.verify(signature, signed)
    except InvalidSignature:
        raise InvalidBillingToken("The signature of the billing token does not verify.") from None
    return found


def _parsed(token: str) -> tuple[bytes, bytes, str, Mapping[str, Any]]:
    """Return what is signed, the signature, the key's id and the claims: all of it as the token says, unverified."""
    if len(token) > MOST_BYTES:
        raise InvalidBillingToken("The billing token is too large.")
    signed, _, signature = token.rpartition(".")
    header_part, claims_part = signed.split(".")
    header, claims = json.loads(_decoded(header_part)), json.loads(_decoded(claims_part))
    if header.get("alg") != ALGORITHM:
        raise InvalidBillingToken("The billing token is signed with an algorithm that is not accepted.")
    if not header.keys() <= {"alg", "kid", "typ"} or not isinstance(kid := header.get("kid"), str):
        raise InvalidBillingToken("The billing token does not name its key as it must.")
    return signed.encode("ascii"), _decoded(signature), kid, claims


def _claims(claims: Mapping[str, Any], *, issuer: str, audience: str, now: int) -> BillingClaims:
    if claims["iss"] != issuer or claims["aud"] != audience:
        raise InvalidBillingToken("The billing token is of another issuer or for another audience.")
    issued_at, expires_at, billing = _whole(claims["iat"]), _whole(claims["exp"]), claims["billing"]
    if now >= expires_at:
        raise InvalidBillingToken("The billing token has expired.")
    if issued_at > now + SKEW_S:
        raise InvalidBillingToken("The billing token is not valid yet.")
    if not isinstance(claims["sub"], str) or not claims["sub"]:
        raise ValueError("sub")
    grants = (_grant(one) for one in billing["access"])
    return BillingClaims(
        customer_id=claims["sub"],
        version=_whole(billing["version"]),
        access=tuple(one for one in grants if one.until is None or now < one.until),
        truncated=billing.get("truncated") is True,
        issued_at=issued_at,
        expires_at=expires_at,
    )


def _grant(said: Mapping[str, Any]) -> Grant:
    until = said["until"]
    return Grant(
        offer_id=said["offer_id"],
        kind=said["kind"],
        status=said["status"],
        quantity=_whole(said["quantity"]),
        until=None if until is None else _whole(until),
    )


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise ValueError("not a whole number")
    return value


def _decoded(part: str) -> bytes:
    """Return the bytes of *part* (base64url without padding). Raises ValueError unless it is spelled as we spell it.

    Otherwise a changed last letter could leave the bytes as they were, and one token would have several spellings.
    """
    found = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if urlsafe_b64encode(found).rstrip(b"=") != part.encode("ascii"):
        raise ValueError("not base64url")
    return found
