"""SQS: settle the queued webhooks; what fails goes back to the queue alone, and in the end to the dead letters."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from paidup.edge import clock, settings
from paidup.edge.batch import Record, each_record
from paidup.edge.services import SETTINGS, open_services
from paidup.flows.events import retry_event

SPARE_S = 3.0

settings.require(*SETTINGS)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Settle a batch, and name the records that must be tried again: those, too, that there was no time for."""

    def settle(record: Record) -> None:
        """Settle the event in *record*; the message names its provider."""
        services = open_services()
        provider = services.provider(record["messageAttributes"]["provider"]["stringValue"])
        attempt = int(record["attributes"]["ApproximateReceiveCount"])
        left_s = context.get_remaining_time_in_millis() / 1000 - SPARE_S
        retry_event(provider.read_event(record["body"]), services, now=clock.now(), attempt=attempt, left_s=left_s)

    return each_record(event, settle)
