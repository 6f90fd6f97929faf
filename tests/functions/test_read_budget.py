"""The read budget: however many ask at once, Stripe is not asked more often than it may be, and polls come first."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from paidup.outside.dynamo import items

from tests.functions.clocks import Uptime
from tests.functions.door import listening, of_another_version, written
from tests.functions.wire import Exchange, Wire, wire_to
from tests.handlers import Answer, Context, invoke, sample
from tests.world import World

PER_SECOND, FOR_POLLS, BUYERS = 20, 10, 15
PAGES = "GET /v1/checkout/sessions/"


@pytest.fixture
def rationed(fresh_world: World, uptime: Uptime, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """The wire to Stripe, which takes 20 requests a second. Clocks stand still, also for those who wait."""
    monkeypatch.setenv("PAIDUP_READS_PER_SECOND", str(PER_SECOND))
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with wire_to(f"{fresh_world.fakes.url}/stripe") as made:
        monkeypatch.setenv("PAIDUP_STRIPE_API_BASE", made.url)
        yield made


@pytest.fixture
def lost(fresh_world: World, rationed: Wire) -> dict[str, str]:
    """Buyers who have all paid, each with the checkout's id. No webhook has told."""
    paid = {}
    for n in range(BUYERS):
        token = fresh_world.buy("day_pass", customer=f"buyer-{n}").json
        fresh_world.pay(token["url"])
        paid[f"buyer-{n}"] = token["checkout_id"]
    fresh_world.pass_time(130)
    rationed.asked.clear()
    return paid


def polled(world: World, lost: dict[str, str]) -> list[str]:
    """Let every buyer poll, and return what they are told."""
    return [world.status(checkout_id, customer=buyer)["state"] for buyer, checkout_id in lost.items()]


def reconcile() -> Any:
    return invoke("reconcile_payments", sample("reconcile_payments"), Context())


def assert_postponed(answer: Answer) -> None:
    assert answer.status == 429, answer.text
    assert int(answer.headers["retry-after"]) >= 1


def too_many(exchange: Exchange) -> None:
    exchange.answer(429, [], b'{"error": {"type": "rate_limit_error", "message": "Too many requests."}}')


def test_fifty_at_once_never_ask_more_often_than_they_may(
    fresh_world: World, lost: dict[str, str], rationed: Wire
) -> None:
    polls = [lambda b=b, c=c: fresh_world.status(c, customer=b) for b, c in lost.items()]
    syncs = [lambda b=b: fresh_world.sync(customer=b) for b in lost] * 2
    sweeps = [fresh_world.sweep] * 5
    crowd = [one for turn in zip(syncs, polls * 2, strict=True) for one in turn][:45] + sweeps

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda one: one(), crowd))

    assert len(found) == 50
    assert len(rationed.asked) <= PER_SECOND


def test_polls_get_their_share_after_all_others_have_taken_theirs(
    fresh_world: World, lost: dict[str, str], rationed: Wire
) -> None:
    assert fresh_world.sweep()["unfinished"] is True
    assert len(rationed.asked) == PER_SECOND - FOR_POLLS
    assert_postponed(fresh_world.sync(customer="buyer-0"))
    assert reconcile()["unfinished"] is True
    assert len(rationed.asked) == PER_SECOND - FOR_POLLS

    states = polled(fresh_world, lost)

    assert len(rationed.asked) <= PER_SECOND
    assert rationed.count(PAGES) == BUYERS
    assert set(states) == {"active"}


def test_a_poll_without_a_budget_is_told_what_the_table_knows_and_comes_again(
    fresh_world: World, lost: dict[str, str], rationed: Wire
) -> None:
    others = {f"{buyer}-b": fresh_world.buy("day_pass", customer=f"{buyer}-b").json["checkout_id"] for buyer in lost}
    fresh_world.pass_time(3)
    rationed.asked.clear()
    polled(fresh_world, others)
    states = polled(fresh_world, lost)
    assert (states.count("active"), states.count("confirming")) == (5, 10)
    assert len(rationed.asked) == PER_SECOND

    fresh_world.pass_time(3)

    assert set(polled(fresh_world, lost)) == {"active"}


