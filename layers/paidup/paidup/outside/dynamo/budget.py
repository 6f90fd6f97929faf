"""The read budgets in the table: one item for each provider, from which each instance of a function takes batches."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from paidup.model.bucket import PATIENT, Bucket, Limits, Taken
from paidup.model.errors import BudgetSpent
from paidup.model.fact import Channel
from paidup.outside import metrics
from paidup.outside.allowance import Allowance, on
from paidup.outside.deadline import remaining
from paidup.outside.dynamo import items
from paidup.outside.dynamo.client import TableClient
from paidup.outside.log import logger
from paidup.outside.retry import LostRace, TooLate, attempts

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

AT_ONCE = 5
HELD_S = 10  # what an instance took and did not use by then is gone
MOST_WAITS, WAIT_S = 5, 1.0
RETRY_AFTER_S = 5
NO_ANSWER = (BotoCoreError, ClientError, LostRace, TooLate)

type Step = Callable[[Bucket], Taken]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets(TableClient):
    """The read budget of each provider, as one instance knows it.

    It holds what it took for a channel, and until when. What was written last is known, and so is what another instance
    wrote first: a write that fails says it. So most batches cost one write and no read.
    """

    _held: dict[tuple[str, Channel], tuple[int, int]] = field(default_factory=dict)
    _known: dict[str, tuple[Bucket, int]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def spending(self, channel: Channel, limits: Limits, *, now: int) -> Iterator[None]:
        """Let *channel* make the requests of the block on the budgets. The block begins at *now* (epoch seconds).

        Who can wait waits for up to five seconds, within the caller's deadline. If nothing is left then, BudgetSpent is
        raised. If the table does not answer, a poll goes on without. What a run took and did not use is given back to
        the month. A poll's is not: it would cost as much as five polls do.
        """
        began = time.monotonic()

        def clock() -> int:
            return now + int(time.monotonic() - began)

        def spend(provider: str) -> None:
            for n in range(MOST_WAITS + 1):
                wait_s = self._spend(provider, channel, limits, now=clock())
                if wait_s == 0:
                    return
                if channel not in PATIENT or n == MOST_WAITS or not wait_s <= WAIT_S < remaining(2 * WAIT_S):
                    break
                time.sleep(WAIT_S)
            metrics.count("BudgetSpent", channel=channel)
            raise BudgetSpent(provider, retry_after_s=wait_s)

        def refused(provider: str, retry_after_s: int | None) -> None:
            self.close(provider, limits, retry_after_s, now=clock())

        try:
            with on(Allowance(spend=spend, refused=refused)):
                yield
        finally:
            if channel in PATIENT:
                self._give_back(channel, limits, now=clock())

    def sold(self, provider: str, count: int, limits: Limits, *, now: int) -> None:
        """Remember that *count* more things were sold by *now*: *provider* allows more reads for them."""
        if count:
            self._tell(provider, lambda bucket: bucket.with_sales(count), limits, now=now)

    def _spend(self, provider: str, channel: Channel, limits: Limits, *, now: int) -> int:
        """Use one of the requests that are held, or take more. Return 0, or after how many seconds to try again."""
        with self._lock:
            held, until = self._held.get((provider, channel), (0, 0))
            if held and now < until:
                self._held[provider, channel] = held - 1, until
                return 0
            try:
                taken = self._change(provider, lambda one: one.take(AT_ONCE, channel, limits, now=now), limits, now=now)
            except NO_ANSWER as error:
                logger.warning("budget.unread", channel=channel, why=type(error).__name__)
                return RETRY_AFTER_S if channel in PATIENT else 0
            if taken.granted:
                self._held[provider, channel] = taken.granted - 1, now + HELD_S
            return taken.wait_s

    def _give_back(self, channel: Channel, limits: Limits, *, now: int) -> None:
        """Give back to the month what *channel* holds. It makes no more requests for minutes."""
        with self._lock:
            unused = {
                provider: self._held.pop((provider, channel))[0] for provider, one in [*self._held] if one == channel
            }
        for provider, count in unused.items():
            if count:
                self._tell(provider, partial(Bucket.given_back, unused=count), limits, now=now)

    def close(self, provider: str, limits: Limits, retry_after_s: int | None, *, now: int) -> None:
        """Let everybody wait, since *provider* took a request for one too many at *now* (epoch seconds).

        What other instances hold is used up, or gone, within ten seconds.
        """
        with self._lock:
            self._held.clear()
        self._tell(provider, lambda bucket: bucket.refused(now=now, retry_after_s=retry_after_s), limits, now=now)

    def _tell(self, provider: str, step: Callable[[Bucket], Bucket], limits: Limits, *, now: int) -> None:
        with self._lock:
            try:
                self._change(provider, lambda bucket: Taken(bucket=step(bucket), granted=0), limits, now=now)
            except NO_ANSWER as error:
                logger.warning("budget.unread", why=type(error).__name__)

    def _change(self, provider: str, step: Step, limits: Limits, *, now: int) -> Taken:
        """Apply *step* to the bucket, and write it. Raises LostRace if other writers are always first."""
        for _ in attempts():
            known = self._known.pop(provider) if provider in self._known else None
            bucket, version = known or self._read(provider, limits, now=now)
            taken = step(bucket)
            if taken.wait_s:
                return taken  # nothing to write; the next look reads the item again, since others may have changed it
            if self._replace(provider, taken.bucket, version):
                return taken
        raise LostRace

    def _read(self, provider: str, limits: Limits, *, now: int) -> tuple[Bucket, int]:
        item = self._get(items.budget_key(provider))
        return _of_item(item) if item else (Bucket.full(limits, now=now), 0)

    def _replace(self, provider: str, bucket: Bucket, version: int) -> bool:
        """Write the bucket over *version*, and return whether nobody was first. Else what they wrote is known."""
        guard: Any = {"ConditionExpression": items.NOT_THERE_YET}
        if version:
            values = items.serialize({":read": version})
            guard = {"ConditionExpression": items.VERSION_AS_READ, "ExpressionAttributeValues": values}
        item = items.budget_item(provider, bucket, version=version + 1)
        guard["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        try:
            self.client.put_item(TableName=self.name, Item=item, **guard)
        except self.client.exceptions.ConditionalCheckFailedException as error:
            answer: Any = error.response
            if there := answer.get("Item"):
                self._known[provider] = _of_item(there)
            return False
        self._known[provider] = bucket, version + 1
        return True


def _of_item(item: items.Item) -> tuple[Bucket, int]:
    return items.read_item(Bucket, item), int(item["version"]["N"])


@cache
def connect(client: "DynamoDBClient", name: str) -> Budgets:
    """Return the budgets in the table *name*, once for a process: all threads share what was taken."""
    return Budgets(client=client, name=name)
