"""A webhook to ourselves: of a type that nobody handles, signed as Stripe signs, by the way that Stripe's come."""

import json
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from secrets import token_hex
from typing import Any

import httpx
import stripe
from paidup.edge.measured import CHECKUP

from tools.doctor.finding import Finding, not_ok, ok, unknown

ROUND_TRIP = "signed round trip"
FORGERY = "forged webhook"
TYPE = "paidup.checkup"
WAIT_S = 15.0
BAD_REQUEST = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """What was answered, and after how long. `status` is None without an answer, `said` is a clause about it.

    `answered_at` is the epoch second of the API's clock, if the answer says it.
    """

    status: int | None
    said: str
    ms: int
    answered_at: int | None = None

    @property
    def taken(self) -> bool:
        """Whether the webhook was believed."""
        return self.status is not None and self.status < 300


def send(url: str, secret: str, *, at: int, live: bool, by_proxy: bool) -> Trip:
    """Send a webhook to *url* that is signed with *secret* in the epoch second *at*, and return what came of it.

    *live* is the mode of the account. *by_proxy*: the proxies of the environment count.
    """
    text = json.dumps(_event(at, live=live))
    signature = stripe.WebhookSignature.generate_signature_header(text, secret, at)
    headers = {"Stripe-Signature": signature, "Content-Type": "application/json", "User-Agent": CHECKUP}
    began = time.perf_counter()
    try:
        answer = httpx.post(url, content=text, headers=headers, timeout=WAIT_S, trust_env=by_proxy)
    except httpx.HTTPError as error:
        return Trip(status=None, said=f"no answer ({type(error).__name__})", ms=_ms_since(began))
    return Trip(status=answer.status_code, said=_said(answer), ms=_ms_since(began), answered_at=_second(answer.headers))


def forged(url: str, *, at: int, live: bool, by_proxy: bool) -> Trip:
    """Send a webhook as `send` does, signed with a secret that nobody has."""
    return send(url, f"whsec_{token_hex(24)}", at=at, live=live, by_proxy=by_proxy)


def of_trips(trips: list[Trip], url: str) -> Finding:
    """Judge the *trips* to *url*, one for each signing secret. The slowest is told."""
    worst = max(trips, key=lambda one: (not one.taken, one.ms))
    if worst.taken:
        return ok(ROUND_TRIP, f"{url} answered {worst.status}", ms=worst.ms)
    if worst.status is None:
        return not_ok(
            ROUND_TRIP, f"{url}: {worst.said}", "look whether the address is right, and receive_webhook deployed"
        )
    if worst.status == BAD_REQUEST:
        todo = "a secret counts within five minutes of its change: wait, then look again. If it stays, see clock"
        return not_ok(ROUND_TRIP, f"the functions refuse our own secret: {worst.said}", todo, ms=worst.ms)
    return not_ok(ROUND_TRIP, f"{url} answered {worst.status}", "look at the log of receive_webhook", ms=worst.ms)


def of_forged(trip: Trip, url: str) -> Finding:
    """Judge what came of a webhook with a wrong signature."""
    if trip.taken:
        todo = f"anybody can say that they paid. Look what answers at {url}, and deploy it anew"
        return not_ok(FORGERY, f"it was answered {trip.status}, as if it were Stripe's", todo, ms=trip.ms)
    if trip.status == BAD_REQUEST:
        return ok(FORGERY, "a wrong signature is refused", ms=trip.ms)
    return unknown(FORGERY, trip.said if trip.status is None else f"{url} answered {trip.status}")


def _event(at: int, *, live: bool) -> dict[str, Any]:
    return {
        "id": f"evt_checkup{token_hex(8)}",
        "object": "event",
        "api_version": stripe.api_version,
        "created": at,
        "livemode": live,
        "type": TYPE,
        "data": {"object": {"id": "checkup", "object": "checkup"}},
    }


def _said(answer: httpx.Response) -> str:
    """Return the sentence of a refusal, or the status alone."""
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"status {answer.status_code}"


def _second(headers: httpx.Headers) -> int | None:
    try:
        return int(parsedate_to_datetime(headers["date"]).timestamp())
    except (KeyError, ValueError):
        return None


def _ms_since(began: float) -> int:
    return int((time.perf_counter() - began) * 1000)
