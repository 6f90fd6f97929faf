"""Prices and invoices at the provider in memory."""

from dataclasses import dataclass
from enum import StrEnum

from paidup.model.fact import Invoice, InvoiceStatus, Item, Line

from tools.fakes.memory.charges import Charge

DAY_S = 86_400
PERIOD_S = 30 * DAY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """A price: what one costs for a period of `period_s` seconds, and the offer that the price names, if any."""

    ref: str
    amount: int
    offer_id: str | None = None
    period_s: int = PERIOD_S

    def item(self, quantity: int, start: int, end: int) -> Item:
        """Return *quantity* at this price, as an item of a subscription whose period is from *start* to *end*."""
        return Item(
            price=self.ref,
            quantity=quantity,
            amount=self.amount,
            period_start=start,
            period_end=end,
            offer_id=self.offer_id,
        )


class Reason(StrEnum):
    """Why an invoice was made."""

    FIRST = "first"
    TRIAL = "trial"
    RENEWAL = "renewal"
    CHANGE = "change"


@dataclass(slots=True, kw_only=True, eq=False)
class Bill:
    """An invoice of a subscription over `amount` (minor units). `charge` paid it, if it came to anything."""

    ref: str
    subscription: str
    reason: Reason
    lines: tuple[Line, ...]
    amount: int
    currency: str
    made_at: int
    status: InvoiceStatus = InvoiceStatus.OPEN
    paid_at: int | None = None
    charge: Charge | None = None

    @property
    def period(self) -> int | None:
        """When the period begins that the invoice is for, or None if it is for a change within a period."""
        return max((line.start for line in self.lines if not line.prorated), default=None)

    @property
    def end(self) -> int:
        """When the last time ends that a line is about."""
        return max((line.end for line in self.lines), default=self.made_at)

    def pay(self, at: int) -> None:
        """Take the money."""
        self.status, self.paid_at = InvoiceStatus.PAID, at
        if self.amount:
            self.charge = Charge(
                ref=f"pi_{self.ref}",
                amount=self.amount,
                currency=self.currency,
                at=at,
                invoice=self.ref,
                period=self.period,
            )

    def value(self) -> Invoice:
        """Return what the provider says of it."""
        return Invoice(
            status=self.status,
            subscription=self.subscription,
            amount=self.amount,
            subtotal=self.amount,
            currency=self.currency,
            made_at=self.made_at,
            due_at=self.made_at,
            lines=self.lines,
            first=self.reason in (Reason.FIRST, Reason.TRIAL),
            paid_at=self.paid_at,
        )
