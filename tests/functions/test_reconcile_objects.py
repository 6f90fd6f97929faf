"""No event is ever made, so that no list of events helps either: once an hour, the objects themselves are read."""

import json
from typing import Any

import pytest

from tests.functions.merchant import GRACE, bill, change, customer_of, paid_with, price
from tests.functions.story import Story
from tests.functions.wire import Exchange, Wire, be_down
from tests.handlers import Context, invoke, sample
from tests.world import World

HOUR, DAY = 3_600, 86_400
RUN = "objects#stripe"


def read_objects(world: World, *time_left_s: float) -> Any:
    """Let EventBridge run reconcile_payments, and return what became of the objects."""
    return invoke("reconcile_payments", sample("reconcile_payments"), Context(*time_left_s))["objects"]


@pytest.fixture
def eventless(story: Story) -> Story:
    """A shop whose reconciler has read everything of before, at a Stripe that makes no events any more."""
    story.world.pass_time(HOUR)
    read_objects(story.world)
    story.world.faults(lose=1)
    return story


def channels(story: Story) -> set[tuple[str, str]]:
    """Return what registers changed on the buyer's timeline, and by which channel that was heard."""
    entries = story.world.services.table.timeline(story.buyer)
    return {(entry.register.partition("#")[0], entry.channel) for entry in entries}


class TestWhatHasNoEvent:
    def test_is_found_within_the_hour_when_it_is_a_payment(self, eventless: Story) -> None:
        eventless.buys("ten_class_pass")
        eventless.world.pass_time(HOUR)

        report = read_objects(eventless.world)

        assert set(eventless.access) == {"ten_class_pass"}
        assert (report["found"] >= 1, report["unfinished"]) == (True, False)
        assert ("payment", "reconciler") in channels(eventless)

    def test_is_found_when_it_is_an_invoice_that_the_merchant_wrote(self, eventless: Story) -> None:
        bill(eventless, customer_of(eventless), price(eventless, 12_000, every=None, sells="ten_class_pass"))
        eventless.world.pass_time(HOUR)

        read_objects(eventless.world)

        assert set(eventless.access) == {"ten_class_pass"}

    def test_is_found_with_its_right_end_when_it_is_a_subscription(self, eventless: Story) -> None:
        eventless.buys("monthly")
        eventless.world.pass_time(HOUR)

        read_objects(eventless.world)

        assert eventless.access == {"monthly": eventless.period_end() + GRACE}

    def test_is_found_when_it_is_a_change_of_a_subscription_older_than_a_month(self, eventless: Story) -> None:
        eventless.world.faults()
        eventless.buys("yearly")
        eventless.hear()
        eventless.world.pass_time(40 * DAY)
        read_objects(eventless.world)
        eventless.world.faults(lose=1)
        change(eventless, quantity=3)
        eventless.world.pass_time(HOUR)

        read_objects(eventless.world)

        assert [one["quantity"] for one in eventless.account["access"]] == [3]

    def test_is_found_when_it_is_the_end_of_a_subscription_older_than_a_month(self, eventless: Story) -> None:
        """Stripe lists no subscriptions by when they ended: what runs here and is not listed there is asked for."""
        eventless.world.faults()
        eventless.buys("yearly")
        eventless.hear()
        eventless.world.pass_time(40 * DAY)
        read_objects(eventless.world)
        eventless.world.faults(lose=1)
        eventless.cancel()
        eventless.world.pass_time(HOUR)

        read_objects(eventless.world)

        assert (eventless.purchase["status"], eventless.access) == ("canceled", {})

    @pytest.mark.parametrize("offer", ["ten_class_pass", "monthly"])
    def test_is_found_when_it_is_a_refund(self, eventless: Story, offer: str) -> None:
        eventless.world.faults()
        eventless.buys(offer)
        eventless.hear()
        eventless.world.faults(lose=1)
        paid = paid_with(eventless) if offer == "monthly" else eventless.session()["payment_intent"]["id"]
        eventless.post("refunds", payment_intent=paid)
        eventless.world.pass_time(HOUR)

        read_objects(eventless.world)

        assert (eventless.purchase["status"], eventless.access) == ("refunded", {})

    @pytest.mark.parametrize("offer", ["ten_class_pass", "yearly"])
    def test_is_found_when_it_is_a_dispute_and_when_that_is_won_after_three_months(
        self, eventless: Story, offer: str
    ) -> None:
        eventless.world.faults()
        eventless.buys(offer)
        eventless.hear()
        eventless.world.faults(lose=1)
        paid = paid_with(eventless) if offer == "yearly" else eventless.session()["payment_intent"]["id"]
        dispute = eventless.trigger("disputes", payment_intent=paid)["id"]
        eventless.world.pass_time(HOUR)

        read_objects(eventless.world)
        assert (eventless.purchase["status"], eventless.access) == ("disputed", {})

        eventless.world.pass_time(90 * DAY)
        read_objects(eventless.world)
        eventless.trigger(f"disputes/{dispute}/move", status="under_review")
        eventless.trigger(f"disputes/{dispute}/move", status="won")
        eventless.world.pass_time(HOUR)
        read_objects(eventless.world)
        assert len(eventless.access) == 1


