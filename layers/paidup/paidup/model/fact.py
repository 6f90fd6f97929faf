"""Facts: what a payment provider said of something bought, stamped with the provider's own time.

A fact speaks of one register of one pass. Registers are ordered by (what outweighs any second, provider's second,
fetched before told, ending state), so that hearing the same facts in any order, any number of times, leaves the same
pass.
"""

import json
import re
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache
from typing import Any, ClassVar, get_args, get_origin, get_type_hints

from paidup.model.errors import Malformed
from paidup.model.offer import Kind

LONGEST_TEXT = 255  # no id of a provider or of ours is longer, and every key has room for it
LARGEST = 10**12  # beyond any amount in minor units, and any epoch second
HALF_A_PAIR = re.compile("[\ud800-\udfff]")


class Channel(StrEnum):
    """How a fact reached us."""

    WEBHOOK = "webhook"
    POLL = "poll"
    SYNC = "sync"
    SWEEP = "sweep"
    SUPPORT = "support"


class PaymentStatus(StrEnum):
    """Where a payment stands; listed from the least to the most final."""

    PENDING = "pending"
    EXPIRED = "expired"
    FAILED = "failed"
    PAID = "paid"


class SubscriptionStatus(StrEnum):
    """The states of a subscription; listed from the least to the most final."""

    INCOMPLETE = "incomplete"
    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    PAUSED = "paused"
    UNPAID = "unpaid"
    INCOMPLETE_EXPIRED = "incomplete_expired"
    CANCELED = "canceled"


