"""SQS: settle the queued webhooks; what fails goes back to the queue alone, and in the end to the dead letters."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from paidup.edge import clock, settings
from paidup.edge.batch import Record, each_record
from paidup.edge.services import SETTINGS, open_services
from paidup.flows.events import retry_event
from paidup.model.fact import Channel

SPARE_S = 3.0

settings.require(*SETTINGS, "PAIDUP_WEBHOOK_QUEUE_URL")


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Settle a batch, and name the records that must be tried again: those, too, that there was no time for."""

    def settle(record: Record) -> None:
        """Settle the event in *record*; the message says which channel brought it, and when."""
        services, said = open_services(), record["messageAttributes"]
        event = services.provider(said["provider"]["stringValue"]).read_event(record["body"])
        retry_event(
            event,
            services,
            now=clock.now(),
            attempt=int(record["attributes"]["ApproximateReceiveCount"]),
            left_s=context.get_remaining_time_in_millis() / 1000 - SPARE_S,
            channel=Channel(said["channel"]["stringValue"]),
            heard_at=int(said["heard_at"]["stringValue"]),
        )

    return each_record(event, settle)
