"""Signing a sample webhook anew: Stripe's signatures hold for five minutes, and samples are older."""

from collections.abc import Mapping
from typing import Any

from stripe import WebhookSignature


def signed(event: Mapping[str, Any], secret: str, *, at: int) -> dict[str, Any]:
    """Return *event* (a webhook from API Gateway, its body as text) signed with *secret* in the epoch second *at*."""
    signature = WebhookSignature.generate_signature_header(event["body"], secret, at)
    return {**event, "headers": {**event.get("headers", {}), "stripe-signature": signature}}
