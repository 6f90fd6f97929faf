"""Services: what every flow works with, in one argument."""

from collections.abc import Callable
from dataclasses import dataclass

from paidup.model.policy import Policy
from paidup.model.provider import Provider
from paidup.outside.dynamo.table import Table
from paidup.outside.queue import Queue


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The table, the payment providers by name, the queue of webhooks, and the policy of the business.

    `provider` and `webhooks` connect on first use. So a flow that calls no provider loads none, and reads no secret.
    """

    table: Table
    provider: Callable[[str], Provider]
    providers: tuple[str, ...]
    webhooks: Callable[[], Queue]
    policy: Policy
