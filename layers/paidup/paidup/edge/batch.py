"""Batches of SQS: each message by itself, so that what fails goes back to the queue alone."""

from collections.abc import Callable
from typing import Any

from paidup.edge.services import open_services
from paidup.flows.events import AGAIN_IN_S
from paidup.model.errors import Refusal, SecondNotOver
from paidup.outside.log import logger

type Record = dict[str, Any]


def each_record(event: dict[str, Any], work: Callable[[Record], None]) -> dict[str, Any]:
    """Let *work* deal with every record of *event*, and return which of them the queue must hand out again."""
    failed = []
    for record in event["Records"]:
        try:
            work(record)
        except SecondNotOver:
            open_services().webhooks().return_in(record["receiptHandle"], AGAIN_IN_S)
            failed.append({"itemIdentifier": record["messageId"]})
        except Refusal as refusal:
            logger.warning("message.failed", message_id=record["messageId"], why=refusal.slug)
            failed.append({"itemIdentifier": record["messageId"]})
        except Exception:  # a mistake of ours, or an outage of AWS: the traceback is all that there will be
            logger.exception("message.failed", message_id=record["messageId"])
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}
