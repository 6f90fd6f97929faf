"""Batches of the table's stream: each customer's newest change. What fails is handed out again."""

from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from paidup.flows.notify import PushFailed
from paidup.outside.dynamo.stream import account_change
from paidup.outside.log import logger

LEAST_LEFT_MS = 5_000  # one customer's tabs take no longer while the gateway answers


def each_billing_change(
    event: Mapping[str, Any], context: LambdaContext, work: Callable[[str, float], None]
) -> dict[str, Any]:
    """Let *work* deal with each customer whose access changed, and return which records failed.

    *work* gets the customer's id, and when the newest change of the batch was written (epoch seconds). The records of
    one customer come in their order, so the newest says all. Lambda hands out a batch again from the first record that
    failed on. So the rest is dealt with all the same, and may be dealt with twice.
    """
    newest, failed = {}, []
    for record in event["Records"]:
        number = record["dynamodb"]["SequenceNumber"]
        try:
            change = account_change(record)
        except (KeyError, TypeError, ValueError):
            logger.exception("record.failed", sequence_number=number)
            failed.append(number)
            continue
        if change.is_billing:
            newest[change.customer_id] = number, change
    for number, change in newest.values():
        if context.get_remaining_time_in_millis() < LEAST_LEFT_MS:
            failed.append(number)
            continue
        try:
            work(change.customer_id, change.at)
        except PushFailed as why:
            logger.warning("record.failed", sequence_number=number, customer_id=change.customer_id, why=str(why))
            failed.append(number)
        except Exception:  # a mistake of ours, or an outage of AWS: the traceback is all that there will be
            logger.exception("record.failed", sequence_number=number, customer_id=change.customer_id)
            failed.append(number)
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}
