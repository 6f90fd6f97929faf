"""Checkouts: one buyer's way to the provider's page, its states, and every arrow between them."""

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
    CheckoutStatus.EXPIRED: frozenset({CheckoutStatus.COMPLETED}),  # late money is honoured
    CheckoutStatus.INVALIDATED: frozenset({CheckoutStatus.COMPLETED}),
    CheckoutStatus.COMPLETED: frozenset(),
}

OPENING_LASTS_S = 120
KEPT_AFTER_END_S = 7 * 86_400
LONGEST_WAIT_S = 3_600


class IllegalTransition(Exception):
    """A checkout was asked to go where no arrow leads: a mistake in our own code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """One attempt to buy one cart. Times are epoch seconds; `token` and `url` are the provider page's.

    `due_at` says when the clock must look at it: at its end while it is open, at once while a page that nobody should
    pay on must still be closed at the provider; None when nothing is left to do. `attempt` counts answers of the
    provider that can never be replayed into a page, so that the next try asks under a new idempotency key.
    `replaces`, `recovers` and `replaced_by` link what its buyer meant as one purchase: one of them is paid for good.
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

    @property
    def idempotency_key(self) -> str:
        """The key under which the provider is asked for the page: our own id, then a new one per dead answer."""
        return self.checkout_id if not self.attempt else f"{self.checkout_id}.{self.attempt}"

    @property
    def linked(self) -> frozenset[str]:
        """The ids of the checkouts that it replaced, goes on from, or was replaced by."""
        return frozenset(filter(None, (self.replaces, self.recovers, self.replaced_by)))

    @property
    def ended(self) -> bool:
        """Whether its story is over, but for late money."""
        return self.status not in (CheckoutStatus.OPENING, CheckoutStatus.OPEN)

    def holds_slot(self, *, now: int) -> bool:
        """Whether it is the customer's open checkout at *now*: by its deadline, not by what was stored."""
        return not self.ended and now < self.expires_at

    def seen(self, *, now: int) -> CheckoutStatus:
        """Return the status a reader at *now* must see: past its deadline it is expired, swept or not."""
        return CheckoutStatus.EXPIRED if not self.ended and now >= self.expires_at else self.status

    def opened(self, *, token: str, url: str, expires_at: int, now: int) -> "Checkout":
        """Return it open on the provider's page, with the deadline that the provider gave."""
        return replace(
            self._to(CheckoutStatus.OPEN),
            token=token,
            url=url,
            expires_at=expires_at,
            due_at=expires_at,
            opened_at=now,
        )

    def reserved_again(self, *, now: int) -> "Checkout":
        """Return it with two more minutes to be opened, for the same request that came again after its first one died.

        All else stays as it was, so that the provider hands out the page that it may have made already.
        """
        return replace(self, expires_at=now + OPENING_LASTS_S, due_at=now + OPENING_LASTS_S)

    def retried(self) -> "Checkout":
        """Return it ready to be asked for under a new idempotency key."""
        return replace(self, attempt=self.attempt + 1)

    def asked(self, *, now: int) -> "Checkout":
        """Return it with the provider asked at *now*."""
        return replace(self, asked_at=now)

    def completed(self, *, now: int) -> "Checkout":
        """Return it paid for (or paying, with a delayed method): nothing is due any more."""
        return replace(self._to(CheckoutStatus.COMPLETED), due_at=None, ended_at=now)

    def expired(self, *, now: int) -> "Checkout":
        """Return it ended by the clock or by the provider; its page is closed."""
        return replace(self._to(CheckoutStatus.EXPIRED), due_at=None, ended_at=now)

    def invalidated(self, *, by: str | None, now: int) -> "Checkout":
        """Return it ended by the newer choice *by* (a checkout's id) or by its buyer; its page is due to be closed."""
        due_at = now if self.token else None
        moved = self._to(CheckoutStatus.INVALIDATED)
        return replace(moved, due_at=due_at, ended_at=now, replaced_by=by)

    def postponed(self, *, now: int) -> "Checkout":
        """Return it due again later, twice as late each time up to an hour: the provider did not answer."""
        wait_s = min(60 * 2**self.closing_tries, LONGEST_WAIT_S)
        return replace(self, due_at=now + wait_s, closing_tries=self.closing_tries + 1)

    def page_closed(self) -> "Checkout":
        """Return it with nothing left to close at the provider."""
        return replace(self, due_at=None)

    def _to(self, status: CheckoutStatus) -> "Checkout":
        if status not in TRANSITIONS[self.status]:
            raise IllegalTransition(f"{self.checkout_id}: {self.status} -> {status}")
        return replace(self, status=status)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyRecord:
    """What a request under the caller's Idempotency-Key `key` was for, and the checkout that it was answered with at
    `at` (epoch seconds).
    """

    customer_id: str
    key: str
    offer_id: str
    quantity: int
    checkout_id: str
    at: int


def same_purchase(checkout: Checkout, among: Iterable[Checkout]) -> list[Checkout]:
    """Return those *among* a customer's checkouts that are one purchase with *checkout*: linked to it, however far."""
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
) -> Checkout:
    """Return the intent to open a checkout, before the provider is called; it frees itself after two minutes."""
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
    )
