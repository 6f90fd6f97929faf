"""Reversals: what went back of each payment, by refunds and by disputes, added up."""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field

from paidup.model.access import PurchaseStatus
from paidup.model.fact import Dispute, DisputeStatus, Entry, Invoice, InvoiceStatus, Payment, Refund, Subscription

WORST_FIRST = (PurchaseStatus.CHARGED_BACK, PurchaseStatus.DISPUTED, PurchaseStatus.REFUNDED)


@dataclass(slots=True, kw_only=True)
class Taken:
    """What was taken back of one payment, in minor units. `whole` is what was paid, if that is known.

    `invoice` and `period` say what a subscription's payment was for (see `Refund`).
    """

    invoice: str | None = None
    period: int | None = None
    whole: int | None = None
    refunded: int = 0
    lost: int = 0
    held: int = 0  # in a dispute that is open
    reported: bool = False  # a refund of nothing out of nothing is whole

    @property
    def state(self) -> PurchaseStatus | None:
        """What is to be said of the purchase if the whole payment is taken, or None."""
        whole = max(self.lost, self.held) if self.whole is None else self.whole
        if self.refunded + self.lost + self.held < whole or not (self.reported or self.lost or self.held):
            return None
        if self.lost >= whole > 0:
            return PurchaseStatus.CHARGED_BACK
        if self.refunded >= whole:
            return PurchaseStatus.REFUNDED
        return PurchaseStatus.DISPUTED if self.held else PurchaseStatus.CHARGED_BACK

    @property
    def part(self) -> int:
        """What was taken, if that is less than the whole."""
        return self.refunded + self.lost + self.held if self.state is None else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversals:
    """What went back: the worst state of a payment that counts now (None: all are kept), and the parts taken.

    Amounts are minor units. `payments` are those of which something was taken, by the register's `about`.
    """

    state: PurchaseStatus | None
    parts: int
    refunded: int
    payments: Mapping[str, Taken] = field(default_factory=dict)

    @property
    def part(self) -> int:
        """The parts that were taken, if the whole was not."""
        return self.parts if self.state is None else 0

    def of(self, plan: Subscription, periods: set[int], invoices: Mapping[str, Invoice]) -> PurchaseStatus | None:
        """Return the worst state of what was paid for *plan*, whose *periods* count. None: all is kept.

        If nothing is known of the invoice that was paid, its period says whose it is.
        """

        def is_for(taken: Taken) -> bool:
            invoice = invoices.get(taken.invoice or "")
            if invoice and invoice.subscription != plan.ref:
                return False
            return taken.invoice is None or taken.period in periods

        return _worst(taken for taken in self.payments.values() if is_for(taken))


def reversals(
    registers: Mapping[str, Entry], payment: Payment | None, invoices: Mapping[str, Invoice], periods: set[int] | None
) -> Reversals:
    """Return what went back according to *registers*.

    For a subscription, *periods* are the beginnings of the periods that count now (epoch seconds; None: all count).
    """
    taken: dict[str, Taken] = defaultdict(Taken)
    refunded, of_changes = 0, 0
    for name, entry in sorted(registers.items()):  # what is known of one payment depends on no order of arrival
        value = entry.value
        if not isinstance(value, Refund | Dispute):
            continue
        refunded += value.refunded if isinstance(value, Refund) else 0
        if periods is not None and value.invoice is not None and value.period not in periods:
            of_changes += _gone(value) if value.period is None else 0  # it paid for a change within a period
            continue
        about = name.partition("#")[2]
        key = about if isinstance(value, Refund) else value.payment or about
        _add(taken[key], value)
        taken[key].invoice, taken[key].period = value.invoice, value.period
        if not taken[key].whole:  # not known, or there was nothing to give back yet
            taken[key].whole = _paid(key, value, payment, invoices) or taken[key].whole
    parts = sum(one.part for one in taken.values()) + of_changes
    return Reversals(state=_worst(taken.values()), parts=parts, refunded=refunded, payments=dict(taken))


def went_back(registers: Mapping[str, Entry], invoices: Container[str]) -> int:
    """Return what went back of the payments for *invoices*, in minor units."""
    values = (entry.value for entry in registers.values())
    return sum(_gone(one) for one in values if isinstance(one, Refund | Dispute) and one.invoice in invoices)


def _worst(taken: Iterable[Taken]) -> PurchaseStatus | None:
    states = {one.state for one in taken}
    return next((state for state in WORST_FIRST if state in states), None)


def _gone(value: Refund | Dispute) -> int:
    if isinstance(value, Refund):
        return value.refunded
    return value.amount if value.status in (DisputeStatus.LOST, DisputeStatus.OPEN) else 0


def _add(taken: Taken, value: Refund | Dispute) -> None:
    if isinstance(value, Refund):
        taken.whole, taken.refunded, taken.reported = value.amount, value.refunded, True
    elif value.status is DisputeStatus.LOST:
        taken.lost += value.amount
    elif value.status is DisputeStatus.OPEN:
        taken.held += value.amount


def _paid(key: str, value: Refund | Dispute, payment: Payment | None, invoices: Mapping[str, Invoice]) -> int | None:
    """Return what the payment *key* came to, as far as anything says so."""
    if payment and (payment.ref == key or (value.invoice and payment.invoice == value.invoice)):
        return payment.amount
    invoice = invoices.get(value.invoice or "")
    return invoice.amount if invoice and invoice.status is InvoiceStatus.PAID else None
