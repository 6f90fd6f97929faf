"""SQS: settle the queued webhooks; what fails goes back to the queue alone, and in the end to the dead letters."""

from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext
from paidup.edge import clock, settings
from paidup.edge.services import SETTINGS, open_services
from paidup.flows.events import retry_event

SPARE_S = 3.0

settings.require(*SETTINGS)
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


def settle_record(record: SQSRecord, lambda_context: LambdaContext) -> None:
    """Settle the event in *record*; the message names its provider."""
    services = open_services()
    provider = services.provider(record.raw_event["messageAttributes"]["provider"]["stringValue"])
    attempt = int(record.attributes.approximate_receive_count)
    left_s = lambda_context.get_remaining_time_in_millis() / 1000 - SPARE_S
    retry_event(provider.read_event(record.body), services, now=clock.now(), attempt=attempt, left_s=left_s)


def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Settle a batch, and name the records that must be tried again: those, too, that there was no time for."""
    return process_partial_response(event=event, record_handler=settle_record, processor=processor, context=context)
