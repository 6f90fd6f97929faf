"""What every flow works with, handed in whole so that a flow reads like the business."""

from collections.abc import Callable
from dataclasses import dataclass

from paidup.model.policy import Policy
from paidup.model.provider import Provider
from paidup.outside.dynamo.table import Table
from paidup.outside.queue import Queue


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The table, the payment providers by name, and the numbers of the business.

    `provider` and `webhooks` (the queue) connect on first use: a flow that needs no provider loads none and reads no
    secret.
    """

    table: Table
    provider: Callable[[str], Provider]
    providers: tuple[str, ...]
    webhooks: Callable[[], Queue]
    policy: Policy
