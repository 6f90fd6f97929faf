"""Webhook endpoints: what a provider says of them, and what is wrong with the one that tells us."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A webhook endpoint as the provider has it. `missing` are the types that it is not told of, and that we need."""

    url: str
    enabled: bool
    missing: tuple[str, ...] = ()


class EndpointFault(StrEnum):
    """Why a provider cannot tell us, or not everything."""

    MISSING = "missing"
    WRONG_URL = "wrong-url"
    DISABLED = "disabled"
    EVENT_TYPES = "event-types"
    UNREADABLE = "unreadable"


def faults(endpoints: Sequence[Endpoint], url: str) -> tuple[EndpointFault, ...]:
    """Return what is wrong, if our webhooks are to come to *url*. One endpoint without a fault is enough."""
    if not endpoints:
        return (EndpointFault.MISSING,)
    ours = [one for one in endpoints if one.url.rstrip("/") == url.rstrip("/")]
    if not ours:
        return (EndpointFault.WRONG_URL,)
    enabled = [one for one in ours if one.enabled]
    if not enabled:
        return (EndpointFault.DISABLED,)
    return () if any(not one.missing for one in enabled) else (EndpointFault.EVENT_TYPES,)
