"""Support moves everything of one customer id to another, and what the provider reports later finds the new one."""

import os
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from paidup.flows.move import MoveResult, move
from paidup.model.errors import Malformed, NotFound
from paidup.model.move import BothBooked

from tests.functions.story import CARD, Story
from tests.functions.test_already_subscribed import page_without_checkout
from tests.handlers import request
from tests.world import World

DAY = 86_400
WHY = "signed up twice"


@pytest.fixture(autouse=True)
def quiet(world: World) -> Iterator[None]:
    """What a test left in the queue does not get into the next one."""
    yield
    boto3.client("sqs").purge_queue(QueueUrl=os.environ["PAIDUP_WEBHOOK_QUEUE_URL"])


@pytest.fixture
def other(world: World) -> str:
    """The customer who gets everything."""
    return world.customer()


def moved(story: Story, other: str) -> MoveResult:
    """Move everything of the story's buyer to *other*."""
    return move(story.buyer, other, story.world.services, reason=WHY, by="eve", now=story.world.now())


def of(story: Story, customer: str) -> dict[str, str]:
    """Return the purchases of *customer* and their states."""
    return {one["purchase_id"]: one["status"] for one in story.world.account(customer=customer)["purchases"]}


def rows(story: Story, customer: str) -> set[str]:
    """Return what lies under *customer* in the table, without what a move leaves behind."""
    table = story.world.services.table
    asked: Any = {":pk": {"S": f"CUSTOMER#{customer}"}}
    found = table.client.query(
        TableName=table.name, KeyConditionExpression="pk = :pk", ExpressionAttributeValues=asked
    )["Items"]
    return {one["sk"]["S"] for one in found if "moved_to" not in one}


def made_anew(story: Story) -> None:
    """Let the shop make the buyer's subscription again, with the metadata of the one before."""
    plan = story.plan()
    said = {f"metadata[{name}]": value for name, value in plan["metadata"].items()}
    price = plan["items"]["data"][0]["price"]
    recurring = {"recurring[interval]": "month", "unit_amount": price["unit_amount"], "currency": "eur"}
    product = story.post("products", name="Monthly", **{"metadata[offer_id]": "monthly"})
    item = {"items[0][price]": story.post("prices", product=product["id"], **recurring)["id"]}
    story.post("subscriptions", customer=plan["customer"], default_payment_method="pm_card_visa", **item, **said)


