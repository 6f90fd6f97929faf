"""The shop: what every flow works with, handed in whole so that a flow reads like the business."""

from dataclasses import dataclass

from paidup.model.account import Whose
from paidup.model.policy import Policy
from paidup.outside.dynamo.table import Table
from paidup.outside.stripe.provider import Stripe


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """The table, the payment provider, and the numbers of the business."""

    table: Table
    stripe: Stripe
    policy: Policy

    def whose(self, ref: str) -> Whose | None:
        """Return whose a provider's customer (`stripe#cus_…`) or a thing that was bought (`stripe#sub_…`) is, if we
        know.
        """
        found = self.table.find(ref)
        return Whose(customer_id=found.customer_id, pass_id=found.pass_id) if found else None
