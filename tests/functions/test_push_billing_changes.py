"""push_billing_changes: every open tab of a customer hears of a changed access, once and in order, and nobody else."""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import batched
from typing import Any

import boto3
import pytest
from paidup.model.connection import Connection
from paidup.outside.dynamo import items

from tests.functions.sockets import Gateway, Sockets, push
from tests.functions.story import MOMENT_S, Story
from tests.handlers import Context, sample
from tests.world import World

pytestmark = pytest.mark.ministack

CUSTOMERS, TABS_EACH = 2_000, 5

type Metric = tuple[str, str, float]
"""A metric's name, its reason or outcome, and its value."""


def buys(story: Story, offer: str = "day_pass") -> None:
    story.buys(offer)
    story.hear()


def versions(gateway: Gateway, tab: str) -> list[int]:
    """Return the versions that a tab was told of, in their order."""
    return [message["billing_version"] for message in gateway.posted[tab]]


def number_of(record: Mapping[str, Any]) -> str:
    return str(record["dynamodb"]["SequenceNumber"])


@pytest.fixture
def measured(capfd: pytest.CaptureFixture[str]) -> Callable[[], list[Metric]]:
    """What was measured of sockets since the test began, as CloudWatch reads it in the log."""

    def read() -> list[Metric]:
        lines = [json.loads(line) for line in capfd.readouterr().out.splitlines() if line.startswith('{"_aws"')]
        return [
            (name, line.get("reason") or line.get("outcome") or "", line[name][0])
            for line in lines
            for name in line
            if name.startswith(("Socket", "Push"))
        ]

    return read


class TestAChange:
    def test_reaches_every_tab_of_its_customer_and_no_other(
        self, sockets: Sockets, gateway: Gateway, world: World, story: Story
    ) -> None:
        tabs, others = [sockets.opened(story.buyer) for _ in range(3)], sockets.opened(world.customer())
        buys(story)

        assert push(*sockets.records(story.buyer)) == []

        (message,) = gateway.posted[tabs[0]]
        (access,) = message["access"]
        assert (message["type"], message["billing_version"]) == ("billing.changed", 1)
        assert (access["offer_id"], access["status"], access["until"]) == ("day_pass", "active", None)
        assert [gateway.posted[tab] for tab in tabs] == [[message]] * 3
        assert gateway.posted[others] == []

    def test_of_other_things_than_access_is_not_told(self, sockets: Sockets, gateway: Gateway, story: Story) -> None:
        sockets.opened(story.buyer)
        story.opens("day_pass")
        records = sockets.records(story.buyer)
        assert records

        assert push(*records) == []
        assert not gateway.posted

    def test_is_not_told_again_when_its_webhook_comes_a_minute_late(
        self, sockets: Sockets, gateway: Gateway, world: World, story: Story
    ) -> None:
        """From the third second on, the poll asks the provider by itself."""
        tab = sockets.opened(story.buyer)
        story.buys("day_pass")
        world.pass_time(3)
        assert world.status(story.token["checkout_id"], customer=story.buyer)["state"] == "active"
        by_poll, before = sockets.records(story.buyer), story.account
        assert push(*by_poll) == []

        world.pass_time(57)
        assert "checkout.session.completed" in story.hear()

        late = sockets.records(story.buyer)[len(by_poll) :]
        assert push(*late) == []
        assert versions(gateway, tab) == [1]
        assert story.account == before

    def test_is_told_by_the_newest_record_of_a_batch_alone(
        self, sockets: Sockets, gateway: Gateway, story: Story
    ) -> None:
        tab = sockets.opened(story.buyer)
        buys(story)
        buys(story, "ten_class_pass")

        assert push(*sockets.records(story.buyer)) == []
        assert versions(gateway, tab) == [2]

    def test_that_ends_access_is_told(self, sockets: Sockets, gateway: Gateway, story: Story) -> None:
        tab = sockets.opened(story.buyer)
        buys(story)
        story.post("refunds", payment_intent=story.session()["payment_intent"]["id"])
        story.hear()

        push(*sockets.records(story.buyer))

        (message,) = gateway.posted[tab]
        assert (message["billing_version"], message["access"]) == (2, [])

    def test_that_is_handed_out_late_carries_no_older_version_after_a_newer_one(
        self, sockets: Sockets, gateway: Gateway, story: Story
    ) -> None:
        """Half of a batch can be handed out again after the whole of it was told."""
        tab = sockets.opened(story.buyer)
        buys(story)
        first = sockets.records(story.buyer)
        buys(story, "ten_class_pass")
        both = sockets.records(story.buyer)

        for batch in (both, first, both[len(first) :]):
            assert push(*batch) == []

        assert versions(gateway, tab) == [2, 2, 2]

    def test_and_an_answer_that_race_differ_in_their_versions_so_that_the_higher_one_is_the_newest(
        self, sockets: Sockets, gateway: Gateway, story: Story
    ) -> None:
        tab = sockets.opened(story.buyer)
        asked_before = sockets.since(tab)["billing_version"]
        buys(story)
        push(*sockets.records(story.buyer))
        asked_after = sockets.since(tab)["billing_version"]

        (pushed,) = versions(gateway, tab)
        assert asked_before < pushed == asked_after == story.version


