"""Offers: what is on sale, at what price, and the price of a cart."""

from dataclasses import dataclass
from enum import StrEnum

from paidup.model.errors import Malformed

MAX_QUANTITY = 10_000
MAX_AMOUNT = 99_999_999  # no provider takes more than eight digits at once


class Kind(StrEnum):
    """The kind of an offer: bought once, renewed, or a live session."""

    PASS = "pass"  # noqa: S105 - a kind, no password
    SUBSCRIPTION = "subscription"
    LIVE_SESSION = "live_session"


class Interval(StrEnum):
    """How often a subscription renews."""

    MONTH = "month"
    YEAR = "year"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Something on sale. `amount` is the price of one, in minor units of `currency` (lower-case ISO 4217).

    `valid_days` is how long a pass grants access, in days (None: for good). `providers` are the names of the payment
    providers that sell the offer. If there are none, every provider of the shop sells it.
    """

    offer_id: str
    name: str
    kind: Kind
    amount: int
    currency: str
    description: str = ""
    interval: Interval | None = None
    valid_days: int | None = None
    trial_days: int | None = None
    providers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the offer. Raises Malformed."""
        if self.amount < 0:
            raise Malformed("amount", "must not be negative (minor units)")
        if len(self.currency) != 3 or self.currency != self.currency.lower():
            raise Malformed("currency", "must be a lower-case ISO 4217 code")
        if (self.kind is Kind.SUBSCRIPTION) != (self.interval is not None):
            raise Malformed("interval", "belongs to subscriptions, and to them alone")

    def cart(self, quantity: int) -> "Cart":
        """Return the cart of *quantity* (1 to 10,000) of this offer, at today's price. Raises Malformed."""
        if not 1 <= quantity <= MAX_QUANTITY:
            raise Malformed("quantity", f"must be from 1 to {MAX_QUANTITY}")
        if self.kind is Kind.LIVE_SESSION and quantity > 1:
            raise Malformed("quantity", "must be 1: a live session is bought and booked one at a time")
        if self.amount * quantity > MAX_AMOUNT:
            raise Malformed("quantity", f"comes to more than {MAX_AMOUNT} minor units at once")
        return Cart(
            offer_id=self.offer_id,
            name=self.name,
            kind=self.kind,
            unit_amount=self.amount,
            currency=self.currency,
            quantity=quantity,
            interval=self.interval,
            valid_days=self.valid_days,
            trial_days=self.trial_days,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cart:
    """What the buyer chose, with the price of that moment. Later price changes do not change the cart."""

    offer_id: str
    name: str
    kind: Kind
    unit_amount: int
    currency: str
    quantity: int
    interval: Interval | None = None
    valid_days: int | None = None
    trial_days: int | None = None

    def same_choice(self, other: "Cart") -> bool:
        """Whether both carts hold the same quantity of the same offer. Prices are not compared."""
        return (self.offer_id, self.quantity) == (other.offer_id, other.quantity)

    @property
    def amount(self) -> int:
        """The total price in minor units of `currency`."""
        return self.unit_amount * self.quantity
