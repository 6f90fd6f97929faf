"""Facts: what a payment provider said about a purchase, stamped with the provider's own time.

A fact is about one register of one purchase. The entries of a register have a total order: weight, then the provider's
second, then fetched before reported, then finality (see `Entry.rank`). So the same facts give the same purchase, in any
order and any number of times.
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
    """The states of a payment, listed from the least to the most final."""

    PENDING = "pending"
    EXPIRED = "expired"
    FAILED = "failed"
    PAID = "paid"


class SubscriptionStatus(StrEnum):
    """The states of a subscription, listed from the least to the most final."""

    INCOMPLETE = "incomplete"
    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    PAUSED = "paused"
    UNPAID = "unpaid"
    INCOMPLETE_EXPIRED = "incomplete_expired"
    CANCELED = "canceled"


class DisputeStatus(StrEnum):
    """The states of a dispute, listed from the least to the most final."""

    INQUIRY = "inquiry"
    OPEN = "open"
    WON = "won"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """Register `payment`: the payment of the checkout. Amounts are minor units of `currency` (lower-case ISO 4217).

    `subtotal` is the amount before tax and discounts. `ref` is the provider's id of the payment.
    """

    tag: ClassVar[str] = "payment"  # stored: names of classes may change, tags may not

    status: PaymentStatus
    amount: int
    subtotal: int
    currency: str
    ref: str | None = None

    @property
    def finality(self) -> int:
        """How final this state is. At the same second, the more final state wins."""
        return list(PaymentStatus).index(self.status)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """An amount in minor units of `currency` (lower-case ISO 4217)."""

    amount: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """Register `subscription`. Times are the provider's epoch seconds. `amount` is minor units of `currency` a period.

    `unpaid_since` is when the oldest open invoice was due.
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
        """How final this state is. A subscription that will cancel is more final than one that renews."""
        return 2 * list(SubscriptionStatus).index(self.status) + (self.cancel_at is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """Register `refund#<payment>`: of `amount`, `refunded` went back so far. Both are minor units of `currency`.

    If the payment is a subscription's, `invoice` is the invoice that it paid, and `period` the epoch second at which
    the paid period begins. If it paid for a change within a period, `period` is None.
    """

    tag: ClassVar[str] = "refund"

    amount: int
    refunded: int
    currency: str
    invoice: str | None = None
    period: int | None = None

    @property
    def none(self) -> bool:
        """Whether nothing is refunded. A refund that came back to us does not count."""
        return self.refunded == 0

    @property
    def full(self) -> bool:
        """Whether the whole payment is refunded."""
        return self.refunded >= self.amount

    @property
    def finality(self) -> int:
        """How final this state is: the larger the refunded total, the more final."""
        return self.refunded


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """Register `dispute#<dispute>`: the buyer took the payment back through their bank, or tries to.

    `amount` is minor units of `currency`. `invoice` and `period` are as in `Refund`.
    """

    tag: ClassVar[str] = "dispute"

    status: DisputeStatus
    amount: int
    currency: str
    invoice: str | None = None
    period: int | None = None

    @property
    def finality(self) -> int:
        """How final this state is: a closed dispute is more final than an open one, a lost one is the most final."""
        return list(DisputeStatus).index(self.status)


Value = Payment | Subscription | Refund | Dispute


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One value of a register: what the provider said at `at` (its epoch second). We fetched it, or it was reported."""

    at: int
    fetched: bool
    value: Value

    @property
    def weight(self) -> int:
        """Compared before time: `expired` never beats another payment state, and `pending` never beats a final one,
        even if it is newer.
        """
        status = self.value.status if isinstance(self.value, Payment) else None
        return {PaymentStatus.EXPIRED: 0, PaymentStatus.PENDING: 1}.get(status, 2) if status else 2

    @property
    def rank(self) -> tuple[int, int, bool, int, str]:
        """The total order of a register's entries. The text at the end only makes the order total."""
        text = json.dumps(asdict(self.value), sort_keys=True)
        return (self.weight, self.at, self.fetched, self.value.finality, text)

    def newer(self, other: "Entry | None") -> "Entry":
        """Return the entry with the higher rank."""
        return self if other is None else max(self, other, key=lambda entry: entry.rank)

    def ties_with(self, other: "Entry | None") -> bool:
        """Whether the two differ at the same second and weight. Only the provider can decide such a tie."""
        if other is None or self.weight != other.weight:
            return False
        return self.at == other.at and self.value != other.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What a provider said about one register of one purchase, and when by the provider's clock.

    `fact_id` is unique for each thing said. `source` is the provider's object that was read (a page, a subscription, a
    charge …). A tie is decided by fetching `source` again. `about` distinguishes registers of one kind: a refund's
    payment, or a dispute's id. `customer_ref` is the provider's customer. `provider_ref` is the object by which the
    purchase is found. `asked` is the price that the checkout asked for. `paid_at` is the epoch second of the first
    payment, if the provider says it.
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
        """Check every field, so that no bad value reaches a key or a sum. Raises Malformed with the field's name."""
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
