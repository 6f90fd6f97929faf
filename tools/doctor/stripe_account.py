"""The Stripe account as a doctor sees it: its webhook endpoints, its clock, and what it could not deliver."""

from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from paidup.model.endpoint import Endpoint, EndpointFault, faults
from paidup.outside.stripe.client import translate_errors
from paidup.outside.stripe.provider import Stripe
from paidup.outside.stripe.webhook import HANDLED

TRIED_FOR_S = 3 * 86_400  # Stripe sends an event again for three days
UNDER_WAY_S = 60
ENABLED = "enabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What the account says. `now` is its own clock. Of `undelivered` events, the times are listed, the newest first.

    `version` is the version of the API in which events come to us (None: there was no event yet). `delivered_at` is of
    the newest event that was delivered. All times are epoch seconds.
    """

    now: int
    endpoints: tuple[Endpoint, ...]
    version: str | None
    undelivered: tuple[int, ...]
    delivered_at: int | None

    def faults(self, url: str) -> tuple[EndpointFault, ...]:
        """Return what is wrong with the endpoint for *url*."""
        return faults(self.endpoints, url)

    def missing(self, url: str) -> tuple[str, ...]:
        """Return the types that the endpoint for *url* is not told of."""
        return next((one.missing for one in self._at(url) if one.missing), ())

    def others(self, url: str) -> int:
        """Return how many more endpoints are told of events."""
        return sum(one.enabled for one in self.endpoints) - sum(one.enabled for one in self._at(url))

    def _at(self, url: str) -> list[Endpoint]:
        return [one for one in self.endpoints if one.url.rstrip("/") == url.rstrip("/")]


def read(provider: Stripe, url: str) -> Account:
    """Return what the account says, if our endpoint is at *url*, in four requests or a few more.

    Raises ProviderUnavailable and ProviderRefused.
    """
    endpoints = tuple(provider.endpoints())
    with translate_errors("for its events"):
        newest: Any = provider.api.v1.events.list({"limit": 1})
        now = int(parsedate_to_datetime(newest.last_response.headers["Date"]).timestamp())
        asked: Any = {"limit": 100, "created": {"gte": now - TRIED_FOR_S, "lte": now - UNDER_WAY_S}}
        undelivered = _times(provider.api.v1.events.list(asked | {"delivery_success": False}).data)
        delivered = _times(provider.api.v1.events.list(asked | {"delivery_success": True}).data)
    return Account(
        now=now,
        endpoints=endpoints,
        version=_version(provider, url) or next((one.api_version for one in newest.data), None),
        undelivered=undelivered,
        delivered_at=next(iter(delivered), None),
    )


def _times(events: Iterable[Any]) -> tuple[int, ...]:
    """Return when the *events* were made that concern us. Of others, nobody is told."""
    return tuple(event.created for event in events if event.type in HANDLED)


def _version(provider: Stripe, url: str) -> str | None:
    """Return the version that the endpoint at *url* asks for. None: it takes the account's."""
    with translate_errors("for its webhook endpoints"):
        listed: Any = provider.api.v1.webhook_endpoints.list({"limit": 100}).data
    ours = (one for one in listed if one.url.rstrip("/") == url.rstrip("/") and one.status == ENABLED)
    return next((one.api_version for one in ours if one.api_version), None)
