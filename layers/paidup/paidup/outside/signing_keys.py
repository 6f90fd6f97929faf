"""Signing keys: the secret that holds them, which of them signs and which are published at a moment, and the signing.

The secret is `{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": …, "x": …, "d": …, "not_before": …, "retire_at": …}]}`:
private keys as JWK (RFC 8037) with two times in epoch seconds. A key signs from `not_before` on, if no newer one does.
It is published until `retire_at`; without it, for good.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from paidup.model.claims import to_json
from paidup.outside.secrets import BadSecret

ALGORITHM = "EdDSA"
FIELD = "keys"
SIGNATURE_BYTES = 64
MOST_BYTES = 4_096  # of a whole token: it travels in a header

type ReadSecret = Callable[[str], Mapping[str, Any]]
"""Returns the secret, which has the field that is named. Raises BadSecret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """One private key. `d` and `x` are its private and public half, in base64url; neither is ever logged or shown."""

    kid: str
    x: str
    d: str
    not_before: int
    retire_at: int | None = None

    def published(self, *, now: int) -> bool:
        """Whether tokens may be signed with this key at *now* (epoch seconds), or were and may still live."""
        return self.retire_at is None or now < self.retire_at

    def __repr__(self) -> str:
        """Return the key's id alone."""
        return f"SigningKey({self.kid})"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """A key as JWKS has it (RFC 7517, RFC 8037)."""

    kty: str
    crv: str
    alg: str
    use: str
    kid: str
    x: str


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The keys of the secret."""

    keys: tuple[SigningKey, ...]

    def published(self, *, now: int) -> list[PublicKey]:
        """Return the public keys of all tokens that may be good at *now*, the newest first."""
        found = [one for one in self.keys if one.published(now=now)]
        return [
            PublicKey(kty="OKP", crv="Ed25519", alg=ALGORITHM, use="sig", kid=one.kid, x=one.x)
            for one in sorted(found, key=lambda one: (-one.not_before, one.kid))
        ]

    def room(self, claims: Mapping[str, Any], *, now: int) -> int:
        """Return how many bytes of JSON one more claim may have beside *claims*, so that the token has 4 KB at most."""
        parts = len(_header(self._signing(now))) + 2 + _encoded_length(SIGNATURE_BYTES)
        return (MOST_BYTES - parts) * 3 // 4 - len(to_json(claims)) - len(b',"billing":')

    def sign(self, claims: Mapping[str, Any], *, now: int) -> str:
        """Return *claims* as a JWT, signed by the key that signs at *now*. Raises BadSecret if no key does."""
        key = self._signing(now)
        text = f"{_header(key)}.{_encoded(to_json(claims))}"
        signature = Ed25519PrivateKey.from_private_bytes(_decoded(key.d)).sign(text.encode())
        return f"{text}.{_encoded(signature)}"

    def _signing(self, now: int) -> SigningKey:
        found = [one for one in self.keys if one.not_before <= now and one.published(now=now)]
        if not found:
            raise BadSecret("The secret of the signing keys has no key that signs now: run `paidup keys rotate`.")
        return max(found, key=lambda one: (one.not_before, one.kid))


def read(secret: Mapping[str, Any]) -> SigningKeys:
    """Return the keys in *secret*. Raises BadSecret if a key is not as it must be; the message holds no key."""
    try:
        return SigningKeys(tuple(map(_key, secret[FIELD])))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise BadSecret("The secret of the signing keys holds a key that is not as it must be.") from None


def _key(plain: Mapping[str, Any]) -> SigningKey:
    if (plain["kty"], plain["crv"]) != ("OKP", "Ed25519") or len(_decoded(plain["d"])) != 32:
        raise ValueError("no Ed25519 key")
    retire_at = plain.get("retire_at")
    return SigningKey(
        kid=str(plain["kid"]),
        x=str(plain["x"]),
        d=str(plain["d"]),
        not_before=int(plain["not_before"]),
        retire_at=None if retire_at is None else int(retire_at),
    )


def connect(read_secret: ReadSecret) -> SigningKeys:
    """Return the keys of the secret that *read_secret* reads. Raises BadSecret."""
    return read(read_secret(FIELD))


def _header(key: SigningKey) -> str:
    return _encoded(to_json({"alg": ALGORITHM, "kid": key.kid, "typ": "JWT"}))


def _encoded(part: bytes) -> str:
    return urlsafe_b64encode(part).rstrip(b"=").decode()


def _encoded_length(count: int) -> int:
    return -(-count * 4 // 3)


def _decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))
