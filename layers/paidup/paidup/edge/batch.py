"""Batches of SQS: each message by itself, so that what fails goes back to the queue alone."""

from collections.abc import Callable
from typing import Any

from paidup.edge.services import open_services
from paidup.flows.events import AGAIN_IN_S
from paidup.model.errors import Refusal, SecondNotOver
from paidup.outside.log import logger
from paidup.outside.queue import Delivery

__all__ = ["Delivery", "each_record"]

type Record = dict[str, Any]


def each_record(event: dict[str, Any], work: Callable[[Delivery], None]) -> dict[str, Any]:
    """Let *work* deal with what every record of *event* delivers, and return which the queue must hand out again."""
    failed = []
    for record in event["Records"]:
        try:
            _worked_on(record, work)
        except Refusal as refusal:
            if not isinstance(refusal, SecondNotOver):
                logger.warning("message.failed", message_id=record["messageId"], why=refusal.slug)
            failed.append(record)
        except Exception:  # a mistake of ours, or an outage of AWS: the traceback is all that there will be
            logger.exception("message.failed", message_id=record["messageId"])
            failed.append(record)
    return {"batchItemFailures": [{"itemIdentifier": one["messageId"]} for one in failed]}


def _worked_on(record: Record, work: Callable[[Delivery], None]) -> None:
    """Let *work* deal with *record*. One whose second is not over comes back in two seconds."""
    delivery = Delivery.of(record)
    try:
        work(delivery)
    except SecondNotOver:
        open_services().webhooks().return_in(delivery.receipt, AGAIN_IN_S)
        raise
