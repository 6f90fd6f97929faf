"""Offers: what is on sale, at what price, and the price of a cart."""

from dataclasses import dataclass
from enum import StrEnum

from paidup.model import money
from paidup.model.errors import Malformed

MAX_QUANTITY = 10_000
LONGEST_ID = 100
LONGEST_NAME = 250
LONGEST_DESCRIPTION = 1_000
LONGEST_PRICE = 200
LONGEST_GROUP = 50
LONGEST_TRIAL_DAYS = 730
LONGEST_VALID_DAYS = 36_500
MOST_USES = 200
SUBSCRIPTIONS = "subscriptions"


class Kind(StrEnum):
    """The kind of an offer: bought once, renewed, or a live session."""

    PASS = "pass"  # noqa: S105 - a kind, no password
    SUBSCRIPTION = "subscription"
    LIVE_SESSION = "live_session"


class Interval(StrEnum):
    """The unit of the time after which a subscription renews."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


THREE_YEARS = {Interval.DAY: 1_095, Interval.WEEK: 156, Interval.MONTH: 36, Interval.YEAR: 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogPrice:
    """A price in a provider's catalogue. `ref` is its id there. `amount` is in minor units of `currency`.

    Neither amount nor currency nor interval of a price ever changes. A lookup key can move to another price.
    """

    ref: str
    amount: int
    currency: str
    interval: Interval | None = None
    interval_count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Something on sale, in `currency` (lower-case ISO 4217).

    Either `amount` is the price of one, in minor units, or `price` names a price in the provider's catalogue, by its id
    or its lookup key. Then `currency`, `interval` and `interval_count` say what that price must be like, and
    `catalog_amount` is its amount when the offer was loaded. It is for lists; a sale takes the price of the moment.

    `valid_days` is how long a pass grants access, in days (None: for good). `uses` is how often it can be used (None:
    no limit). A subscription renews every `interval_count` intervals, after `trial_days` free of charge.
    `providers` are the names of the payment providers that sell the offer. If there are none, every provider of the
    shop sells it.

    On the payment page, buyers can enter a code with `promotion_codes`, give their tax id with `tax_id_collection`, and
    choose a quantity up to `max_quantity` with `adjustable_quantity`. The provider adds taxes with `automatic_tax`.

    A customer has one running purchase of a `group` (see `effective_group`), unless the offer says `allow_several`.
    """

    offer_id: str
    name: str
    kind: Kind
    currency: str
    amount: int | None = None
    price: str | None = None
    catalog_amount: int | None = None
    description: str = ""
    interval: Interval | None = None
    interval_count: int = 1
    valid_days: int | None = None
    uses: int | None = None
    trial_days: int | None = None
    providers: tuple[str, ...] = ()
    promotion_codes: bool = False
    automatic_tax: bool = False
    tax_id_collection: bool = False
    adjustable_quantity: bool = False
    max_quantity: int | None = None
    group: str | None = None
    allow_several: bool = False

    def __post_init__(self) -> None:
        """Check the offer, so that no sale fails on it. Raises Malformed with the field's name."""
        _check_length("offer_id", self.offer_id, LONGEST_ID)
        _check_length("name", self.name, LONGEST_NAME)
        if len(self.description) > LONGEST_DESCRIPTION:
            raise Malformed("description", f"must be at most {LONGEST_DESCRIPTION} characters long")
        self._check_price()
        self._check_times()
        self._check_quantity()
        if self.group is not None:
            _check_length("group", self.group, LONGEST_GROUP)

    @property
    def effective_group(self) -> str | None:
        """The group of which a customer has one running purchase. Subscriptions have one by default, others none."""
        if self.group is None and self.kind is Kind.SUBSCRIPTION:
            return SUBSCRIPTIONS
        return self.group

    @property
    def shown_amount(self) -> int | None:
        """The price of one for lists, in minor units. None: the catalogue's price was not read yet."""
        return self.catalog_amount if self.amount is None else self.amount

    @property
    def most_at_once(self) -> int:
        """How many of it one checkout can hold at most."""
        return 1 if self.kind is Kind.LIVE_SESSION else self.max_quantity or MAX_QUANTITY

    def differences(self, listed: CatalogPrice) -> list[Malformed]:
        """Return how the catalogue's price *listed* differs from what the offer says of it, or cannot be charged."""
        found = []
        if listed.currency != self.currency:
            found.append(
                Malformed("currency", f"is {self.currency}, but the price {self.price!r} is in {listed.currency}")
            )
        ours, theirs = _cycle(self.interval, self.interval_count), _cycle(listed.interval, listed.interval_count)
        if ours != theirs:
            found.append(Malformed("interval", f"is {ours}, but the price {self.price!r} has {theirs}"))
        try:
            money.check("price", listed.amount, listed.currency)
        except Malformed as error:
            found.append(error)
        return found

    def cart(self, quantity: int, listed: CatalogPrice | None = None) -> "Cart":
        """Return the cart of *quantity* (1 to 10,000) of this offer, at today's price. Raises Malformed.

        If the offer names a `price`, *listed* is that price.
        """
        unit_amount = listed.amount if listed else self.amount
        if unit_amount is None:
            raise ValueError("an offer with a catalogue's price is sold at that price")
        if self.kind is Kind.LIVE_SESSION and quantity > 1:
            raise Malformed("quantity", "must be 1: a live session is bought and booked one at a time")
        if not 1 <= quantity <= self.most_at_once:
            raise Malformed("quantity", f"must be from 1 to {self.most_at_once}")
        money.check("quantity", unit_amount * quantity, self.currency)
        return Cart(
            offer_id=self.offer_id,
            name=self.name,
            kind=self.kind,
            unit_amount=unit_amount,
            currency=self.currency,
            quantity=quantity,
            price=listed.ref if listed else None,
            interval=self.interval,
            interval_count=self.interval_count,
            valid_days=self.valid_days,
            uses=self.uses,
            trial_days=self.trial_days,
            promotion_codes=self.promotion_codes,
            automatic_tax=self.automatic_tax,
            tax_id_collection=self.tax_id_collection,
            max_quantity=self.max_quantity if self.adjustable_quantity else None,
            group=self.effective_group,
            allow_several=self.allow_several,
        )

    def _check_price(self) -> None:
        if (self.amount is None) == (self.price is None):
            raise Malformed("amount", "must be there, or price in its place, and not both")
        if self.price is None and self.catalog_amount is not None:
            raise Malformed("catalog_amount", "belongs to offers with a price of the catalogue")
        if self.price is not None:
            _check_length("price", self.price, LONGEST_PRICE)
        money.check("amount", self.shown_amount or 0, self.currency)

    def _check_times(self) -> None:
        if (self.kind is Kind.SUBSCRIPTION) != (self.interval is not None):
            raise Malformed("interval", "belongs to subscriptions, and to them alone")
        longest = THREE_YEARS[self.interval] if self.interval else 1
        if not 1 <= self.interval_count <= longest:
            why = (
                f"from 1 to {longest}: no longer than three years"
                if self.interval
                else "1, unless there is an interval"
            )
            raise Malformed("interval_count", f"must be {why}")
        self._check_belongs("trial_days", self.trial_days, Kind.SUBSCRIPTION, LONGEST_TRIAL_DAYS)
        self._check_belongs("valid_days", self.valid_days, Kind.PASS, LONGEST_VALID_DAYS)
        self._check_belongs("uses", self.uses, Kind.PASS, MOST_USES)

    def _check_belongs(self, field: str, value: int | None, kind: Kind, most: int) -> None:
        if value is None:
            return
        if self.kind is not kind:
            raise Malformed(field, f"belongs to offers of kind {kind}, and to them alone")
        if not 1 <= value <= most:
            raise Malformed(field, f"must be from 1 to {most}")

    def _check_quantity(self) -> None:
        if self.adjustable_quantity != (self.max_quantity is not None):
            raise Malformed("max_quantity", "belongs to offers with adjustable_quantity, and to them alone")
        if self.max_quantity is None:
            return
        if self.kind is Kind.LIVE_SESSION:
            raise Malformed("adjustable_quantity", "is not for live sessions: they are bought one at a time")
        if self.shown_amount == 0:
            raise Malformed("adjustable_quantity", "is not for what is free of charge")
        if not 2 <= self.max_quantity <= MAX_QUANTITY:
            raise Malformed("max_quantity", f"must be from 2 to {MAX_QUANTITY}")
        money.check("max_quantity", (self.shown_amount or 0) * self.max_quantity, self.currency)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cart:
    """What the buyer chose, with the price of that moment. Later changes of the offer do not change the cart.

    `price` is the provider's id of the catalogue's price, if the offer names one. `unit_amount` is its amount then.
    If `max_quantity` is there, the buyer may choose another quantity on the page, from 1 to `max_quantity`.
    `promotion` is the provider's id of the promotion whose code (`promotion_code`) the buyer sent. `amount` is before
    discounts and taxes. The other fields are the offer's; `group` is the effective one.
    """

    offer_id: str
    name: str
    kind: Kind
    unit_amount: int
    currency: str
    quantity: int
    price: str | None = None
    interval: Interval | None = None
    interval_count: int = 1
    valid_days: int | None = None
    uses: int | None = None
    trial_days: int | None = None
    promotion_codes: bool = False
    promotion_code: str | None = None
    promotion: str | None = None
    automatic_tax: bool = False
    tax_id_collection: bool = False
    max_quantity: int | None = None
    group: str | None = None
    allow_several: bool = False

    def same_choice(self, other: "Cart") -> bool:
        """Whether both carts hold the same quantity of the same offer. Prices are not compared."""
        return (self.offer_id, self.quantity) == (other.offer_id, other.quantity)

    @property
    def amount(self) -> int:
        """The total price of `quantity`, in minor units of `currency`."""
        return self.unit_amount * self.quantity

    @property
    def adjustable(self) -> bool:
        """Whether the buyer may choose another quantity on the page. Then `amount` is not what they must pay."""
        return self.max_quantity is not None


def _check_length(field: str, text: str, longest: int) -> None:
    if not text.strip() or len(text) > longest:
        raise Malformed(field, f"must be 1 to {longest} characters long")


def _cycle(interval: Interval | None, count: int) -> str:
    return f"every {count} {interval}" if interval else "no interval"
