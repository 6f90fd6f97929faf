"""A billing token as its customer gets it, and the public keys as everybody does."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Self

from paidup.edge.views.access import AccessView, access_of
from paidup.flows.issue_token import IssuedToken
from paidup.model.claims import to_json
from paidup.outside.signing_keys import PublicKey

KEPT = "public, max-age=300, stale-while-revalidate=300"  # a new key waits for longer than that before it signs


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingTokenView:
    """A token, good until `expires_at` (epoch seconds), and the whole `access` that the customer has now.

    If it is `truncated`, the token itself names less than that.
    """

    token: str
    expires_at: int
    billing_version: int
    access: list[AccessView]
    truncated: bool

    @classmethod
    def of(cls, issued: IssuedToken, *, now: int) -> Self:
        """Return the view of what was *issued* at *now*."""
        return cls(
            token=issued.token,
            expires_at=issued.claims.expires_at,
            billing_version=issued.claims.version,
            access=access_of(issued.account, now=now),
            truncated=issued.claims.truncated,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Jwks:
    """The public keys of all billing tokens that may be good now (RFC 7517)."""

    keys: list[PublicKey]

    @property
    def headers(self) -> Mapping[str, str]:
        """How long the keys may be kept, and the tag by which a client asks whether they have changed."""
        tag = sha256(to_json(asdict(self))).hexdigest()[:20]
        return {"Cache-Control": KEPT, "ETag": f'"{tag}"'}
