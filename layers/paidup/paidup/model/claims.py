"""Billing claims: what a billing token says of a customer's access, and for how long it may say that."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from paidup.model.access import Access

LIFETIME_S = 900
LEAST_S = 60  # a token ends no sooner than this because one access of several ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """`quantity` of an offer that the customer may use until `until` (epoch seconds; None: for good)."""

    offer_id: str
    kind: str
    status: str
    quantity: int
    until: int | None

    @property
    def plain(self) -> dict[str, Any]:
        """The claim as it stands in a token."""
        return {
            "offer_id": self.offer_id,
            "kind": self.kind,
            "status": self.status,
            "quantity": self.quantity,
            "until": self.until,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingClaims:
    """What a token says, and until when (`expires_at`, epoch seconds). `truncated`: the customer has more than that."""

    version: int
    access: tuple[Claim, ...]
    truncated: bool
    expires_at: int

    @property
    def plain(self) -> dict[str, Any]:
        """The claims as they stand in a token."""
        said: dict[str, Any] = {"version": self.version, "access": [one.plain for one in self.access]}
        return said | ({"truncated": True} if self.truncated else {})


def billing_claims(access: Sequence[Access], *, version: int, cut: bool, room: int, now: int) -> BillingClaims:
    """Return what a token issued at *now* (epoch seconds) says of *access*, in at most *room* bytes of JSON.

    The token lives 15 minutes, or until the first access in it ends: so it never outlives what it grants. An access
    that ends within a minute is left out if another lasts longer: so no token ends at once because one of many does.
    Equal claims are added up. If there is no room for all, the longest of each offer come first. *cut*: the account
    itself does not list all that the customer has.
    """
    granting = [one for one in access if one.holds(now=now)]
    last = max((_end(one.until) for one in granting), default=inf)
    listed = _added_up([one for one in granting if _end(one.until) >= min(now + LEAST_S, last)])
    fitting = _fitting(_longest_of_each_offer_first(listed), room)
    ends = (one.until for one in fitting if one.until is not None)
    return BillingClaims(
        version=version,
        access=tuple(fitting),
        truncated=cut or sum(one.quantity for one in fitting) < sum(one.quantity for one in granting),
        expires_at=min([now + LIFETIME_S, *ends]),
    )


def _added_up(access: Sequence[Access]) -> list[Claim]:
    quantities: Counter[Claim] = Counter()
    for one in access:
        alike = Claim(offer_id=one.offer_id, kind=one.kind.value, status=one.status.value, quantity=0, until=one.until)
        quantities[alike] += one.quantity
    return [replace(claim, quantity=quantity) for claim, quantity in quantities.items()]


def _longest_of_each_offer_first(claims: Sequence[Claim]) -> list[Claim]:
    ordered = sorted(claims, key=lambda one: (-_end(one.until), one.offer_id, one.status))
    longest = {one.offer_id: one for one in reversed(ordered)}
    return sorted(ordered, key=lambda one: longest[one.offer_id] is not one)


def _fitting(claims: Sequence[Claim], room: int) -> list[Claim]:
    """Return the first of *claims* that have *room* (bytes) together."""
    found, left = [], room - len(to_json({"version": 10**12, "access": [], "truncated": True}))
    for one in claims:
        left -= len(to_json(one.plain)) + 1  # and a comma
        if left < 0:
            break
        found.append(one)
    return found


def _end(until: int | None) -> float:
    return inf if until is None else until


def to_json(value: Any) -> bytes:
    """Return *value* as the shortest JSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
