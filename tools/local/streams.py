"""What follows a table's stream: filtered batches for a function, retries, bisected batches, and what failed too often.

By the rules of Lambda: https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-eventsourcemapping.html
"""

import asyncio
import base64
import json
import time
import uuid
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import batched
from typing import Any
from zlib import crc32

from tools.local.cloud import Cloud
from tools.local.functions import Function
from tools.local.intrinsics import REGION, Resolver
from tools.local.template import Properties, StreamTrigger, Unreadable
from tools.local.triggers import Tell, run

LOOK_EVERY_S = 0.2
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0

Record = dict[str, Any]


def follow_stream(
    trigger: StreamTrigger, function: Function, cloud: Cloud, resolver: Resolver, tell: Tell
) -> Coroutine[Any, Any, None]:
    """Return what gives *function* all that is written to the table from this call on, until cancelled.

    Where the stream is followed from is settled here and now: who then says that all is ready misses nothing.
    """
    streams = cloud.client("dynamodbstreams")
    arn = resolver.attributes[f"{trigger.table}.StreamArn"]
    (shard,) = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]  # MiniStack splits none
    place = {"StreamArn": arn, "ShardId": shard["ShardId"]}
    iterator = streams.get_shard_iterator(**place, ShardIteratorType=trigger.start)["ShardIterator"]
    batches = _Batches(trigger, function, cloud, resolver, tell, place)
    return _follow(streams, iterator, arn, batches)


async def _follow(streams: Any, iterator: str, arn: str, batches: "_Batches") -> None:
    """Hand out what comes after *iterator*."""
    while True:
        answer = await asyncio.to_thread(streams.get_records, ShardIterator=iterator)
        iterator = answer["NextShardIterator"]
        records = [event_record(one, arn) for one in answer["Records"]]
        await batches.work_on([one for one in records if is_wanted(one, batches.trigger.patterns)])
        if not records:
            await asyncio.sleep(LOOK_EVERY_S)


