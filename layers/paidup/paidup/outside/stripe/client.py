"""Calling Stripe: time-outs within the caller's deadline, errors as refusals, and the time of each answer."""

import logging
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

import requests
import stripe
from requests.adapters import HTTPAdapter

from paidup.model.errors import (
    BudgetSpent,
    IdempotencyKeySpent,
    Malformed,
    ObjectMissing,
    ProviderRefused,
    ProviderUnavailable,
    RateLimited,
)
from paidup.outside import allowance, metrics
from paidup.outside.deadline import remaining
from paidup.outside.stripe.facts import Observed
from paidup.outside.stripe.metadata import NAME

CONNECT_S, READ_S, RETRIES = 2.0, 5.0, 2
TOO_MANY, OUTAGE = 429, 500
PAUSE_S = 0.5  # the library pauses this long before it tries again
LATE = "the caller's deadline has passed"

# Stripe's library logs addresses and parameters, such as e-mail addresses.
logging.getLogger("stripe").setLevel(logging.WARNING)

TOOK_S = "paidup-took-s"  # a header of ours on each answer: how many seconds its request took
_not_before: ContextVar[int] = ContextVar("not_before", default=0)


class Unreadable(ProviderRefused):
    """A field in Stripe's answer is missing or has another type. Clients see the slug `provider-refused`."""


class WithinDeadline(HTTPAdapter):
    """A transport that waits no longer than the caller's deadline allows."""

    def send(self, request: requests.PreparedRequest, **how: Any) -> requests.Response:  # type: ignore[override]  # keywords only
        """Send *request*. If the deadline has passed, raise RequestException at once."""
        left = remaining(READ_S)
        if left <= 0:
            raise requests.exceptions.RequestException(LATE)  # the library does not try this class again
        allowance.spend(NAME)
        began = time.monotonic()
        try:
            answer = super().send(request, **{**how, "timeout": (min(CONNECT_S, left), left)})
        except (requests.exceptions.Timeout, requests.exceptions.ConnectionError) as error:
            timed_out = isinstance(error, requests.exceptions.Timeout)
            metrics.count("ProviderFailed", reason="timeout" if timed_out else "unreachable")
            if remaining(READ_S) <= PAUSE_S:
                raise requests.exceptions.RequestException(LATE) from error
            raise
        took_s = time.monotonic() - began
        answer.headers[TOOK_S] = str(took_s)
        metrics.time("ProviderTime", took_s * 1000)
        if answer.status_code == TOO_MANY or answer.status_code >= OUTAGE:
            metrics.count("ProviderFailed", reason="rate-limited" if answer.status_code == TOO_MANY else "outage")
        if answer.status_code == TOO_MANY and _concerns_reads(request, answer):
            allowance.refused(NAME, _seconds(answer.headers))
        if not answer.ok and isinstance(_error_in(answer), str):
            raise requests.exceptions.ConnectionError("a gateway answered in Stripe's place")
        return answer


def _concerns_reads(request: requests.PreparedRequest, answer: requests.Response) -> bool:
    """Return whether a 429 is about the whole account, or about an endpoint that is read.

    One may be about a single object, which another request holds for a moment or which was changed too often. See
    `Stripe-Rate-Limited-Reason` in https://docs.stripe.com/rate-limits.
    """
    reason = answer.headers.get("Stripe-Rate-Limited-Reason", "")
    if reason == "resource-specific" or answer.headers.get("Stripe-Should-Retry") == "true":
        return False
    return request.method == "GET" or not reason.startswith("endpoint-")


def _error_in(answer: requests.Response) -> object:
    """Return the field `error` of a failed answer. Stripe's is an object, and its library can read nothing else."""
    try:
        body = answer.json()
    except ValueError:
        return None
    return body.get("error") if isinstance(body, dict) else None


def _seconds(headers: Mapping[str, str]) -> int | None:
    """Return the seconds after which to ask again, if *headers* say them. Stripe names no date."""
    said = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return int(said) if said.isdecimal() else None