class TestAMove:
    @pytest.mark.parametrize("offer_id", ["ten_class_pass", "monthly", "try_monthly"])
    def test_takes_purchase_checkout_and_access_along(self, story: Story, other: str, offer_id: str) -> None:
        story.buys(offer_id)
        story.hear()
        before = story.account

        done = moved(story, other)

        after = story.world.account(customer=other)
        assert (done.purchases, done.checkouts) == (1, 1)
        assert after["access"] == before["access"]
        assert after["purchases"] == before["purchases"]
        assert after["billing_version"] == 1
        assert (story.account["access"], story.account["purchases"]) == ([], [])
        assert story.version == before["billing_version"] + 1
        assert rows(story, story.buyer) == {"ACCOUNT"}

    def test_takes_the_customers_at_the_provider_along(self, story: Story, other: str) -> None:
        story.buys("monthly")
        story.hear()
        ref = f"stripe#{story.customer()}"

        moved(story, other)

        table = story.world.services.table
        assert table.account(other).customers == {"stripe#-": ref}
        assert table.account(story.buyer).customers == {}
        found = table.find_owner(ref)
        assert found
        assert found.customer_id == other

    def test_keeps_the_new_customers_own_customer_at_the_provider(self, story: Story, other: str) -> None:
        story.buys("monthly")
        story.hear()
        story.world.buy("day_pass", customer=other)
        own = story.world.services.table.account(other).customers["stripe#-"]

        moved(story, other)

        table, theirs = story.world.services.table, story.customer()
        assert table.account(other).customers == {"stripe#-": own, f"stripe#{theirs}": f"stripe#{theirs}"}
        story.world.buy("ten_class_pass", customer=other)
        assert table.account(other).customers["stripe#-"] == own

    def test_takes_what_runs_along_so_that_it_is_not_sold_again(self, story: Story, other: str) -> None:
        story.buys("monthly")
        story.hear()

        moved(story, other)

        assert story.world.buy("yearly", customer=other).status == 409
        assert story.world.buy("yearly", customer=story.buyer).status == 201

    def test_takes_the_used_trial_along_and_leaves_it_too(self, story: Story, other: str) -> None:
        story.buys("try_monthly")
        story.hear()
        moved(story, other)
        story.cancel()
        story.hear()

        for customer in (story.buyer, other):
            assert story.world.buy("try_monthly", customer=customer).json["trial_days"] is None

    def test_takes_the_open_page_along(self, story: Story, other: str) -> None:
        story.opens("day_pass")

        moved(story, other)

        again = story.world.buy("day_pass", customer=other)
        assert (again.status, again.json["checkout_id"]) == (200, story.token["checkout_id"])
        assert story.world.account(customer=story.buyer).get("checkout") is None

    def test_closes_the_open_page_if_the_new_customer_has_one(self, story: Story, other: str) -> None:
        story.opens("day_pass")
        own = story.world.buy("day_pass", customer=other).json

        moved(story, other)
        story.world.sweep()

        assert story.session()["status"] == "expired"
        again = story.world.buy("day_pass", customer=other)
        assert (again.status, again.json["checkout_id"]) == (200, own["checkout_id"])

    def test_takes_a_waiting_booking_along(self, story: Story, other: str) -> None:
        story.buys("live_session")
        story.hear()

        moved(story, other)

        (booking,) = request("GET /bookings", customer=other).json["bookings"]
        assert booking["checkout_id"] == story.token["checkout_id"]
        accepted = request(f"POST /bookings/{booking['booking_id']}/accept", customer="host", roles="host")
        assert accepted.status == 200, accepted.text
        assert request("GET /bookings", customer=story.buyer).json["bookings"] == []

    def test_is_refused_while_both_have_a_booking(self, story: Story, other: str) -> None:
        story.buys("live_session")
        story.hear()
        theirs = story.world.buy("live_session", customer=other).json
        story.world.pay(theirs["url"], CARD)
        story.hear()

        with pytest.raises(BothBooked):
            moved(story, other)

        assert of(story, story.buyer) == {story.token["checkout_id"]: "active"}

    def test_takes_open_cases_along(self, story: Story, other: str) -> None:
        story.buys("ten_class_pass")
        story.hear()
        intent = story.session()["payment_intent"]["id"]
        story.post("refunds", payment_intent=intent, amount=500)
        story.hear()

        moved(story, other)

        cases = story.world.services.table.open_cases()
        owners = [one.customer_id for one in cases if one.purchase_id == story.token["checkout_id"]]
        assert owners == [other]

    def test_is_on_the_timeline_of_both(self, story: Story, other: str) -> None:
        story.buys("day_pass")
        story.hear()

        moved(story, other)

        table = story.world.services.table
        told_of = {story.buyer: f"moved to the customer {other!r}", other: f"moved from the customer {story.buyer!r}"}
        for customer, said in told_of.items():
            told = [one for one in table.timeline(customer) if one.change == said]
            assert {(one.decided_by, one.reason) for one in told} == {("eve", WHY)}
            assert story.token["checkout_id"] in {one.purchase_id for one in told}

    def test_done_twice_moves_nothing_more(self, story: Story, other: str) -> None:
        story.buys("monthly")
        story.hear()
        moved(story, other)
        table = story.world.services.table
        before = (table.account(other), table.account(story.buyer), rows(story, other), table.timeline(other))

        again = moved(story, other)

        assert (again.purchases, again.writes) == (0, 0)
        assert (table.account(other), table.account(story.buyer), rows(story, other), table.timeline(other)) == before

    def test_can_be_taken_back(self, story: Story, other: str) -> None:
        story.buys("monthly")
        story.world.pay(page_without_checkout(story, f"co_zz{story.buyer}", "gym", 900)["url"], CARD)
        story.hear()
        before = of(story, story.buyer)

        moved(story, other)
        move(other, story.buyer, story.world.services, reason="a mistake", by="eve", now=story.world.now())
        story.post(f"subscriptions/{story.plan()['id']}", cancel_at_period_end="true")
        story.hear()

        assert of(story, story.buyer) == before
        assert of(story, other) == {}

    @pytest.mark.parametrize("count", [6, 13])
    def test_of_many_purchases_takes_several_transactions(self, story: Story, other: str, count: int) -> None:
        for _ in range(count):
            story.buys("day_pass")
            story.hear()
            story.world.pass_time(200)

        done = moved(story, other)

        assert done.purchases == count
        assert done.writes > count // 4
        assert set(of(story, other).values()) == {"active"}
        assert of(story, story.buyer) == {}

    def test_in_the_midst_of_a_sweep_is_no_failure_of_it(self, story: Story, other: str) -> None:
        """What was due is due at its new place: the next run ends it."""
        story.buys("live_session")
        story.hear()
        story.world.pass_time(15 * 60 + 1)
        events = story.world.services.table.client.meta.events

        def move_first(**_: Any) -> None:
            events.unregister("before-call.dynamodb.TransactWriteItems", move_first)
            moved(story, other)

        events.register("before-call.dynamodb.TransactWriteItems", move_first)
        during = story.world.sweep()
        events.unregister("before-call.dynamodb.TransactWriteItems", move_first)
        story.world.sweep()

        assert during["failed"] == 0
        assert set(of(story, other).values()) <= {"refunded", "refunding"}
        assert of(story, story.buyer) == {}

    def test_that_was_stopped_is_finished_by_the_next(
        self, story: Story, other: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for _ in range(6):
            story.buys("day_pass")
            story.hear()
            story.world.pass_time(200)
        client, calls = story.world.services.table.client, []

        def stop(params: Any, **_: Any) -> None:
            calls.append(params)
            if len(calls) == 2:
                raise KeyboardInterrupt

        client.meta.events.register("before-call.dynamodb.TransactWriteItems", stop)
        try:
            with pytest.raises(KeyboardInterrupt):
                moved(story, other)
        finally:
            client.meta.events.unregister("before-call.dynamodb.TransactWriteItems", stop)
        assert len(of(story, other)) == 4

        rest = moved(story, other)

        assert rest.purchases == 2
        assert len(of(story, other)) == 6
        assert len(story.world.account(customer=other)["access"]) == 6

    def test_to_the_same_customer_is_refused(self, story: Story) -> None:
        story.buys("day_pass")
        story.hear()

        with pytest.raises(Malformed):
            moved(story, story.buyer)

    def test_of_nobody_is_refused(self, story: Story, other: str) -> None:
        with pytest.raises(NotFound):
            moved(story, other)


class TestWhatIsReportedAfterAMove:
    """The provider's metadata still names the customer from before."""

    def test_a_renewal_finds_the_new_customer(self, story: Story, other: str) -> None:
        story.buys("monthly")
        story.hear()
        moved(story, other)
        before = story.world.account(customer=other)["access"][0]["until"]
        story.world.pass_time(32 * DAY)
        story.hear()

        assert story.plan()["metadata"]["customer_id"] == story.buyer
        assert story.world.account(customer=other)["access"][0]["until"] > before
        assert of(story, story.buyer) == {}

    @pytest.mark.parametrize("offer_id", ["ten_class_pass", "monthly"])
    def test_a_refund_finds_the_new_customer(self, story: Story, other: str, offer_id: str) -> None:
        story.buys(offer_id)
        story.hear()
        moved(story, other)
        asked: Any = {"customer": story.customer()}
        (charge,) = story.world.stripe.v1.charges.list(asked).data
        story.post("refunds", charge=charge.id)
        story.hear()

        assert of(story, other) == {story.token["checkout_id"]: "refunded"}
        assert story.world.account(customer=other)["access"] == []
        assert of(story, story.buyer) == {}

    def test_a_dispute_finds_the_new_customer(self, story: Story, other: str) -> None:
        story.buys("ten_class_pass")
        story.hear()
        moved(story, other)
        asked: Any = {"customer": story.customer()}
        (charge,) = story.world.stripe.v1.charges.list(asked).data
        story.trigger("disputes", charge=charge.id)
        story.hear()

        assert of(story, other) == {story.token["checkout_id"]: "disputed"}

    @pytest.mark.parametrize("order", [1, -1])
    @pytest.mark.parametrize("offer_id", ["day_pass", "monthly"])
    def test_a_payment_on_a_page_that_was_open_finds_the_new_customer(
        self, story: Story, other: str, offer_id: str, order: int
    ) -> None:
        story.opens(offer_id)
        moved(story, other)
        story.pays()
        news = story.news()
        story.world.pass_time(10)

        for event in news[::order]:
            story.world.deliver(event)
            story.world.work_queue(100)

        assert of(story, other) == {story.token["checkout_id"]: "active"}
        assert of(story, story.buyer) == {}

    def test_what_nobody_knew_by_its_id_finds_the_new_customer(self, story: Story, other: str) -> None:
        """The shop made the subscription anew, with the metadata of the one before."""
        story.buys("monthly")
        story.hear()
        moved(story, other)
        made_anew(story)
        story.hear()

        assert of(story, other) == {story.token["checkout_id"]: "active"}
        assert of(story, story.buyer) == {}

    @pytest.mark.parametrize("order", [1, -1])
    def test_what_was_reported_before_changes_nothing_if_it_comes_again(
        self, story: Story, other: str, order: int
    ) -> None:
        story.buys("monthly")
        heard = story.news()
        story.world.pass_time(10)
        for event in heard:
            story.world.deliver(event)
        story.world.work_queue(100)
        moved(story, other)
        before = of(story, other)

        for number, event in enumerate(heard[::order]):
            story.world.deliver(event | {"id": f"evt_again{order}{number}{story.buyer}".replace("-", "")})
        story.world.work_queue(100)

        assert (of(story, other), of(story, story.buyer)) == (before, {})

    def test_the_old_customers_poll_finds_nothing(self, story: Story, other: str) -> None:
        story.buys("day_pass")
        story.hear()
        moved(story, other)

        assert request(f"GET /subscription-status/{story.token['checkout_id']}", customer=story.buyer).status == 404

    def test_a_sync_of_either_finds_nothing_new(self, story: Story, other: str) -> None:
        story.buys("monthly")
        story.hear()
        moved(story, other)
        before = of(story, other)

        for customer in (other, story.buyer):
            assert story.world.sync(customer=customer).json["granted"] == []

        assert (of(story, other), of(story, story.buyer)) == (before, {})

    def test_a_sync_finds_what_was_made_anew_and_names_the_old_customer(self, story: Story, other: str) -> None:
        story.buys("monthly")
        story.hear()
        moved(story, other)
        made_anew(story)

        story.world.sync(customer=other)

        assert sum(one["quantity"] for one in story.world.account(customer=other)["access"]) == 2
        assert of(story, story.buyer) == {}
