"""The signing keys of billing tokens: how the secret begins, how its keys are rotated step by step, and how it is kept.

A rotation needs no second command. It writes two times into the secret, and the functions do the rest by the clock:

    rotate          signs_at (30 min later)                     retire_at (an hour after that)
    │ new: published │ new: signs                                │
    │ old: signs     │ old: published, for the tokens of before  │ old: withdrawn
"""

from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paidup.model.claims import to_json

Secret = dict[str, Any]

# Secrets are read every 5 minutes, the answer with the keys may be kept for 10, and verifiers keep keys for 5.
PUBLISHED_FIRST_S = 30 * 60
# Tokens live for 15 minutes, and a function may sign with the old key for 5 more.
KEPT_AFTER_S = 60 * 60

State = Literal["published", "signing", "retiring", "withdrawn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyStatus:
    """How a key stands: it signs from `signs_at` on, and is withdrawn at `retire_at` (epoch seconds), if ever."""

    kid: str
    state: State
    signs_at: int
    retire_at: int | None


def first() -> Secret:
    """Return a secret with one key, which signs at once by any clock."""
    return {"keys": [_new(not_before=0)]}


def rotated(secret: Mapping[str, Any], *, at_once: bool, now: int) -> Secret:
    """Return *secret* after a rotation at *now*. While one is under way, it is returned as it is.

    *at_once* is for a key that is no secret any more: a new key signs from now on, all others are withdrawn now.
    """
    keys = [one for one in secret.get("keys", ()) if _state(one, secret, now) != "withdrawn"]
    if at_once or not keys:
        return {"keys": [_new(not_before=now)]}
    if under_way(secret, now=now):
        return dict(secret)
    signs_at = now + PUBLISHED_FIRST_S
    old = [{**one, "retire_at": signs_at + KEPT_AFTER_S} for one in keys]
    return {"keys": [_new(not_before=signs_at), *old]}


def under_way(secret: Mapping[str, Any], *, now: int) -> bool:
    """Whether a rotation has not come to its end: a key waits to sign, or an old one to be withdrawn."""
    return any(one.state in ("published", "retiring") for one in statuses(secret, now=now))


def statuses(secret: Mapping[str, Any], *, now: int) -> list[KeyStatus]:
    """Return how each key of *secret* stands at *now* (epoch seconds), the newest first."""
    keys: Sequence[Mapping[str, Any]] = secret.get("keys", ())
    found = [
        KeyStatus(
            kid=one["kid"], state=_state(one, secret, now), signs_at=one["not_before"], retire_at=one.get("retire_at")
        )
        for one in keys
    ]
    return sorted(found, key=lambda one: (-one.signs_at, one.kid))


def _state(key: Mapping[str, Any], secret: Mapping[str, Any], now: int) -> State:
    if key.get("retire_at") is not None and key["retire_at"] <= now:
        return "withdrawn"
    if key["not_before"] > now:
        return "published"
    newer = (one for one in secret["keys"] if key["not_before"] < one["not_before"] <= now)
    return "retiring" if any(newer) else "signing"


def _new(*, not_before: int) -> dict[str, Any]:
    """Return a new key as JWK, called by its thumbprint (RFC 7638)."""
    private = Ed25519PrivateKey.generate()
    public = {"crv": "Ed25519", "kty": "OKP", "x": _encoded(private.public_key().public_bytes_raw())}
    kid = _encoded(sha256(to_json(public)).digest())[:16]
    return {**public, "kid": kid, "d": _encoded(private.private_bytes_raw()), "not_before": not_before}


def _encoded(part: bytes) -> str:
    return urlsafe_b64encode(part).rstrip(b"=").decode()
