"""The shop: what every flow works with, handed in whole so that a flow reads like the business."""

from dataclasses import dataclass

from paidup.model.account import Owner
from paidup.model.policy import Policy
from paidup.outside.dynamo.table import Table
from paidup.outside.stripe.provider import Stripe


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The table, the payment provider, and the numbers of the business."""

    table: Table
    stripe: Stripe
    policy: Policy

    def find_owner(self, ref: str) -> Owner | None:
        """Return whose a provider's customer (`stripe#cus_…`) or a thing that was bought (`stripe#sub_…`) is, if we
        know.
        """
        found = self.table.find(ref)
        return Owner(customer_id=found.customer_id, purchase_id=found.purchase_id) if found else None