def test_a_round_is_read_once_an_hour(eventless: Story, wire: Wire) -> None:
    eventless.world.pass_time(HOUR - 60)
    assert read_objects(eventless.world) == {
        "found": 0,
        "known": 0,
        "problems": 0,
        "unfinished": False,
        "taken": False,
    }
    assert wire.count("GET /v1/checkout/sessions?") == 0

    eventless.world.pass_time(60)
    read_objects(eventless.world)

    assert wire.count("GET /v1/checkout/sessions?") >= 1


def test_what_is_known_is_not_written_again(eventless: Story) -> None:
    eventless.world.faults()
    for offer in ("monthly", "ten_class_pass"):
        eventless.buys(offer)
        eventless.hear()
    eventless.world.pass_time(HOUR)
    read_objects(eventless.world)
    before = eventless.world.services.table.account(eventless.buyer)
    eventless.world.pass_time(HOUR)

    report = read_objects(eventless.world)

    assert report["known"] >= 3
    assert eventless.world.services.table.account(eventless.buyer) == before


def test_what_was_paid_a_moment_ago_is_left_to_its_webhook(eventless: Story) -> None:
    eventless.world.pass_time(HOUR)
    eventless.buys("ten_class_pass")

    read_objects(eventless.world)

    assert eventless.access == {}


def somebody_buys(world: World, offer_id: str = "day_pass") -> str:
    """Let a customer whom nobody else has buy, and return who it is."""
    buyer = world.customer()
    world.pay(world.buy(offer_id, customer=buyer).json["url"])
    return buyer


def without_access(world: World, buyers: list[str]) -> list[str]:
    return [one for one in buyers if not world.account(customer=one)["access"]]


class TestARunWithoutTime:
    def test_is_finished_by_the_next_five_minutes_later(self, eventless: Story, wire: Wire) -> None:
        world = eventless.world
        buyers = [somebody_buys(world) for _ in range(3)]
        world.pass_time(HOUR)
        to_the_pages = [200.0] * (
            6 + len(list(world.stripe.v1.subscriptions.list({"limit": 100}).auto_paging_iter())) * 2
        )

        first = read_objects(world, *to_the_pages, 5)
        left = without_access(world, buyers)
        wire.asked.clear()
        second = read_objects(world)

        assert (first["unfinished"], second["unfinished"]) == (True, False)
        assert 0 < len(left) < len(buyers)
        assert without_access(world, buyers) == []
        assert [one for one in wire.asked if one.startswith("GET /v1/checkout/sessions?") and "starting_after" in one]

    def test_leaves_what_was_made_meanwhile_to_the_next_round(self, eventless: Story) -> None:
        world = eventless.world
        buyers = [somebody_buys(world) for _ in range(2)]
        world.pass_time(HOUR)
        read_objects(world, 200, 200, 200, 200, 200, 5)
        late = somebody_buys(world)
        world.pass_time(300)

        read_objects(world)
        assert without_access(world, buyers) == []

        world.pass_time(HOUR)
        read_objects(world)
        assert without_access(world, [late]) == []


def test_another_run_leaves_it_alone(eventless: Story) -> None:
    table = eventless.world.services.table
    eventless.buys("ten_class_pass")
    eventless.world.pass_time(HOUR)
    now = eventless.world.now()
    table.claim_run(RUN, "another", until=now + 300, now=now)

    taken = read_objects(eventless.world)["taken"]
    nothing_yet = eventless.access
    eventless.world.pass_time(300)
    report = read_objects(eventless.world)

    assert (taken, nothing_yet, report["taken"]) == (True, {}, False)
    assert set(eventless.access) == {"ten_class_pass"}


class TestAnObjectThatCannotBeRead:
    def test_holds_up_no_other(self, eventless: Story, wire: Wire) -> None:
        somebody_buys(eventless.world)
        eventless.buys("ten_class_pass")
        broken = eventless.token["token"]
        other = somebody_buys(eventless.world)
        eventless.world.pass_time(HOUR)

        def break_one(exchange: Exchange) -> None:
            status, headers, text = exchange.forward()
            found = json.loads(text)
            for session in found["data"]:
                if session["id"] == broken:
                    session["amount_total"] = "a lot"
            exchange.answer(status, headers, json.dumps(found).encode())

        wire.inject("GET /v1/checkout/sessions?", break_one)
        report = read_objects(eventless.world)

        assert (without_access(eventless.world, [other]), eventless.access) == ([], {})
        assert (report["problems"], report["unfinished"]) == (1, False)

    def test_is_found_once_it_can_be(self, eventless: Story, wire: Wire) -> None:
        eventless.buys("ten_class_pass")
        eventless.world.pass_time(HOUR)
        wire.inject("GET /v1/checkout/sessions?", be_down)

        down = read_objects(eventless.world)
        wire.mend()
        up = read_objects(eventless.world)

        assert (down["unfinished"], up["unfinished"]) == (True, False)
        assert set(eventless.access) == {"ten_class_pass"}
