"""Services: what every flow works with, in one argument."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from paidup.model.fact import Channel
from paidup.model.policy import Policy
from paidup.model.provider import Provider
from paidup.outside.dynamo.budget import Budgets
from paidup.outside.dynamo.table import Table
from paidup.outside.queue import Queue


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The table, the payment providers by name, the queue of webhooks, the policy of the business, and read budgets.

    `provider` and `webhooks` connect on first use. So a flow that calls no provider loads none, and reads no secret.
    """

    table: Table
    provider: Callable[[str], Provider]
    providers: tuple[str, ...]
    webhooks: Callable[[], Queue]
    policy: Policy
    budgets: Budgets

    def asking(self, channel: Channel, *, now: int) -> AbstractContextManager[None]:
        """Let *channel* ask providers on their read budgets in the block, which begins at *now* (epoch seconds).

        Whatever asks a provider in the block may raise BudgetSpent.
        """
        return self.budgets.spending(channel, self.policy.reads, now=now)
