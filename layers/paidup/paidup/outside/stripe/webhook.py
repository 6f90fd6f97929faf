"""Stripe's webhooks: how a signature is checked, what an event is, and which types concern us."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

from stripe import SignatureVerificationError, WebhookSignature, api_version

from paidup.model.errors import BadSignature, BrokenJson, Malformed
from paidup.model.provider import WebhookEvent
from paidup.outside.stripe.metadata import NAME

TOLERANCE_S = 300

# Stripe delays the buyer's redirect for up to 10 s, until the webhook of a completed session is answered.
# Source: https://docs.stripe.com/checkout/fulfillment
URGENT = frozenset(
    {
        "checkout.session.completed",
        "checkout.session.async_payment_succeeded",
        "checkout.session.async_payment_failed",
    }
)
NOT_URGENT = frozenset(
    {
        "checkout.session.expired",
        "customer.subscription.created",
        "customer.subscription.updated",
        "customer.subscription.deleted",
        "customer.subscription.paused",
        "customer.subscription.resumed",
        "customer.subscription.pending_update_applied",
        "customer.subscription.pending_update_expired",
        "customer.subscription.trial_will_end",
        "invoice.paid",
        "invoice.payment_failed",
        "invoice.payment_action_required",
        "invoice.voided",
        "invoice.marked_uncollectible",
        "charge.refunded",
        "charge.refund.updated",
        "refund.updated",
        "refund.failed",
        "charge.dispute.created",
        "charge.dispute.updated",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
        "charge.dispute.closed",
    }
)
HANDLED = URGENT | NOT_URGENT  # these types can move money or access, and all others are ignored


LONGEST_ID = 255  # Stripe's own limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A Stripe event. `created` is Stripe's epoch second. `thing` is the object as reported.

    If the event is thin (type and object id only), or was made by another version of the API, `thing` is None: the
    object must be fetched. `account` is the connected account that the event
    is about (None: our own).
    """

    event_id: str
    type: str
    created: int
    object_id: str
    thing: Mapping[str, Any] | None
    livemode: bool
    account: str | None


def verify(body: bytes, signature: str | None, secrets: Sequence[str], *, now: int) -> None:
    """Check that Stripe signed *body* with one of *secrets*, at most 300 s before or after *now* (epoch seconds).

    Raises BadSignature. One valid `v1` signature is enough: while a secret is rolled over, for up to 24 h, Stripe signs
    with both secrets. The age is checked here, because the check of Stripe's library accepts time stamps from the
    future. Source: https://docs.stripe.com/webhooks#verify-manually
    """
    if not signature:
        raise BadSignature("The Stripe-Signature header is missing.")
    if not any(_signed(body, signature, secret) for secret in secrets):
        raise BadSignature("No signature in the Stripe-Signature header matches the body.")
    # Exactly one stamp: the library checks the signature of one stamp, so a second stamp could fake the age.
    stamps = [part.partition("=")[2] for part in signature.split(",") if part.startswith("t=")]
    if len(stamps) != 1 or abs(now - int(stamps[0])) > TOLERANCE_S:
        raise BadSignature(f"The signature's time stamp is more than {TOLERANCE_S} s away from now.")


def read(body: str, *, api_key: str, now: int | None = None) -> WebhookEvent:
    """Return the event in *body*. It is relevant if its type is in HANDLED, and it is about our account and mode.

    A Connect endpoint also reports other accounts, whose owners can write any metadata. A test-mode event moves no
    money. Raises BrokenJson. Raises Malformed if the event was created more than 300 s after *now* (epoch seconds).
    """
    event = parse(body)
    if now is not None and event.created > now + TOLERANCE_S:
        raise Malformed("created", f"lies more than {TOLERANCE_S} s in the future")
    ours = event.account is None and event.livemode == ("_live_" in api_key)
    return WebhookEvent(
        provider=NAME,
        event_id=event.event_id,
        type=event.type,
        created_at=event.created,
        urgent=event.type in URGENT,
        relevant=ours and event.type in HANDLED,
        body=body,
    )


def parse(text: str) -> Event:
    """Return the event in *text*: a snapshot event or a thin one. Raises BrokenJson if *text* is no event.

    A thin event is a `v2.core.event`. Its type begins with `v1.`, and its time is in ISO 8601.
    """
    try:
        raw = json.loads(text, parse_constant=_no_number)
        if "\\ud" in text.lower():
            json.dumps(raw, ensure_ascii=False).encode()  # fails for half a surrogate pair, which cannot be stored
        thin = raw["object"] == "v2.core.event"
        thing = None if thin else raw["data"]["object"]
        related: Any = (raw.get("related_object") or {"id": ""}) if thin else thing
        ours = thin or _release(raw.get("api_version")) in (None, _release(api_version))
        created = datetime.fromisoformat(raw["created"]).timestamp() if thin else raw["created"]
        event = Event(
            event_id=raw["id"],
            type=str.removeprefix(raw["type"], "v1."),
            created=int(created),
            object_id=related.get("id", ""),
            thing=thing if ours or not isinstance(thing, Mapping) else None,
            livemode=bool(raw.get("livemode")),
            account=raw.get("context" if thin else "account") or None,
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise BrokenJson("The body is not a Stripe event.") from error
    if not isinstance(event.thing, Mapping | None):
        raise BrokenJson("The body is not a Stripe event: it is about nothing.")
    for an_id in (event.event_id, event.object_id):
        if not isinstance(an_id, str) or len(an_id) > LONGEST_ID or not an_id.isprintable():
            raise BrokenJson("The body is not a Stripe event: its ids are no ids.")
    if not event.event_id or not 0 <= event.created < 10**10:
        raise BrokenJson("The body is not a Stripe event: it has no id, or no time.")
    return event


def _release(version: str | None) -> str | None:
    """Return the release of a version (`endive` of `2026-10-28.endive`). Within a release, objects keep their shape."""
    return version.rpartition(".")[2] if version else None


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _signed(body: bytes, signature: str, secret: str) -> bool:
    try:
        return bool(WebhookSignature.verify_header(body, signature, secret))
    except (SignatureVerificationError, UnicodeDecodeError, TypeError):  # TypeError: it compares ASCII only
        return False