@dataclass(frozen=True, slots=True)
class _Batches:
    """How the records of one shard reach the function."""

    trigger: StreamTrigger
    function: Function
    cloud: Cloud
    resolver: Resolver
    tell: Tell
    place: Mapping[str, str]

    async def work_on(self, records: Sequence[Record]) -> None:
        """Deal with *records*, those of one key in their order. What comes later waits for all of them."""
        lanes: dict[int, list[Record]] = {}
        for one in records:
            keys = json.dumps(one["dynamodb"]["Keys"]["pk"])
            lanes.setdefault(crc32(keys.encode()) % self.trigger.lanes, []).append(one)
        await asyncio.gather(*map(self._lane, lanes.values()))

    async def _lane(self, records: Sequence[Record]) -> None:
        for batch in batched(records, self.trigger.batch_size, strict=False):
            await self._deal_with(list(batch), tries=0)

    async def _deal_with(self, batch: list[Record], *, tries: int) -> None:
        """Hand out *batch* until nothing of it fails, or it has failed or waited too long.

        A batch that fails as a whole, or from its first record on, is halved, if the template says so: what fails in
        the end fails alone. That is no try of its own.
        """
        while (first := await self._first_failure(batch)) is not None:
            halved = self.trigger.bisect and first == 0 and len(batch) > 1
            batch, tries = batch[first:], tries + (not halved)
            if why := self._hopeless(batch, tries):
                await self._give_up(batch, why, tries)
                return
            await asyncio.sleep(min(FIRST_PAUSE_S * 2**tries, LONGEST_PAUSE_S))
            if halved:
                middle = len(batch) // 2
                await self._deal_with(batch[:middle], tries=tries)
                await self._deal_with(batch[middle:], tries=tries)
                return

    def _hopeless(self, batch: Sequence[Record], tries: int) -> str | None:
        """Return why *batch* is not handed out again after *tries*, in Lambda's words, or None."""
        if tries > self.trigger.most_retries:
            return "RetryAttemptsExhausted"
        oldest = min(one["dynamodb"]["ApproximateCreationDateTime"] for one in batch)
        return "RecordAgeExceeded" if time.time() - oldest > self.trigger.oldest_s else None

    async def _first_failure(self, batch: Sequence[Record]) -> int | None:
        """Return where in *batch* the function failed first, or None if it did not."""
        answer = await run(self.function, {"Records": list(batch)}, self.tell)
        if answer.failed:
            return 0
        if not self.trigger.partial_failures:
            return None
        numbers = [one["dynamodb"]["SequenceNumber"] for one in batch]
        try:
            told = (json.loads(answer.payload) or {}).get("batchItemFailures") or ()
            failed = [numbers.index(one["itemIdentifier"]) for one in told]
        except (AttributeError, KeyError, TypeError, ValueError):
            return 0
        if failed:
            self.tell(f"{self.function.code.name} failed {len(failed)} of {len(batch)} records; they are tried again.")
        return min(failed, default=None)

    async def _give_up(self, batch: Sequence[Record], why: str, tries: int) -> None:
        """Tell the queue of failures which records were given up. It learns where they are, but not what they say."""
        self.tell(f"{self.function.code.name} gives up {len(batch)} records: {why}.")
        times = [one["dynamodb"]["ApproximateCreationDateTime"] for one in batch]
        told = {
            "requestContext": {
                "requestId": str(uuid.uuid4()),
                "functionArn": f"arn:aws:lambda:{REGION}:{self.cloud.account}:function:{self.function.code.name}",
                "condition": why,
                "approximateInvokeCount": tries,
            },
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
            "version": "1.0",
            "timestamp": _iso(time.time()),
            "DDBStreamBatchInfo": {
                "shardId": self.place["ShardId"],
                "startSequenceNumber": batch[0]["dynamodb"]["SequenceNumber"],
                "endSequenceNumber": batch[-1]["dynamodb"]["SequenceNumber"],
                "approximateArrivalOfFirstRecord": _iso(min(times)),
                "approximateArrivalOfLastRecord": _iso(max(times)),
                "batchSize": len(batch),
                "streamArn": self.place["StreamArn"],
            },
        }
        url = self.resolver.refs[self.trigger.failures]
        sqs = self.cloud.client("sqs")
        await asyncio.to_thread(sqs.send_message, QueueUrl=url, MessageBody=json.dumps(told))


def is_wanted(record: Mapping[str, Any], patterns: Sequence[Properties]) -> bool:
    """Return whether *record* fits one of *patterns*, or there is none. Raises Unreadable for one that is not known."""
    return not patterns or any(_matches(record, pattern) for pattern in patterns)


def _matches(found: Any, pattern: Any) -> bool:
    """Return whether what was *found* fits *pattern*: a map of patterns, or a list of the values that it may be."""
    if isinstance(pattern, Mapping):
        return isinstance(found, Mapping) and all(_matches(found.get(name), one) for name, one in pattern.items())
    if any(isinstance(one, Mapping) for one in pattern):
        raise Unreadable(f"template.yaml filters a stream by {pattern}; the local stack compares values alone.")
    return found in pattern


def event_record(record: Mapping[str, Any], arn: str) -> Record:
    """Return a *record* of boto3's as a function gets it."""
    written = record["dynamodb"]
    return {
        **record,
        "eventSourceARN": arn,
        "dynamodb": {
            **_plain(written),
            "ApproximateCreationDateTime": written["ApproximateCreationDateTime"].timestamp(),
        },
    }


def _plain(value: Any) -> Any:
    """Return *value* as JSON has it: bytes in base64."""
    match value:
        case bytes():
            return base64.b64encode(value).decode()
        case Mapping():
            return {name: _plain(one) for name, one in value.items()}
        case list():
            return [_plain(one) for one in value]
    return value


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
