"""The table's stream: when a customer's access changes, every open tab of the customer is told."""

from functools import partial
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from paidup.edge import clock, settings
from paidup.edge.realtime import SETTINGS, changed_message, open_realtime
from paidup.edge.stream import each_billing_change
from paidup.flows import notify

for name in SETTINGS:
    settings.text(name)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Push to every customer whose access changed, and return which records must be handed out again."""

    def push(customer_id: str, written_at: float) -> None:
        now = clock.now()
        render = partial(changed_message, now=now)
        notify.push(customer_id, render, open_realtime(), written_at=written_at, now=now)

    return each_billing_change(event, context, push)