class TestATab:
    def test_that_is_gone_is_forgotten(self, sockets: Sockets, gateway: Gateway, story: Story) -> None:
        gone, left = sockets.settled(story.buyer), sockets.settled(story.buyer)
        gateway.gone = {gone}
        buys(story)

        assert push(*sockets.records(story.buyer)) == []

        assert versions(gateway, left) == [1]
        assert sockets.known(story.buyer) == {left}

    def test_that_is_still_opening_is_not_taken_for_gone(
        self, sockets: Sockets, gateway: Gateway, story: Story
    ) -> None:
        """The gateway says gone until it has answered the handshake. Then the tab asks for the state by itself."""
        buys(story)
        opening = sockets.opened(story.buyer)
        gateway.gone = {opening}
        assert push(*sockets.records(story.buyer)) == []
        gateway.gone = set()

        buys(story, "ten_class_pass")
        push(*sockets.records(story.buyer))

        assert versions(gateway, opening) == [2]

    def test_whose_token_has_ended_is_closed_and_not_told(
        self, sockets: Sockets, gateway: Gateway, world: World, story: Story
    ) -> None:
        ended, left = sockets.opened(story.buyer, expires_in=60), sockets.opened(story.buyer)
        world.pass_time(60)
        buys(story)

        push(*sockets.records(story.buyer))

        assert gateway.closed == [ended]
        assert gateway.posted.keys() == {left}
        assert sockets.known(story.buyer) == {left}


class TestWhatIsMeasured:
    def test_is_each_connection_and_each_message_and_how_long_it_took(
        self, sockets: Sockets, gateway: Gateway, world: World, story: Story, measured: Callable[[], list[Metric]]
    ) -> None:
        sockets.refused("paidup.v1")
        sockets.leave(sockets.opened(story.buyer))
        gone, bad = sockets.settled(story.buyer), sockets.settled(story.buyer)
        sockets.opened(story.buyer)
        gateway.gone, gateway.failing = {gone}, {bad}
        buys(story)
        world.pass_time(2)
        push(*sockets.records(story.buyer))

        counted = measured()

        assert counted.count(("SocketOpened", "", 1)) == 4
        assert set(counted) - {("SocketOpened", "", 1)} == {
            ("SocketRefused", "unauthorized", 1),
            ("SocketClosed", "left", 1),
            ("SocketClosed", "gone", 1),
            ("Push", "sent", 1),
            ("Push", "gone", 1),
            ("Push", "failed", 1),
            ("PushTime", "", (MOMENT_S + 2) * 1_000),
        }

    def test_counts_from_the_write_if_no_event_reported_the_change(
        self, sockets: Sockets, gateway: Gateway, world: World, story: Story, measured: Callable[[], list[Metric]]
    ) -> None:
        sockets.opened(story.buyer)
        story.buys("day_pass")
        world.pass_time(3)
        assert world.status(story.token["checkout_id"], customer=story.buyer)["state"] == "active"
        *_, newest = sockets.records(story.buyer)
        newest["dynamodb"]["ApproximateCreationDateTime"] = world.now() - 2
        push(newest)

        assert ("PushTime", "", 2_000) in measured()


