"""Checkouts: the states of one attempt to buy a cart, and every transition between them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from paidup.model.offer import Cart


class CheckoutStatus(StrEnum):
    """The states of a checkout."""

    OPENING = "opening"
    OPEN = "open"
    COMPLETED = "completed"
    EXPIRED = "expired"
    INVALIDATED = "invalidated"


TRANSITIONS: Mapping[CheckoutStatus, frozenset[CheckoutStatus]] = {
    CheckoutStatus.OPENING: frozenset(
        {CheckoutStatus.OPEN, CheckoutStatus.COMPLETED, CheckoutStatus.EXPIRED, CheckoutStatus.INVALIDATED}
    ),
    CheckoutStatus.OPEN: frozenset({CheckoutStatus.COMPLETED, CheckoutStatus.EXPIRED, CheckoutStatus.INVALIDATED}),
    CheckoutStatus.EXPIRED: frozenset({CheckoutStatus.COMPLETED}),  # late money still counts
    CheckoutStatus.INVALIDATED: frozenset({CheckoutStatus.COMPLETED}),
    CheckoutStatus.COMPLETED: frozenset(),
}

OPENING_LASTS_S = 120
LOOKED_AT_S = (120, 300, 900, 3_600)  # after the reservation, and hourly from then on
KEPT_AFTER_END_S = 7 * 86_400
LONGEST_WAIT_S = 3_600


class IllegalTransition(Exception):
    """No transition leads from this status to that one: a mistake in our own code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """One attempt to buy one cart. Times are epoch seconds. `token` and `url` belong to the provider's page.

    `due_at` says when the sweep must act on the checkout: when it looks at the open page next, at the latest when the
    page ends; at once if the page of an ended checkout must still be closed at the provider, None if nothing is left
    to do. `attempt`
    counts the idempotency keys that the provider has spent without opening a page. `asked_at` is when the provider was
    last asked about the page. `closing_tries` counts failed attempts to close the page. `replaces`, `recovers` and
    `replaced_by` link the checkouts that the buyer meant as one purchase. We keep one payment of them. If the cart has
    a trial, `trial_email` is the digest of the e-mail address that has the trial then (None: nobody verified it).
    """

    checkout_id: str
    customer_id: str
    cart: Cart
    provider: str
    status: CheckoutStatus
    created_at: int
    expires_at: int
    success_url: str
    cancel_url: str
    lifetime_s: int
    context: Mapping[str, Any] | None = None
    due_at: int | None = None
    attempt: int = 0
    token: str | None = None
    url: str | None = None
    asked_at: int | None = None
    opened_at: int | None = None
    ended_at: int | None = None
    closing_tries: int = 0
    replaced_by: str | None = None
    replaces: str | None = None
    recovers: str | None = None
    trial_email: str | None = None

    @property
    def idempotency_key(self) -> str:
        """The idempotency key for opening the page: our own id, then a new key for each `attempt`."""
        return self.checkout_id if not self.attempt else f"{self.checkout_id}.{self.attempt}"

    @property
    def linked(self) -> frozenset[str]:
        """The ids of the checkouts that this one replaces, recovers, or was replaced by."""
        return frozenset(filter(None, (self.replaces, self.recovers, self.replaced_by)))

    @property
    def ended(self) -> bool:
        """Whether the checkout ended. Late money can still complete it."""
        return self.status not in (CheckoutStatus.OPENING, CheckoutStatus.OPEN)

    def holds_slot(self, *, now: int) -> bool:
        """Whether the checkout holds the customer's slot at *now*. Its deadline counts, even before the sweep."""
        return not self.ended and now < self.expires_at

    def seen(self, *, now: int) -> CheckoutStatus:
        """Return the status at *now*: `expired` from the deadline on, even before the sweep stores it."""
        return CheckoutStatus.EXPIRED if not self.ended and now >= self.expires_at else self.status

    def opened(self, *, token: str, url: str, expires_at: int, now: int) -> "Checkout":
        """Return this checkout open on the provider's page, with the provider's deadline *expires_at*.

        It stays due when its reservation was, which is the first look. So its place in the index does not change.
        """
        opened = replace(self._to(CheckoutStatus.OPEN), token=token, url=url, expires_at=expires_at, opened_at=now)
        due = self.due_at if self.due_at is not None and self.due_at > now else opened.next_look(now=now)
        return replace(opened, due_at=min(due, expires_at))

    def next_look(self, *, now: int) -> int:
        """Return when the sweep looks at the open page next: after 2, 5, 15 and 60 minutes, then hourly, and at its
        end.
        """
        age = now - self.created_at
        soon = (after for after in LOOKED_AT_S if after > age)
        hourly = (age // LONGEST_WAIT_S + 1) * LONGEST_WAIT_S
        return min(self.expires_at, self.created_at + next(soon, hourly))

    def reserved_again(self, *, now: int) -> "Checkout":
        """Return this checkout with two more minutes to open its page: the same request came again after a crash.

        The idempotency key stays the same. If the provider made the page before the crash, it returns that page.
        """
        return replace(self, expires_at=now + OPENING_LASTS_S, due_at=now + OPENING_LASTS_S)

    def retried(self) -> "Checkout":
        """Return this checkout with a new idempotency key."""
        return replace(self, attempt=self.attempt + 1)

    def asked(self, *, now: int) -> "Checkout":
        """Record that the provider is asked about the page at *now*."""
        return replace(self, asked_at=now)

    def completed(self, *, now: int) -> "Checkout":
        """Return this checkout completed: paid, or waiting for a delayed payment. Nothing is due any more."""
        return replace(self._to(CheckoutStatus.COMPLETED), due_at=None, ended_at=now)

    def expired(self, *, now: int) -> "Checkout":
        """Return this checkout expired, by the clock or by the provider. Its page is closed."""
        return replace(self._to(CheckoutStatus.EXPIRED), due_at=None, ended_at=now)

    def invalidated(self, *, by: str | None, now: int) -> "Checkout":
        """Return this checkout ended by the newer checkout *by* (an id), or by its buyer. Its page must be closed."""
        due_at = now if self.token else None
        moved = self._to(CheckoutStatus.INVALIDATED)
        return replace(moved, due_at=due_at, ended_at=now, replaced_by=by)

    def postponed(self, *, now: int) -> "Checkout":
        """Return this checkout due later, because the page could not be closed: after 1, 2, 4 … at most 60 minutes."""
        wait_s = min(60 * 2**self.closing_tries, LONGEST_WAIT_S)
        return replace(self, due_at=now + wait_s, closing_tries=self.closing_tries + 1)

    def page_closed(self) -> "Checkout":
        """Return this checkout with nothing left to close at the provider."""
        return replace(self, due_at=None)

    def _to(self, status: CheckoutStatus) -> "Checkout":
        if status not in TRANSITIONS[self.status]:
            raise IllegalTransition(f"{self.checkout_id}: {self.status} -> {status}")
        return replace(self, status=status)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyRecord:
    """The answer to a request with an Idempotency-Key: what was asked for, and which checkout was returned.

    `key` is the caller's Idempotency-Key. `at` is in epoch seconds.
    """

    customer_id: str
    key: str
    offer_id: str
    quantity: int
    checkout_id: str
    at: int
    promotion_code: str | None = None


def same_purchase(checkout: Checkout, among: Iterable[Checkout]) -> list[Checkout]:
    """Return the checkouts *among* a customer's that are linked to *checkout*, directly or through others."""
    others = {one.checkout_id: one for one in among if one.checkout_id != checkout.checkout_id}
    near: defaultdict[str, set[str]] = defaultdict(set)
    for one in (checkout, *others.values()):
        for an_id in one.linked:
            near[one.checkout_id].add(an_id)
            near[an_id].add(one.checkout_id)
    known, ahead = {checkout.checkout_id}, [checkout.checkout_id]
    while ahead:
        new = near[ahead.pop()] - known
        known |= new
        ahead += new
    return [one for one in others.values() if one.checkout_id in known]


def reserved(
    *,
    checkout_id: str,
    customer_id: str,
    cart: Cart,
    provider: str,
    success_url: str,
    cancel_url: str,
    lifetime_s: int,
    now: int,
    context: Mapping[str, Any] | None = None,
    replaces: str | None = None,
    recovers: str | None = None,
    trial_email: str | None = None,
) -> Checkout:
    """Return a new checkout before the provider is called. If its page is not opened within two minutes, it expires."""
    return Checkout(
        checkout_id=checkout_id,
        customer_id=customer_id,
        cart=cart,
        provider=provider,
        status=CheckoutStatus.OPENING,
        created_at=now,
        expires_at=now + OPENING_LASTS_S,
        due_at=now + OPENING_LASTS_S,
        success_url=success_url,
        cancel_url=cancel_url,
        lifetime_s=lifetime_s,
        context=context,
        replaces=replaces,
        recovers=recovers,
        trial_email=trial_email,
    )