@cache
def client(api_key: str, base: str) -> stripe.StripeClient:
    """Return the client for *api_key*, at the address *base* (empty: Stripe's own). A process has one for each key."""
    session = requests.Session()
    for scheme in ("https://", "http://"):
        session.mount(scheme, WithinDeadline())
    return stripe.StripeClient(
        api_key,
        base_addresses={"api": base} if base else None,
        max_network_retries=RETRIES,
        http_client=stripe.RequestsClient(session=session),
    )


@contextmanager
def translate_errors(what: str) -> Iterator[None]:
    """Turn Stripe's errors into refusals. *what* ends the sentence "stripe did not answer: it was asked …".

    After a time-out, 409 (the idempotency key is in use), 429 (RateLimited) or 5xx, trying again helps:
    ProviderUnavailable. After a bad API key or a refused parameter it does not: ProviderRefused. An answer that cannot
    be read is Unreadable.
    """
    try:
        yield
    except stripe.RateLimitError as error:
        raise RateLimited("stripe", f"it was asked {what}", retry_after_s=_seconds(error.headers or {})) from error
    except stripe.APIConnectionError as error:
        if isinstance(error.__cause__, BudgetSpent):
            raise error.__cause__ from None
        raise ProviderUnavailable("stripe", f"it was asked {what}") from error
    except stripe.InvalidRequestError as error:
        kind = ObjectMissing if error.code == "resource_missing" else ProviderRefused
        raise kind("stripe", f"it was asked {what} ({error.code or error.http_status}, {error.param})") from error
    except stripe.IdempotencyError as error:  # the key was used with other parameters: a new key helps
        raise IdempotencyKeySpent("stripe", f"it was asked {what} ({error.http_status})") from error
    except (stripe.AuthenticationError, stripe.PermissionError, stripe.CardError) as error:
        raise ProviderRefused("stripe", f"it was asked {what} ({error.http_status})") from error
    except (KeyError, IndexError, ValueError, TypeError, AttributeError, Malformed) as error:
        why = f"it was asked {what}, and answered what cannot be read ({type(error).__name__})"
        raise Unreadable("stripe", why) from error
    except stripe.StripeError as error:
        dead = (error.http_status or 0) >= 500
        kind_of_outage = IdempotencyKeySpent if dead else ProviderUnavailable
        raise kind_of_outage("stripe", f"it was asked {what} ({error.http_status})") from error


@contextmanager
def not_before(second: int) -> Iterator[None]:
    """Stamp no answer in the block earlier than *second* (Stripe's epoch second), which Stripe reported before."""
    token = _not_before.set(second)
    try:
        yield
    finally:
        _not_before.reset(token)


def stamp(answer: stripe.StripeObject) -> int:
    """Return the epoch second of *answer* by Stripe's clock, from its HTTP Date header.

    Stripe may have read the object at the beginning of the call. So the duration of the call is subtracted, in whole
    seconds: an event from that time must not lose against the answer. The result is at least the second of
    `not_before`, because Stripe had reported that before it was asked. Raises ValueError for an object that was not
    fetched.
    """
    response = answer.last_response
    if response is None:
        raise ValueError("a Stripe object that was not fetched has no time of its own")
    answered_at = int(parsedate_to_datetime(response.headers["Date"]).timestamp())
    took_s = float(response.headers.get(TOOK_S, 0))
    return max(answered_at - math.ceil(took_s), min(_not_before.get(), answered_at))


def fetched(answer: stripe.StripeObject) -> Observed:
    """Return that *answer* was fetched, with the second of `stamp`."""
    return Observed(at=stamp(answer), fetched=True, by="")


def pages(page: Any) -> Iterator[tuple[dict[str, Any], Observed]]:
    """Yield every object of a list, page after page, with the time of the page that held it."""
    while page.data:
        observed = fetched(page)
        for thing in page.data:
            yield thing.to_dict(), observed
        if not page.has_more:
            return
        page = page.next_page()