class TestAFailure:
    @pytest.fixture
    def neighbour(self, world: World) -> Story:
        return Story(world, world.customer())

    def test_is_of_one_customer_alone_and_is_made_up_for(
        self, sockets: Sockets, gateway: Gateway, story: Story, neighbour: Story
    ) -> None:
        bad, good, others = sockets.opened(story.buyer), sockets.opened(story.buyer), sockets.opened(neighbour.buyer)
        buys(story)
        buys(neighbour)
        records = sockets.records(story.buyer, neighbour.buyer)
        *_, newest = sockets.records(story.buyer)
        gateway.failing = {bad}

        assert push(*records) == [number_of(newest)]
        assert [versions(gateway, tab) for tab in (bad, good, others)] == [[], [1], [1]]

        gateway.failing = set()
        assert push(*records[records.index(newest) :]) == []
        assert versions(gateway, bad) == [1]
        assert sockets.known(story.buyer) == {bad, good}

    def test_of_a_record_that_cannot_be_read_names_it_alone(
        self, sockets: Sockets, gateway: Gateway, story: Story
    ) -> None:
        tab = sockets.opened(story.buyer)
        buys(story)
        (poison,) = sample("push_billing_changes")["Records"]
        del poison["dynamodb"]["NewImage"]["billing_version"]

        assert push(poison, *sockets.records(story.buyer)) == [number_of(poison)]
        assert versions(gateway, tab) == [1]

    def test_of_time_leaves_the_rest_for_another_run(
        self, sockets: Sockets, gateway: Gateway, story: Story, neighbour: Story
    ) -> None:
        told, late = sockets.opened(story.buyer), sockets.opened(neighbour.buyer)
        buys(story)
        buys(neighbour)
        *_, newest = sockets.records(neighbour.buyer)

        failed = push(*sockets.records(story.buyer, neighbour.buyer), context=Context(30, 4))

        assert failed == [number_of(newest)]
        assert (versions(gateway, told), versions(gateway, late)) == ([1], [])


@contextmanager
def calls_to(world: World) -> Iterator[Counter[str]]:
    """Count the calls of each operation to the table while the block runs."""
    counted: Counter[str] = Counter()

    def note(model: Any, **_: Any) -> None:
        counted[model.name] += 1

    events = world.services.table.client.meta.events
    events.register("before-parameter-build.dynamodb", note)
    try:
        yield counted
    finally:
        events.unregister("before-parameter-build.dynamodb", note)


def of_customer(customer: str, number: int) -> dict[str, Any]:
    """Return the sample's record as one of another customer."""
    (record,) = sample("push_billing_changes")["Records"]
    record = json.loads(json.dumps(record).replace("CUSTOMER#ada", f"CUSTOMER#{customer}"))
    record["dynamodb"]["NewImage"]["customer_id"] = {"S": customer}
    record["dynamodb"]["SequenceNumber"] = str(number)
    return dict(record)


class TestTenThousandTabs:
    @pytest.fixture
    def ten_thousand_tabs(self, world: World, gateway: Gateway) -> list[str]:
        """Return 2,000 customers, who have five tabs each."""
        customers = [f"crowd-{world.customer()}" for _ in range(CUSTOMERS)]
        now, client, table = world.now(), boto3.client("dynamodb"), os.environ["PAIDUP_TABLE"]
        tabs = (
            Connection.opened(f"{customer}-{n}", customer, token_ends_at=now + 3_600, now=now)
            for customer in customers
            for n in range(TABS_EACH)
        )
        for some in batched(tabs, 25, strict=False):
            puts: Any = [{"PutRequest": {"Item": items.connection_items(one)[1]}} for one in some]
            assert not client.batch_write_item(RequestItems={table: puts})["UnprocessedItems"]
            gateway.opened |= {one.connection_id for one in some}
        return customers

    def test_cost_a_change_one_query_one_read_and_its_own_customers_posts(
        self, world: World, sockets: Sockets, gateway: Gateway, ten_thousand_tabs: list[str]
    ) -> None:
        changed, quiet = ten_thousand_tabs[::100], f"quiet-{world.customer()}"
        records = [of_customer(customer, n) for n, customer in enumerate([*changed, quiet])]

        with calls_to(world) as calls:
            assert push(*records) == []

        assert calls == {"Query": len(changed) + 1, "GetItem": len(changed)}
        assert gateway.posted.keys() == {f"{customer}-{n}" for customer in changed for n in range(TABS_EACH)}
        assert {len(messages) for messages in gateway.posted.values()} == {1}
        assert gateway.closed == []
