"""SQS: settle the queued webhooks; what fails goes back to the queue alone, and in the end to the dead letters."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from paidup.edge import clock, settings
from paidup.edge.batch import Delivery, each_record
from paidup.edge.services import SETTINGS, open_services
from paidup.flows.events import retry_event
from paidup.model.fact import Channel

SPARE_S = 3.0

settings.require(*SETTINGS, "PAIDUP_WEBHOOK_QUEUE_URL")


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Settle a batch, and name the records that must be tried again: those, too, that there was no time for."""

    def settle(delivery: Delivery) -> None:
        """Settle the event that was delivered."""
        services = open_services()
        retry_event(
            services.provider(delivery.provider).read_event(delivery.body),
            services,
            now=clock.now(),
            attempt=delivery.attempt,
            left_s=context.get_remaining_time_in_millis() / 1000 - SPARE_S,
            channel=Channel(delivery.channel),
            heard_at=delivery.heard_at,
        )

    return each_record(event, settle)
