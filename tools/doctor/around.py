"""What runs around the functions: runs by the clock, queues, and alarms."""

import re
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

from paidup.outside.dynamo import items
from paidup.outside.dynamo.table import Table

READ = 2_000  # of what is due: the longest due come first, part by part
WAITING, IN_HAND, DELAYED = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


def late_s(table: Table, *, now: int) -> int | None:
    """Return for how many seconds the thing is due that waits longest. None: nothing is due at *now*."""
    due = islice(chain(table.due_access(now=now), table.due_pages(now=now)), READ)
    return max((now - one.due_at for one in due), default=None)


def ran_at(table: Table, run: str) -> int | None:
    """Return when the run *run* began last, or until when it has its lease, in epoch seconds. None: it never ran."""
    found = table.client.get_item(TableName=table.name, Key=items.serialize(items.lease_key(run)), ConsistentRead=True)
    return int(items.deserialize(found["Item"])["leased_until"]) if "Item" in found else None


def messages(sqs: Any, url: str) -> tuple[int, int]:
    """Return about how many messages wait in the queue at *url*, and how many are in hand or wait to be tried again."""
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[WAITING, IN_HAND, DELAYED])["Attributes"]
    return int(found[WAITING]), int(found.get(IN_HAND, 0)) + int(found.get(DELAYED, 0))


def alarms(cloudwatch: Any, stack: str) -> list[tuple[str, str]]:
    """Return each alarm of *stack* by its name in the template, with its state."""
    return sorted(_alarms(cloudwatch, stack))


def _alarms(cloudwatch: Any, stack: str) -> Iterator[tuple[str, str]]:
    # CloudFormation calls them by stack, logical id and a random end. Another stack may begin with the same letters.
    named = re.compile(rf"{re.escape(stack)}-(\w+Alarm)(-\w+)?")
    for page in cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix=f"{stack}-"):
        for one in page["MetricAlarms"]:
            if found := named.fullmatch(one["AlarmName"]):
                yield found[1], one["StateValue"]
