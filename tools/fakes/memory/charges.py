"""Money at the provider in memory: what was taken from a buyer, and what went back of it, by refund or by a bank."""

from dataclasses import dataclass, field

from paidup.model.errors import ProviderRefused
from paidup.model.fact import Dispute, DisputeStatus, Refund

TAKEN = (DisputeStatus.OPEN, DisputeStatus.LOST)


@dataclass(slots=True, kw_only=True, eq=False)
class Charge:
    """A payment of `amount` (minor units). If it paid a subscription's invoice, `invoice` and `period` say which.

    `refunds` holds what each refund gave back, by its idempotency key. A failed one gave back nothing. `disputed` is
    what the bank took, or tried to take.
    """

    ref: str
    amount: int
    currency: str
    at: int
    invoice: str | None = None
    period: int | None = None
    refunds: dict[str, int] = field(default_factory=dict)
    dispute: DisputeStatus | None = None
    disputed: int = 0

    @property
    def refunded(self) -> int:
        """What went back so far by refunds."""
        return sum(self.refunds.values())

    @property
    def taken(self) -> int:
        """What a bank has of it now: it takes a disputed amount when the dispute begins."""
        return self.disputed if self.dispute in TAKEN else 0

    @property
    def kept(self) -> int:
        """What the shop has of it."""
        return self.amount - self.refunded - self.taken

    def refund(self, key: str, amount: int | None = None) -> bool:
        """Give *amount* back, or all that is left, once for each *key*. Return whether anything went back now.

        Raises ProviderRefused while a bank has taken something of it.
        """
        if key in self.refunds:
            return False
        if self.dispute in TAKEN:
            raise ProviderRefused("memory", "it was asked to give back what a bank took (charge_disputed)")
        left = self.amount - self.refunded
        if left:
            self.refunds[key] = left if amount is None else min(amount, left)
        return left > 0

    def fail_last_refund(self) -> bool:
        """Let the newest refund that arrived fail: its money comes back to the shop. Returns whether there was one."""
        arrived = [key for key, amount in self.refunds.items() if amount]
        if arrived:
            self.refunds[arrived[-1]] = 0
        return bool(arrived)

    def refund_value(self) -> Refund:
        """Return what the provider says of its refunds."""
        return Refund(
            amount=self.amount,
            refunded=self.refunded,
            currency=self.currency,
            invoice=self.invoice,
            period=self.period,
        )

    def dispute_value(self) -> Dispute:
        """Return what the provider says of its dispute."""
        return Dispute(
            status=self.dispute or DisputeStatus.OPEN,
            amount=self.disputed,
            currency=self.currency,
            payment=self.ref,
            invoice=self.invoice,
            period=self.period,
        )
