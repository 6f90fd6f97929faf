"""Stripe's webhooks: whose signature counts, how old it may be, and what an event is."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stripe import SignatureVerificationError, WebhookSignature

from paidup.model.errors import BadSignature, BrokenJson

TOLERANCE_S = 300

# Read and settled; every other type is answered 200 and ignored.
SETTLED_BEFORE_ANSWER = frozenset(
    {
        "checkout.session.completed",
        "checkout.session.async_payment_succeeded",
        "checkout.session.async_payment_failed",
    }
)
QUEUED = frozenset(
    {
        "checkout.session.expired",
        "customer.subscription.created",
        "customer.subscription.updated",
        "customer.subscription.deleted",
        "customer.subscription.paused",
        "customer.subscription.resumed",
        "customer.subscription.trial_will_end",
        "invoice.paid",
        "invoice.payment_failed",
        "invoice.payment_action_required",
        "charge.refunded",
        "refund.failed",
        "charge.dispute.created",
        "charge.dispute.updated",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
        "charge.dispute.closed",
    }
)
HANDLED = SETTLED_BEFORE_ANSWER | QUEUED


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A Stripe event: `created` is Stripe's epoch second; `thing` is the object as told, None where the event is thin
    (type and object id only); `body` is the raw JSON.
    """

    event_id: str
    type: str
    created: int
    object_id: str
    thing: Mapping[str, Any] | None
    body: str

    @property
    def handled(self) -> bool:
        """Whether its type touches a pass."""
        return self.type in HANDLED


def verify(body: bytes, signature: str | None, secrets: Sequence[str], *, now: int) -> None:
    """Check that Stripe signed *body* with one of *secrets*, at most 300 s before or after *now* (epoch seconds).

    Raises BadSignature. Any v1 of any active secret counts (Stripe signs with both while a secret is rolled over 24 h).
    The age is checked here, against our own clock, because Stripe's check accepts time stamps from the future.
    """
    if not signature:
        raise BadSignature("The Stripe-Signature header is missing.")
    if not any(_signed(body, signature, secret) for secret in secrets):
        raise BadSignature("No signature in the Stripe-Signature header matches the body.")
    # one stamp alone: Stripe's check signs with the first, so no second one may vouch for the age
    stamps = [part.partition("=")[2] for part in signature.split(",") if part.startswith("t=")]
    if len(stamps) != 1 or abs(now - int(stamps[0])) > TOLERANCE_S:
        raise BadSignature(f"The signature's time stamp is more than {TOLERANCE_S} s away from now.")


def read(body: bytes) -> Event:
    """Return the event in *body*; raises BrokenJson when there is none in it.

    Reads snapshot events and thin ones (`v2.core.event`, whose types begin with `v1.` and whose time is ISO 8601).
    """
    try:
        text = body.decode()
        raw = json.loads(text)
        if raw["object"] == "v2.core.event":
            created = int(datetime.fromisoformat(raw["created"]).timestamp())
            related = raw.get("related_object") or {"id": ""}
            kind = raw["type"].removeprefix("v1.")
            return Event(event_id=raw["id"], type=kind, created=created, object_id=related["id"], thing=None, body=text)
        thing = raw["data"]["object"]
        return Event(
            event_id=raw["id"],
            type=raw["type"],
            created=int(raw["created"]),
            object_id=thing.get("id", ""),
            thing=thing,
            body=text,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BrokenJson("The body is not a Stripe event.") from error


def _signed(body: bytes, signature: str, secret: str) -> bool:
    try:
        return bool(WebhookSignature.verify_header(body, signature, secret))
    except (SignatureVerificationError, UnicodeDecodeError, TypeError):  # TypeError: it compares no text beyond ASCII
        return False
