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
    RECONCILER = "reconciler"
    SUPPORT = "support"
    REQUEST = "request"


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


NEVER_RENEWS = frozenset({SubscriptionStatus.CANCELED, SubscriptionStatus.INCOMPLETE_EXPIRED})


class InvoiceStatus(StrEnum):
    """The states of an invoice, listed from the least to the most final. `void`: nobody is asked to pay it."""

    OPEN = "open"
    VOID = "void"
    PAID = "paid"


class DisputeStatus(StrEnum):
    """The states of a dispute, listed from the least to the most final."""

    INQUIRY = "inquiry"
    OPEN = "open"
    WON = "won"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """Register `payment`: the payment of the checkout. Amounts are minor units of `currency` (lower-case ISO 4217).

    `subtotal` is the amount before tax and discounts. `ref` is the provider's id of the payment. For a subscription,
    `invoice` is the id of the invoice that was paid so.
    """

    tag: ClassVar[str] = "payment"  # stored: names of classes may change, tags may not

    status: PaymentStatus
    amount: int
    subtotal: int
    currency: str
    ref: str | None = None
    invoice: str | None = None

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
class Item:
    """One item of a subscription: `quantity` of a `price`, for its present period (the provider's epoch seconds).

    `amount` is the price of one, in minor units. `offer_id` is the offer that the price names, if it names one.
    """

    price: str
    quantity: int
    amount: int
    period_start: int
    period_end: int
    offer_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """Register `subscription#<subscription>`. Times are the provider's epoch seconds. The price is in `currency`.

    `items` are in an order that does not depend on the provider's. `invoice` is the id of the newest invoice, draft or
    not. `paused`: invoices are made, but nobody collects them. `by_invoice`: the buyer pays after the fact, until the
    invoice is due. `lapsed`: the provider gave up collecting, and ended it for that.
    """

    tag: ClassVar[str] = "subscription"

    status: SubscriptionStatus
    ref: str
    items: tuple[Item, ...]
    currency: str
    invoice: str | None = None
    trial_end: int | None = None
    cancel_at: int | None = None
    ended_at: int | None = None
    paused: bool = False
    by_invoice: bool = False
    lapsed: bool = False

    @property
    def finality(self) -> int:
        """How final this state is. A subscription that will cancel is more final than one that renews."""
        return 2 * list(SubscriptionStatus).index(self.status) + (self.cancel_at is not None)

    @property
    def period_start(self) -> int:
        """When the newest period of an item began."""
        return max(item.period_start for item in self.items)

    @property
    def period_end(self) -> int:
        """When the first period of an item ends."""
        return min(item.period_end for item in self.items)

    @property
    def amount(self) -> int:
        """What all items cost for a period, in minor units."""
        return sum(item.amount * item.quantity for item in self.items)

    @property
    def ended(self) -> bool:
        """Whether it never renews again."""
        return self.status in NEVER_RENEWS


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of an invoice: `quantity` of a `price` from `start` to `end` (the provider's epoch seconds).

    `credit`: the rest of that time was given back. `prorated`: the line is about a change within a period.
    `offer_id` is the offer that the price names, if the provider says so with the invoice.
    """

    price: str
    quantity: int
    start: int
    end: int
    offer_id: str | None = None
    credit: bool = False
    prorated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """Register `invoice#<invoice>`: one bill of the subscription `subscription`. Amounts are minor units of `currency`.

    `subtotal` is the sum before tax and discounts, `amount` what was to be paid. `made_at`, `due_at` and `paid_at` are
    the provider's epoch seconds. `first`: it is the bill with which the subscription began. `url` is the provider's
    page on which the bill can be paid. `lines` are what the subscription sold, and `beside` the prices of what somebody
    added by hand.
    """

    tag: ClassVar[str] = "invoice"

    status: InvoiceStatus
    subscription: str
    amount: int
    subtotal: int
    currency: str
    made_at: int
    due_at: int
    lines: tuple[Line, ...] = ()
    beside: tuple[str, ...] = ()
    first: bool = False
    url: str | None = None
    paid_at: int | None = None

    @property
    def finality(self) -> int:
        """How final this state is: nothing follows a paid invoice."""
        return list(InvoiceStatus).index(self.status)

    @property
    def matters_until(self) -> int:
        """When the last time ends that the invoice is about: what it sells, or what it gave back."""
        return max((line.end for line in self.lines), default=self.made_at)


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
    """Register `dispute#<dispute>`: the buyer took a payment, or a part, back through their bank, or tries to.

    `amount` is minor units of `currency`. `payment` is the `about` of the payment's refunds. `invoice` and `period` are
    as in `Refund`.
    """

    tag: ClassVar[str] = "dispute"

    status: DisputeStatus
    amount: int
    currency: str
    payment: str | None = None
    invoice: str | None = None
    period: int | None = None

    @property
    def finality(self) -> int:
        """How final this state is: a closed dispute is more final than an open one, a lost one is the most final."""
        return list(DisputeStatus).index(self.status)


Value = Payment | Subscription | Invoice | Refund | Dispute


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One value of a register: what the provider said at `at` (its epoch second). We fetched it, or it was reported."""

    at: int
    fetched: bool
    value: Value

    @property
    def weight(self) -> int:
        """Compared before time: `expired` never beats another payment state, and `pending` never beats a final one,
        even if it is newer. Nothing beats a paid invoice, except the same invoice at a later time.
        """
        match self.value:
            case Payment(status=PaymentStatus.EXPIRED):
                return 0
            case Payment(status=PaymentStatus.PENDING):
                return 1
            case Invoice(status=InvoiceStatus.PAID):
                return 3
        return 2

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
    payment, or the id of a dispute, subscription or invoice. `customer_ref` is the provider's customer. `provider_ref`
    is the object by which the purchase is found. `quantity` is how many were sold, each for `uses_each` uses (None:
    uses are not counted), `asked` their price, and `max_quantity` how many the buyer could choose on the page.
    `paid_at` is the epoch second of the first payment, if the provider says it.
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
    quantity: int = 1
    max_quantity: int | None = None
    uses_each: int | None = None
    asked: Price | None = None
    paid_at: int | None = None

    def __post_init__(self) -> None:
        """Check every field, so that no bad value reaches a key or a sum. Raises Malformed with the field's name."""
        _check(self)
        _check(self.entry.value)
        if isinstance(self.entry.value, Subscription) and not self.entry.value.items:
            raise Malformed("items", "must not be empty")
        if not 0 <= self.entry.at <= LARGEST:
            raise Malformed("at", f"must be from 0 to {LARGEST}")
        if not self.customer_id or not self.purchase_id:
            raise Malformed("customer_id", "is missing, or its purchase is")

    @property
    def register(self) -> str:
        """The register's name, such as `payment` or `refund#payment_1`."""
        name = self.entry.value.tag
        return f"{name}#{self.about}" if self.about else name

    @property
    def payment_at(self) -> int | None:
        """The epoch second at which the provider took the payment that is said here. None: no payment is said."""
        match self.entry.value:
            case Payment(status=PaymentStatus.PAID):
                return self.paid_at or self.entry.at
            case Invoice(status=InvoiceStatus.PAID, paid_at=paid_at):
                return paid_at or self.entry.at
        return None


def _check(said: object) -> None:
    """Raise Malformed for a field of another type, a number out of bounds, or a text that no key can hold."""
    kind: Any = type(said)
    for name, kinds in _kinds(kind).items():
        value = getattr(said, name)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise Malformed(name, "is of another type than it must be")
        if isinstance(value, tuple):
            for one in value:
                _check(one)
        elif isinstance(value, int) and not 0 <= value <= LARGEST:
            raise Malformed(name, f"must be from 0 to {LARGEST}")
        elif isinstance(value, str) and len(value) > LONGEST_TEXT:
            raise Malformed(name, f"must have at most {LONGEST_TEXT} characters")
        elif isinstance(value, str) and not value.isascii() and HALF_A_PAIR.search(value):
            raise Malformed(name, "holds half a surrogate pair")


@cache
def _kinds(of: type[Any]) -> dict[str, tuple[type, ...]]:
    """Return which types each field of the dataclass *of* may have."""
    hints = {name: hint for name, hint in get_type_hints(of).items() if get_origin(hint) is not ClassVar}
    return {name: (tuple,) if get_origin(hint) is tuple else get_args(hint) or (hint,) for name, hint in hints.items()}
