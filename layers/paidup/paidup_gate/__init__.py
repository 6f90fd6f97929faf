"""paidup_gate: read billing tokens in any backend. Needs `cryptography` and nothing else: no AWS, nothing of paidup.

keys = keys_of(ISSUER)  # once a process
claims = verify(bearer(authorization), keys, issuer=ISSUER, audience="paidup", now=int(time.time()))
if claims.opens("monthly"): …
"""

from paidup_gate.jwks import KeySet, KeysUnavailable
from paidup_gate.tokens import BillingClaims, BillingKeys, Grant, InvalidBillingToken, bearer, keys_of, verify

__all__ = [
    "BillingClaims",
    "BillingKeys",
    "Grant",
    "InvalidBillingToken",
    "KeySet",
    "KeysUnavailable",
    "bearer",
    "keys_of",
    "verify",
]