class DisputeStatus(StrEnum):
    """Where a dispute stands; listed from the least to the most final."""

    INQUIRY = "inquiry"
    OPEN = "open"
    WON = "won"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """Register `payment`: what the checkout came to. Amounts in minor units; `subtotal` before tax and discounts."""

    tag: ClassVar[str] = "payment"  # stored: names of classes may change, tags may not

    status: PaymentStatus
    amount: int
    subtotal: int
    currency: str
    ref: str | None = None

    @property
    def finality(self) -> int:
        """How final this state is; at the same second the more final one wins."""
        return list(PaymentStatus).index(self.status)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """An amount in minor units of `currency` (lower-case ISO 4217)."""

    amount: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """Register `subscription`: times are epoch seconds of the provider, `amount` minor units a period.

    `unpaid_since` is when the oldest invoice that is still open was to be paid.
    """

    tag: ClassVar[str] = "subscription"

    status: SubscriptionStatus
    ref: str
    period_start: int
    period_end: int
    trial_end: int | None = None
    cancel_at: int | None = None
    ended_at: int | None = None
    unpaid_since: int | None = None
    offer_id: str | None = None
    amount: int = 0
    currency: str = ""

    @property
    def finality(self) -> int:
        """How final this state is; one that will cancel is more final than one that renews."""
        return 2 * list(SubscriptionStatus).index(self.status) + (self.cancel_at is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """Register `refund#<payment>`: `refunded` is the total so far of `amount`, both in minor units.

    Of a subscription's payment, `invoice` is what it paid and `period` the second at which the period begins that it
    paid for; None where it paid for a change within one.
    """

    tag: ClassVar[str] = "refund"

    amount: int
    refunded: int
    currency: str
    invoice: str | None = None
    period: int | None = None

    @property
    def none(self) -> bool:
        """Whether nothing went back, or has come back to us since."""
        return self.refunded == 0

    @property
    def full(self) -> bool:
        """Whether nothing of the payment is left."""
        return self.refunded >= self.amount

    @property
    def finality(self) -> int:
        """The more was refunded, the more final."""
        return self.refunded


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """Register `dispute#<dispute>`: a bank's customer took the payment back, or tries to. `invoice` and `period` as in
    `Refund`.
    """

    tag: ClassVar[str] = "dispute"

    status: DisputeStatus
    amount: int
    currency: str
    invoice: str | None = None
    period: int | None = None

    @property
    def finality(self) -> int:
        """A closed dispute is more final than an open one, a lost one the most."""
        return list(DisputeStatus).index(self.status)


Value = Payment | Subscription | Refund | Dispute


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One register's newest value: said by the provider at `at` (its epoch second), fetched by us or told by it."""

    at: int
    fetched: bool
    value: Value

    @property
    def weight(self) -> int:
        """What outweighs any second: a page that expired says nothing of a payment on another page, and a payment that
        was decided is never pending again, though a session may look so.
        """
        status = self.value.status if isinstance(self.value, Payment) else None
        return {PaymentStatus.EXPIRED: 0, PaymentStatus.PENDING: 1}.get(status, 2) if status else 2

    @property
    def rank(self) -> tuple[int, int, bool, int, str]:
        """The total order of a register; the text at its end only breaks what nothing else decides."""
        text = json.dumps(asdict(self.value), sort_keys=True)
        return (self.weight, self.at, self.fetched, self.value.finality, text)

    def newer(self, other: "Entry | None") -> "Entry":
        """Return whichever of the two ranks higher."""
        return self if other is None else max(self, other, key=lambda entry: entry.rank)

    def ties_with(self, other: "Entry | None") -> bool:
        """Whether the two say different things of the same second, so that only the provider can decide."""
        if other is None or self.weight != other.weight:
            return False
        return self.at == other.at and self.value != other.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What a provider said: of which pass, of which register, what, and when by its own clock.

    `source` is the object that was read at the provider (a page, a subscription, a charge …), to be fetched again.
    `about` tells registers of one kind apart (a refund's payment, a dispute's id). `customer_ref` is the
    provider's customer, `provider_ref` the object that the pass is found by, `asked` what the checkout asked for.
    `paid_at` is the second of the first payment, where the provider tells it. `fact_id` is unique per thing said.
    """

    fact_id: str
    provider: str
    customer_id: str
    purchase_id: str
    offer_id: str
    kind: Kind
    entry: Entry
    source: str
    about: str = ""
    provider_ref: str | None = None
    customer_ref: str | None = None
    valid_days: int | None = None
    asked: Price | None = None
    paid_at: int | None = None

    def __post_init__(self) -> None:
        """Refuse what nobody can have said: Malformed names the field. Nothing of it may reach a key or a sum."""
        _check(self)
        _check(self.entry.value)
        if not 0 <= self.entry.at <= LARGEST:
            raise Malformed("at", f"must be from 0 to {LARGEST}")
        if not self.customer_id or not self.purchase_id:
            raise Malformed("customer_id", "is missing, or its purchase is")

    @property
    def register(self) -> str:
        """The register's name, such as `payment` or `refund#payment_1`."""
        name = self.entry.value.tag
        return f"{name}#{self.about}" if self.about else name


def _check(said: Fact | Value) -> None:
    """Raise Malformed for a field of another type, a number out of bounds, or a text that no key can hold."""
    kind: Any = type(said)
    for name, kinds in _kinds(kind).items():
        value = getattr(said, name)
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise Malformed(name, "is of another type than it must be")
        if isinstance(value, int) and not 0 <= value <= LARGEST:
            raise Malformed(name, f"must be from 0 to {LARGEST}")
        if isinstance(value, str) and len(value) > LONGEST_TEXT:
            raise Malformed(name, f"must have at most {LONGEST_TEXT} characters")
        if isinstance(value, str) and not value.isascii() and HALF_A_PAIR.search(value):
            raise Malformed(name, "holds half a surrogate pair")


@cache
def _kinds(of: type[Any]) -> dict[str, tuple[type, ...]]:
    """Return which types each field of the dataclass *of* may have."""
    hints = {name: hint for name, hint in get_type_hints(of).items() if get_origin(hint) is not ClassVar}
    return {name: get_args(hint) or (hint,) for name, hint in hints.items()}