def test_the_next_run_goes_on_with_what_was_left(fresh_world: World, lost: dict[str, str], rationed: Wire) -> None:
    first = fresh_world.sweep()
    fresh_world.pass_time(60)
    second = fresh_world.sweep()

    assert (first["spent"], first["failed"], second["unfinished"]) == (True, 0, False)
    assert all(fresh_world.account(customer=buyer)["access"] for buyer in lost)


def test_a_sweep_waits_for_the_next_second_and_ends_in_one_run(
    fresh_world: World,
    lost: dict[str, str],
    rationed: Wire,
    uptime: Uptime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        uptime.now += seconds

    monkeypatch.setattr(time, "sleep", sleep)

    report = fresh_world.sweep()

    assert (report["unfinished"], waits) == (False, [1.0])
    assert all(fresh_world.account(customer=buyer)["access"] for buyer in lost)


@pytest.fixture
def unhurried(
    fresh_world: World, lost: dict[str, str], rationed: Wire, uptime: Uptime, monkeypatch: pytest.MonkeyPatch
) -> Wire:
    """The wire to Stripe, which takes two requests a second, one of them a poll's. Who waits lets time pass."""

    def sleep(seconds: float) -> None:
        uptime.now += seconds
        fresh_world.pass_time(int(seconds))

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setenv("PAIDUP_READS_PER_SECOND", "2")
    return rationed


class TestWhoHasMuchToAskGoesOnSecondAfterSecond:
    """No later part of a run may take the run's first second for the present: the budget of that second is spent."""

    def test_the_sweep_with_its_next_page(self, fresh_world: World, unhurried: Wire) -> None:
        report = fresh_world.sweep()

        assert (report["unfinished"], report["looked"]) == (False, BUYERS)
        assert unhurried.count(PAGES) == BUYERS

    def test_the_reconciler_with_the_objects_after_the_events(self, fresh_world: World, unhurried: Wire) -> None:
        report = reconcile()

        assert (report["unfinished"], report["found"]) == (False, BUYERS)
        assert (report["objects"]["unfinished"], report["objects"]["problems"]) == (False, 0)


class TestARefusalOfStripes:
    def test_lets_everybody_wait(self, fresh_world: World, lost: dict[str, str], rationed: Wire) -> None:
        rationed.inject(PAGES, too_many)
        first, second = list(lost.items())[:2]
        assert polled(fresh_world, dict([first])) == ["confirming"]
        rationed.mend()
        rationed.asked.clear()

        assert polled(fresh_world, dict([second])) == ["confirming"]
        assert_postponed(fresh_world.sync(customer=second[0]))
        assert fresh_world.sweep()["unfinished"] is True
        assert reconcile()["unfinished"] is True
        assert rationed.asked == []

        fresh_world.pass_time(3)
        assert polled(fresh_world, dict([second])) == ["active"]

    def test_lets_everybody_wait_as_long_as_it_says(
        self, fresh_world: World, lost: dict[str, str], rationed: Wire
    ) -> None:
        rationed.inject(PAGES, lambda exchange: exchange.answer(429, [("Retry-After", "30")], b'{"error": {}}'))
        fresh_world.sweep()
        rationed.mend()

        answer = fresh_world.sync(customer="buyer-3")

        assert (answer.status, answer.headers["retry-after"]) == (429, "30")

    def test_of_a_new_checkout_says_that_it_can_be_tried_again(self, fresh_world: World, rationed: Wire) -> None:
        rationed.inject(
            "POST /v1/customers", lambda exchange: exchange.answer(429, [("Retry-After", "7")], b'{"error": {}}')
        )

        answer = fresh_world.buy()

        assert (answer.status, answer.headers["retry-after"]) == (503, "7")
        rationed.mend()
        waits = fresh_world.sync()
        assert (waits.status, waits.headers["retry-after"]) == (429, "7")

    @pytest.mark.parametrize(
        "header", [("Stripe-Should-Retry", "true"), ("Stripe-Rate-Limited-Reason", "resource-specific")]
    )
    def test_of_one_object_lets_nobody_wait(
        self, fresh_world: World, lost: dict[str, str], rationed: Wire, header: tuple[str, str]
    ) -> None:
        busy = [header, ("Retry-After", "30")]
        rationed.inject(PAGES, lambda exchange: exchange.answer(429, busy, b'{"error": {"code": "lock_timeout"}}'))
        fresh_world.sweep()
        rationed.mend()
        fresh_world.pass_time(3)

        assert fresh_world.sync(customer="buyer-3").status == 200

    @pytest.mark.parametrize(("reason", "waits"), [("endpoint-rate", False), ("global-rate", True)])
    def test_of_what_is_written_is_about_reading_only_if_it_is_about_everything(
        self, fresh_world: World, rationed: Wire, reason: str, *, waits: bool
    ) -> None:
        refusal = [("Stripe-Rate-Limited-Reason", reason), ("Retry-After", "30")]
        rationed.inject("POST /v1/customers", lambda exchange: exchange.answer(429, refusal, b'{"error": {}}'))
        assert fresh_world.buy().status == 503
        rationed.mend()

        assert fresh_world.sync().status == (429 if waits else 200)

    def test_of_a_webhook_lets_everybody_wait_too(
        self, fresh_world: World, lost: dict[str, str], rationed: Wire
    ) -> None:
        token = fresh_world.buy("monthly", customer="eve").json
        fresh_world.pay(token["url"])
        (event,) = fresh_world.events(types=["checkout.session.completed"])[-1:]
        rationed.inject("GET", lambda exchange: exchange.answer(429, [("Retry-After", "9")], b'{"error": {}}'))
        fresh_world.deliver(of_another_version(event))
        rationed.mend()

        waits = fresh_world.sync(customer="buyer-3")

        assert (waits.status, waits.headers["retry-after"]) == (429, "9")


def test_no_webhook_waits_for_the_budget(fresh_world: World, lost: dict[str, str], rationed: Wire) -> None:
    fresh_world.sweep()
    polled(fresh_world, lost)
    token = fresh_world.buy("monthly", customer="eve").json
    fresh_world.pay(token["url"])

    for event in fresh_world.events(types=["checkout.session.completed"])[-1:]:
        assert fresh_world.deliver(of_another_version(event)).json["received"] == "settled"

    assert fresh_world.account(customer="eve")["access"]


@contextmanager
def budget_unreachable(world: World) -> Iterator[None]:
    """Let nobody read or write the budget while the block runs."""

    def refuse(params: Any, **_: Any) -> None:
        if params.get("Item", params.get("Key", {})).get("sk") == {"S": "BUDGET"}:
            raise EndpointConnectionError(endpoint_url="dynamodb")

    with listening(world, "before-parameter-build.dynamodb", refuse):
        yield


def test_without_the_table_polls_go_on_and_all_others_wait(
    fresh_world: World, lost: dict[str, str], rationed: Wire
) -> None:
    with budget_unreachable(fresh_world):
        assert_postponed(fresh_world.sync(customer="buyer-0"))
        assert fresh_world.sweep()["unfinished"] is True
        assert rationed.asked == []

        assert set(polled(fresh_world, lost)) == {"active"}


def used(world: World) -> int:
    """Return how many requests the month of the budget counts."""
    table = world.services.table
    key = items.serialize(items.budget_key("stripe"))
    item = table.client.get_item(TableName=table.name, Key=key)["Item"]
    return int(item["used"]["N"])


def test_the_month_counts_what_a_run_asked_and_not_what_it_took(
    fresh_world: World, lost: dict[str, str], rationed: Wire
) -> None:
    """A run that asks once would else use the month up five times as fast."""
    for _ in range(3):
        fresh_world.pass_time(300)
        reconcile()
    fresh_world.sweep()
    fresh_world.sync(customer="buyer-0")

    assert used(fresh_world) == len(rationed.asked)


class TestWhatItCosts:
    def test_five_polls_take_one_write(self, fresh_world: World, lost: dict[str, str]) -> None:
        with written(fresh_world) as calls:
            polled(fresh_world, dict(list(lost.items())[:5]))

        assert [rows for _, rows in calls].count({"SWEEP#stripe"}) == 1

    def test_a_purchase_that_a_webhook_told_takes_none(self, fresh_world: World, rationed: Wire) -> None:
        with written(fresh_world) as calls:
            token = fresh_world.buy().json
            fresh_world.pay(token["url"])
            fresh_world.hear_everything()
            assert fresh_world.status(token["checkout_id"])["state"] == "active"

        assert {"SWEEP#stripe"} not in [rows for _, rows in calls]
