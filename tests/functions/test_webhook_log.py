"""The webhook log says how long the last try took, whichever channel made it: what was fetched, settled, or in vain."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from tests.functions.clocks import Uptime
from tests.functions.door import listening, of_another_version
from tests.functions.story import Story
from tests.functions.test_support_desk import act
from tests.functions.wire import Exchange, Wire, be_down, pass_on
from tests.handlers import Context, invoke, queue_event, sample

LOST_S = 130
FETCH_S, WRITE_S = 0.5, 0.25

type Try = Callable[[Story, Any], None]


def at_once(story: Story, event: Any) -> None:
    assert story.world.deliver(event).status == 200


def from_the_queue(story: Story, event: Any) -> None:
    invoke(*queue_event({"body": json.dumps(event)}))


def by_the_reconciler(story: Story, event: Any) -> None:
    story.world.pass_time(LOST_S)
    invoke("reconcile_payments", sample("reconcile_payments"), Context())


def at_the_desk(story: Story, event: Any) -> None:
    act(f"events/stripe/{event['id']}/replay")


@contextmanager
def slow_writes(story: Story, uptime: Uptime, *, fail: bool = False) -> Iterator[None]:
    """Let each transaction take `WRITE_S` by the clock that only runs on, and then *fail*, while the block runs."""

    def take_long(**_: Any) -> None:
        uptime.now += WRITE_S
        if fail:
            raise EndpointConnectionError(endpoint_url="the table's")

    with listening(story.world, "before-parameter-build.dynamodb.TransactWriteItems", take_long):
        yield


def logged(story: Story, event: Any) -> tuple[str, int]:
    """Return what the log says of *event*: what became of it, and the milliseconds."""
    record = story.world.services.table.event("stripe", event["id"])
    assert record
    return record.status, record.ms


@pytest.mark.parametrize("channel", [at_once, from_the_queue, by_the_reconciler, at_the_desk])
class TestATry:
    def test_that_settles_took_as_long_as_its_transaction(
        self, completed: Any, story: Story, uptime: Uptime, channel: Try
    ) -> None:
        with slow_writes(story, uptime):
            channel(story, completed)

        assert logged(story, completed) == ("settled", WRITE_S * 1_000)

    def test_that_fails_took_as_long_as_it_was_in_vain(
        self, completed: Any, story: Story, uptime: Uptime, channel: Try
    ) -> None:
        with slow_writes(story, uptime, fail=True):
            channel(story, completed)

        assert logged(story, completed) == ("failed", WRITE_S * 1_000)


@pytest.mark.parametrize(("answer", "status"), [(pass_on, "settled"), (be_down, "failed")])
def test_what_a_try_fetches_is_part_of_its_time(
    completed: Any, story: Story, uptime: Uptime, wire: Wire, answer: Callable[[Exchange], None], status: str
) -> None:
    def take_long(exchange: Exchange) -> None:
        uptime.now += FETCH_S
        answer(exchange)

    wire.inject("GET /v1/checkout/sessions", take_long)
    wire.asked.clear()
    from_the_queue(story, of_another_version(completed))

    assert wire.count("GET /v1/checkout/sessions") == 1
    assert logged(story, completed) == (status, FETCH_S * 1_000)
