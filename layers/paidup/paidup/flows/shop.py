"""The shop: what every flow works with, handed in whole so that a flow reads like the business."""

from dataclasses import dataclass

from paidup.model.policy import Policy
from paidup.outside.stripe_account import Stripe
from paidup.outside.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """The table, the payment provider, and the numbers of the business."""

    table: Table
    stripe: Stripe
    policy: Policy

    def customer_of(self, ref: str) -> str | None:
        """Return the customer that a provider's customer (`stripe#cus_…`) is, if we know."""
        found = self.table.find(ref)
        return found.customer_id if found else None
