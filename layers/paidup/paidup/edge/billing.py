"""Whose keys sign billing tokens."""

from functools import partial

from paidup.edge import settings
from paidup.outside import secrets, signing_keys
from paidup.outside.signing_keys import SigningKeys

SETTINGS = ("PAIDUP_TABLE", "PAIDUP_SIGNING_KEYS_SECRET", "PAIDUP_BILLING_AUDIENCE")


def keys() -> SigningKeys:
    """Return the signing keys; their secret is kept for five minutes. Raises what reading it raises."""
    return signing_keys.connect(partial(secrets.read, settings.text("PAIDUP_SIGNING_KEYS_SECRET")))
