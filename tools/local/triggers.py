"""What starts functions besides requests: queues, and the clock. Streams have a module of their own."""

import asyncio
import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tools.local.cloud import Cloud
from tools.local.functions import Busy, Function
from tools.local.intrinsics import REGION, Resolver
from tools.local.template import QueueTrigger, Schedule
from tools.local.worker import Answer

WAIT_S = 60
LONG_POLL_S = 1

Tell = Callable[[str], None]


async def work_queue(trigger: QueueTrigger, function: Function, cloud: Cloud, resolver: Resolver, tell: Tell) -> None:
    """Give *function* what comes into its queue, batch by batch, until cancelled.

    What it worked off is deleted. What it failed stays, to be tried again after the queue's visibility time-out
    and to go to the dead letters in the end, as on AWS.
    """
    sqs = cloud.client("sqs")
    url = resolver.refs[trigger.queue]
    arn = resolver.attributes[f"{trigger.queue}.Arn"]
    while True:
        batch = await asyncio.to_thread(
            sqs.receive_message,
            QueueUrl=url,
            MaxNumberOfMessages=min(trigger.batch_size, 10),
            WaitTimeSeconds=LONG_POLL_S,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        messages = batch.get("Messages", [])
        if not messages:
            continue
        event = {"Records": [_record(one, arn) for one in messages]}
        answer = await run(function, event, tell)
        failed = _failed(answer, trigger, {one["MessageId"] for one in messages})
        if failed and not answer.failed:
            tell(f"{function.code.name} failed {len(failed)} of {len(messages)} messages; they are tried again.")
        done = [one for one in messages if one["MessageId"] not in failed]
        if done:
            entries = [{"Id": one["MessageId"], "ReceiptHandle": one["ReceiptHandle"]} for one in done]
            await asyncio.to_thread(sqs.delete_message_batch, QueueUrl=url, Entries=entries)


async def keep_schedule(schedule: Schedule, function: Function, now: Callable[[], float], tell: Tell) -> None:
    """Run *function* at once and then whenever its time comes by the clock *now*, until cancelled.

    The clock may leap: a leap over many turns is one turn.
    """
    turn = None
    while True:
        at = now()
        if turn != (turn := at // schedule.every_s):
            await run(function, _scheduled(schedule, at), tell)
        await asyncio.sleep(0.5)


async def run(function: Function, event: dict[str, Any], tell: Tell) -> Answer:
    """Return what *function* answers to *event*, or that it failed or was too busy, which *tell* hears of."""
    try:
        answer = await function.invoke(json.dumps(event).encode(), wait_s=WAIT_S)
    except Busy:
        busy = {"errorType": "Busy", "errorMessage": f"no worker was free for {WAIT_S} s"}
        answer = Answer(payload=json.dumps(busy).encode(), failed=True)
    if answer.failed:
        tell(f"{function.code.name} failed: {answer.error}")
    return answer


def _failed(answer: Answer, trigger: QueueTrigger, ids: set[str]) -> set[str]:
    """Return which of the messages *ids* the function failed: all of them when its answer makes no sense, as on AWS."""
    if answer.failed:
        return ids
    if not trigger.partial_failures:
        return set()
    told = json.loads(answer.payload) or {}
    try:
        named = {one["itemIdentifier"] for one in told.get("batchItemFailures") or ()}
    except (AttributeError, KeyError, TypeError):
        return ids
    return named if named <= ids else ids


def _record(message: dict[str, Any], arn: str) -> dict[str, Any]:
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": {
            name: {_lower(key): value for key, value in one.items()}
            for name, one in message.get("MessageAttributes", {}).items()
        },
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": REGION,
    }


def _lower(name: str) -> str:
    return name[0].lower() + name[1:]


def _scheduled(schedule: Schedule, at: float) -> dict[str, Any]:
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "000000000000",
        "time": datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": REGION,
        "resources": [f"arn:aws:events:{REGION}:000000000000:rule/{schedule.rule}"],
        "detail": {},
    }
