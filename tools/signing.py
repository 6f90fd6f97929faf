"""Signing a sample webhook anew: Stripe's signatures hold for five minutes, and samples are older."""

from collections.abc import Mapping
from typing import Any

HEADER = "stripe-signature"


def is_webhook(event: Any) -> bool:
    """Return whether *event* is a signed webhook from API Gateway, its body as text."""
    if not isinstance(event, dict) or event.get("isBase64Encoded") or not isinstance(event.get("body"), str):
        return False
    return HEADER in (event.get("headers") or {})


def signed(event: Mapping[str, Any], secret: str, *, at: int) -> dict[str, Any]:
    """Return *event* (a webhook from API Gateway, its body as text) signed with *secret* in the epoch second *at*."""
    from stripe import WebhookSignature  # loads for longer than most events take

    signature = WebhookSignature.generate_signature_header(event["body"], secret, at)
    return {**event, "headers": {**event.get("headers", {}), HEADER: signature}}
