"""bookings: a live session that was paid for waits to be accepted, takes place, or gives money and slot back."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any

import boto3
import pytest
from paidup.flows import book
from paidup.flows.expire import expire
from paidup.model.booking import BookingClosed
from paidup.model.offer import Kind
from paidup.outside.dynamo import items

from tests.functions.clocks import Skewed
from tests.functions.door import hear, refund_by_hand, refunds, told, written
from tests.functions.wire import Wire, be_down
from tests.handlers import Answer, request
from tests.world import LIVE, World

MINUTE = 60
MIA, MAX = "mia", "max"


@pytest.fixture
def credited(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("PAIDUP_UNACCEPTED_BOOKINGS", "credit")
    return world


def paid(world: World, buyer: str, offer_id: str = "live_session") -> Any:
    """Let *buyer* pay, and Stripe tell of it; returns the payment token."""
    answer = world.buy(offer_id, customer=buyer)
    assert answer.status == 201, answer.text
    world.pay(answer.json["url"])
    hear(world, answer.json["token"])
    return answer.json


def own(buyer: str, **query: Any) -> Any:
    """Return the buyer's bookings."""
    return request("GET /bookings", customer=buyer, query=query).json["bookings"]


def page_of(status: str, who: str, **query: Any) -> Any:
    """Return a page of bookings of that status, as *who* accepts bookings sees it."""
    asked = {"status": status, **query}
    found = request("GET /bookings", customer=who, roles="customer,host", query=asked)
    assert found.status == 200, found.text
    return found.json


def waiting(**query: Any) -> Any:
    """Return a page of who waits."""
    return page_of("waiting", MIA, **query)


def live_with(who: str) -> list[str]:
    """Return the ids of what *who* accepted and has not ended, a page at a time."""
    page = page_of("live", who, limit=1)
    found = [one["booking_id"] for one in page["bookings"]]
    while page.get("next"):
        page = page_of("live", who, limit=1, after=page["next"])
        found += [one["booking_id"] for one in page["bookings"]]
    return found


def everyone_who_waits() -> list[str]:
    """Return the ids of all who wait, page after page."""
    page = waiting(limit=100)
    found = page["bookings"]
    while page.get("next"):
        page = waiting(limit=100, after=page["next"])
        found += page["bookings"]
    return [one["booking_id"] for one in found]


def act(what: str, booking_id: str, who: str, roles: str = "host") -> Answer:
    """Accept, finish or cancel a booking."""
    return request(f"POST /bookings/{booking_id}/{what}", customer=who, roles=roles)


def assert_conflict(found: Answer, *words: str) -> None:
    """Check that the answer is a 409 whose sentence says what happened instead, and what to do."""
    assert found.status == 409, found.text
    assert found.headers["content-type"] == "application/problem+json"
    assert found.json["next"].endswith(".")
    for word in words:
        assert word in found.json["detail"]


def wait_until_expired(world: World) -> None:
    world.pass_time(15 * MINUTE)


class TestAPaidLiveSession:
    def test_waits_for_fifteen_minutes_after_it_was_paid(self, world: World, buyer: str) -> None:
        token = paid(world, buyer)
        (booking,) = own(buyer)
        account = world.account(customer=buyer)
        (purchase,) = account["purchases"]
        assert booking["booking_id"] == booking["checkout_id"] == booking["purchase_id"] == token["checkout_id"]
        assert (booking["status"], booking["offer_id"]) == ("waiting", "live_session")
        assert booking["accept_by"] == purchase["paid_at"] + 15 * MINUTE == world.now() + 15 * MINUTE
        assert booking["remaining_s"] == 15 * MINUTE
        assert account["booking"] == booking
        assert purchase["status"] == "active"

    def test_is_booked_once_however_often_it_is_heard_of(self, world: World, buyer: str) -> None:
        token = paid(world, buyer)
        hear(world, token["token"])
        assert world.sync(customer=buyer).status == 200
        assert len(own(buyer)) == 1

    @pytest.mark.parametrize("late_s", [100, 10 * MINUTE, 50 * MINUTE])
    def test_heard_of_late_waits_from_then_on(self, world: World, buyer: str, late_s: int) -> None:
        token = world.buy("live_session", customer=buyer).json
        world.pay(token["url"])
        events = told(world, token["token"])
        world.pass_time(late_s)
        for event in events:
            world.deliver(event)
        (booking,) = own(buyer)
        assert (booking["status"], booking["accept_by"]) == ("waiting", world.now() + 15 * MINUTE)

    def test_heard_of_too_late_is_given_back_at_once(self, world: World, buyer: str) -> None:
        token = world.buy("live_session", customer=buyer).json
        world.pay(token["url"])
        events = told(world, token["token"])
        world.pass_time(70 * MINUTE)
        for event in events:
            world.deliver(event)
        world.sweep()
        assert refunds(world, token) == [6_500]
        assert own(buyer)[0]["status"] == "expired"


class TestTheList:
    def test_shows_who_waits_the_longest_first_page_after_page(self, world: World) -> None:
        tokens = []
        for _ in range(3):
            tokens.append(paid(world, world.customer()))
            world.pass_time(2)
        ids = [token["checkout_id"] for token in tokens]
        assert [one for one in everyone_who_waits() if one in ids] == ids
        seen, page = [], waiting(limit=1)
        while True:
            assert len(page["bookings"]) <= 1
            seen += [one["booking_id"] for one in page["bookings"]]
            if not page.get("next"):
                break
            page = waiting(limit=1, after=page["next"])
        assert [one for one in seen if one in ids] == ids

    def test_leaves_out_who_has_waited_too_long_already(self, world: World, buyer: str) -> None:
        token = paid(world, buyer)
        assert token["checkout_id"] in everyone_who_waits()
        wait_until_expired(world)
        assert token["checkout_id"] not in everyone_who_waits()

    def test_shows_customers_their_own_alone(self, world: World, buyer: str) -> None:
        token = paid(world, buyer)
        assert own(world.customer()) == []
        assert own(world.customer(), status="waiting") == []
        assert [one["booking_id"] for one in own(buyer, status="waiting")] == [token["checkout_id"]]

    def test_shows_customers_what_is_over_too(self, world: World, buyer: str) -> None:
        token = paid(world, buyer)
        wait_until_expired(world)
        assert [(one["booking_id"], one["status"]) for one in own(buyer)] == [(token["checkout_id"], "expired")]
        assert own(buyer, status="waiting") == []

    @pytest.mark.parametrize("after", ["x", "e30=", "eyJwayI6MSwic2siOjEsInJlZiI6MSwicmVmX2F0IjoieCJ9"])
    def test_refuses_a_page_token_of_somebodys_own(self, world: World, after: str) -> None:
        found = request("GET /bookings", customer=MIA, roles="host", query={"status": "waiting", "after": after})
        assert found.status == 422, found.text
        assert found.json["field"] == "after"

    def test_refuses_a_page_token_that_leads_elsewhere(self, world: World, buyer: str) -> None:
        """The index holds more than bookings: nobody pages into that."""
        token = "eyJwayI6ICJhIiwgInNrIjogImIiLCAicmVmIjogImF0dGVudGlvbiIsICJyZWZfYXQiOiAxfQ=="
        query = {"status": "waiting", "after": token}
        found = request("GET /bookings", customer=MIA, roles="host", query=query)
        assert found.status == 422, found.text

    @pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 101}, {"limit": "x"}])
    def test_names_what_is_malformed(self, world: World, buyer: str, query: dict[str, Any]) -> None:
        found = request("GET /bookings", customer=buyer, query=query)
        assert found.status == 422
        assert found.json["field"] == next(iter(query))

    @pytest.mark.parametrize("roles", ["customer", "host"])
    @pytest.mark.parametrize("status", ["finished", "Live", "", "waiting,live"])
    def test_of_another_status_is_refused_with_those_that_there_are(
        self, world: World, buyer: str, roles: str, status: str
    ) -> None:
        found = request("GET /bookings", customer=buyer, roles=roles, query={"status": status})
        assert (found.status, found.json["field"]) == (422, "status"), found.text
        assert "'waiting' or 'live'" in found.json["detail"]


class TestTheListOfWhoAccepted:
    """Whoever accepted a booking and lost their tab finds it again."""

    def test_shows_what_they_accepted_the_first_accepted_first_until_it_ends(self, world: World) -> None:
        mia, max_ = world.customer(), world.customer()
        ids = []
        for _ in range(4):
            ids.append(paid(world, world.customer())["checkout_id"])
            world.pass_time(2)
        first, second, third, of_max = ids
        for one, who in ((third, mia), (of_max, max_), (first, mia), (second, mia)):
            assert act("accept", one, who).status == 200
            world.pass_time(2)
        assert live_with(mia) == [third, first, second]
        assert live_with(max_) == [of_max]
        assert act("finish", first, mia).status == 200
        assert live_with(mia) == [third, second]
        assert act("cancel", third, mia).status == 200
        world.pass_time(86_400)
        world.sweep()
        assert live_with(mia) == live_with(max_) == []

    def test_shows_customers_their_own_that_was_accepted(self, world: World, buyer: str) -> None:
        mia, token = world.customer(), paid(world, buyer)
        assert own(buyer, status="live") == []
        act("accept", token["checkout_id"], mia)
        assert [one["booking_id"] for one in own(buyer, status="live")] == [token["checkout_id"]]
        assert own(mia, status="live") == []

    def test_refuses_a_page_of_somebody_elses(self, world: World) -> None:
        mia, max_ = world.customer(), world.customer()
        for _ in range(2):
            act("accept", paid(world, world.customer())["checkout_id"], mia)
        query = {"status": "live", "after": page_of("live", mia, limit=1)["next"]}
        found = request("GET /bookings", customer=max_, roles="host", query=query)
        assert (found.status, found.json["field"]) == (422, "after")


class TestAccepting:
    def test_makes_it_live(self, world: World, buyer: str) -> None:
        token = paid(world, buyer)
        found = act("accept", token["checkout_id"], MIA)
        assert found.status == 200
        assert (found.json["status"], found.json["remaining_s"]) == ("live", 0)
        assert world.account(customer=buyer)["booking"]["status"] == "live"
        assert token["checkout_id"] not in everyone_who_waits()
        assert act("accept", token["checkout_id"], MIA).json == found.json

    def test_is_for_one_of_many_at_once(self, world: World, buyer: str) -> None:
        token = paid(world, buyer)
        services, now, together = world.services, world.now(), Barrier(4)

        def accept(who: str) -> str | None:
            together.wait()
            try:
                return book.accept(token["checkout_id"], who, services, now=now).host
            except BookingClosed:
                return None

        with ThreadPoolExecutor(4) as hosts:
            found = list(hosts.map(accept, ["a", "b", "c", "d"]))
        (winner,) = [who for who in found if who]
        loser = act("accept", token["checkout_id"], "e")
        assert_conflict(loser, token["checkout_id"], "was accepted by somebody a moment ago")
        assert act("finish", token["checkout_id"], winner).status == 200

    def test_is_not_for_customers(self, world: World, buyer: str) -> None:
        token = paid(world, buyer)
        for what in ("accept", "finish"):
            assert act(what, token["checkout_id"], buyer, roles="customer").status == 403
        assert own(buyer)[0]["status"] == "waiting"

    def test_comes_too_late_after_fifteen_minutes_swept_or_not(self, world: World, buyer: str) -> None:
        token = paid(world, buyer)
        wait_until_expired(world)
        assert_conflict(act("accept", token["checkout_id"], MIA), "not accepted in time")
        world.sweep()
        assert_conflict(act("accept", token["checkout_id"], MIA), "not accepted in time")

    @pytest.mark.parametrize("what", ["accept", "finish", "cancel"])
    def test_finds_nothing_where_nothing_is(self, world: World, what: str) -> None:
        assert act(what, "co_of_nobody", MIA).status == 404

    @pytest.mark.parametrize("once_more", range(8))
    def test_in_the_last_second_and_the_sweep_after_it_at_once_never_both_win(
        self, world: World, buyer: str, once_more: int
    ) -> None:
        token = paid(world, buyer)
        services, deadline, together = world.services, own(buyer)[0]["accept_by"], Barrier(2)

        def accept() -> bool:
            together.wait()
            try:
                book.accept(token["checkout_id"], MIA, services, now=deadline - 1)
            except BookingClosed:
                return False
            return True

        def sweep() -> None:
            together.wait()
            expire(services, now=deadline, time_left=lambda: 60.0)

        with ThreadPoolExecutor(2) as both:
            accepted, swept = both.submit(accept), both.submit(sweep)
            swept.result()
        assert own(buyer)[0]["status"] == ("live" if accepted.result() else "expired")
        assert refunds(world, token) == ([] if accepted.result() else [6_500])


class TestFinishing:
    def test_uses_the_pass_up_and_frees_the_slot(self, world: World, buyer: str) -> None:
        token = paid(world, buyer)
        act("accept", token["checkout_id"], MIA)
        before = world.account(customer=buyer)
        found = act("finish", token["checkout_id"], MIA)
        assert (found.status, found.json["status"]) == (200, "finished")
        account = world.account(customer=buyer)
        assert account.get("booking") is None
        assert account["access"] == []
        assert [one["status"] for one in account["purchases"]] == ["ended"]
        assert account["billing_version"] == before["billing_version"] + 1
        assert act("finish", token["checkout_id"], MIA).json == found.json
        assert world.buy("live_session", customer=buyer).status == 201
        world.sweep()
        assert refunds(world, token) == []

    def test_by_the_clock_after_a_day_uses_the_pass_up_too(self, world: World, buyer: str) -> None:
        token = paid(world, buyer)
        act("accept", token["checkout_id"], MIA)
        world.pass_time(86_400)
        world.sweep()
        assert own(buyer)[0]["status"] == "finished"
        assert [one["status"] for one in world.account(customer=buyer)["purchases"]] == ["ended"]
        assert world.buy("live_session", customer=buyer).status == 201

    def test_is_for_the_one_who_accepted(self, world: World, buyer: str) -> None:
        token = paid(world, buyer)
        assert_conflict(act("finish", token["checkout_id"], MIA), "has not been accepted yet")
        act("accept", token["checkout_id"], MIA)
        for what in ("finish", "cancel"):
            assert_conflict(act(what, token["checkout_id"], MAX), "accepted by somebody else")
        assert own(buyer)[0]["status"] == "live"

    def test_is_not_undone_by_what_stripe_says_again(self, world: World, buyer: str) -> None:
        token = paid(world, buyer)
        act("accept", token["checkout_id"], MIA)
        act("finish", token["checkout_id"], MIA)
        world.sync(customer=buyer)
        assert world.account(customer=buyer).get("booking") is None
        assert own(buyer)[0]["status"] == "finished"


class TestCancelling:
    def test_while_it_waits_gives_all_back_with_the_next_sweep(self, world: World, buyer: str) -> None:
        token = paid(world, buyer)
        found = act("cancel", token["checkout_id"], buyer, roles="customer")
        assert (found.status, found.json["status"]) == (200, "cancelled")
        assert found.json["if_called_off"] == "refunded"
        assert world.account(customer=buyer).get("booking") is None
        assert world.account(customer=buyer)["access"] == []
        assert act("cancel", token["checkout_id"], buyer, roles="customer").json == found.json
        world.sweep()
        assert refunds(world, token) == [6_500]
        assert world.status(token["checkout_id"], customer=buyer)["state"] == "refunded"
        world.sweep()
        assert refunds(world, token) == [6_500]

    def test_is_too_late_once_it_is_accepted(self, world: World, buyer: str) -> None:
        token = paid(world, buyer)
        act("accept", token["checkout_id"], MIA)
        assert_conflict(act("cancel", token["checkout_id"], buyer, roles="customer"), "was accepted by somebody")
        assert own(buyer)[0]["status"] == "live"

    def test_by_the_one_who_accepted_gives_all_back(self, world: World, buyer: str) -> None:
        token = paid(world, buyer)
        act("accept", token["checkout_id"], MIA)
        assert act("cancel", token["checkout_id"], MIA).json["status"] == "cancelled"
        world.sweep()
        assert refunds(world, token) == [6_500]

    def test_finds_no_booking_of_somebody_elses(self, world: World, buyer: str) -> None:
        token = paid(world, buyer)
        assert act("cancel", token["checkout_id"], world.customer(), roles="customer").status == 404
        assert_conflict(act("cancel", token["checkout_id"], MIA))
        assert own(buyer)[0]["status"] == "waiting"


class TestABookingThatNobodyAccepted:
    def test_lapses_within_the_minute_and_gives_all_back(self, world: World, buyer: str) -> None:
        token = paid(world, buyer)
        assert world.account(customer=buyer)["booking"]["if_called_off"] == "refunded"
        wait_until_expired(world)
        world.sweep()
        assert (own(buyer)[0]["status"], own(buyer)[0]["if_called_off"]) == ("expired", "refunded")
        assert refunds(world, token) == [6_500]
        account = world.account(customer=buyer)
        assert account.get("booking") is None
        assert account["access"] == []
        assert [one["status"] for one in account["purchases"]] == ["refunded"]
        assert world.buy("live_session", customer=buyer).status == 201

    def test_is_purged_in_the_end(self, world: World, buyer: str) -> None:
        token = paid(world, buyer)
        key = items.serialize(items.booking_key(buyer, token["checkout_id"]))
        dynamodb, table = boto3.client("dynamodb"), os.environ["PAIDUP_TABLE"]
        assert "purge_at" not in dynamodb.get_item(TableName=table, Key=key)["Item"]
        wait_until_expired(world)
        world.sweep()
        row = items.deserialize(dynamodb.get_item(TableName=table, Key=key)["Item"])
        assert row["purge_at"] == row["ended_at"] + 90 * 86_400
        assert "ref" not in row
        assert "due_at" not in row

    def test_leaves_the_slot_free_though_stripe_is_down(self, world: World, buyer: str, wire: Wire) -> None:
        token = paid(world, buyer)
        wait_until_expired(world)
        wire.inject("POST /v1/refunds", be_down)
        world.sweep()
        assert own(buyer)[0]["status"] == "expired"
        assert world.status(token["checkout_id"], customer=buyer)["purchase"]["status"] == "refunding"
        wire.mend()
        assert world.buy("live_session", customer=buyer).status == 201
        world.pass_time(2 * MINUTE)
        world.sweep()
        assert refunds(world, token) == [6_500]


class TestBuyingAgain:
    def test_calls_a_stale_one_off_on_the_way(self, world: World, buyer: str) -> None:
        """No sweep has run: the click itself frees the slot."""
        token = paid(world, buyer)
        wait_until_expired(world)
        again = world.buy("live_session", customer=buyer)
        assert again.status == 201
        stored = world.services.table.booking(buyer, token["checkout_id"])
        assert stored
        assert stored.status == "expired"
        world.pay(again.json["url"])
        hear(world, again.json["token"])
        world.sweep()
        assert refunds(world, token) == [6_500]
        assert refunds(world, again.json) == []
        assert world.account(customer=buyer)["booking"]["booking_id"] == again.json["checkout_id"]

    def test_calls_a_stale_one_off_in_the_transaction_that_reserves_the_new_one(self, world: World, buyer: str) -> None:
        token = paid(world, buyer)
        wait_until_expired(world)
        with written(world) as calls:
            again = world.buy("live_session", customer=buyer).json
        stale, new = f"BOOKING#{token['checkout_id']}", f"CHECKOUT#{again['checkout_id']}"
        (first, *later) = [rows for _, rows in calls]
        assert {"ACCOUNT", stale, f"PURCHASE#{token['checkout_id']}", new} <= first
        assert all(stale not in rows for rows in later)
        assert {name for name, _ in calls} == {"TransactWriteItems"}

    def test_with_a_waiting_one_names_it(self, world: World, buyer: str) -> None:
        token = paid(world, buyer)
        found = world.buy("live_session", customer=buyer)
        assert_conflict(found, token["checkout_id"], "waits to be accepted")
        assert "cancel it first" in found.json["next"]

    def test_with_a_live_one_names_it_and_all_else_is_sold_as_ever(self, world: World, buyer: str) -> None:
        token = paid(world, buyer)
        act("accept", token["checkout_id"], MIA)
        found = world.buy("live_session", customer=buyer)
        assert_conflict(found, token["checkout_id"], "is live now")
        assert "passes and subscriptions can be bought" in found.json["next"]
        paid(world, buyer, "day_pass")
        paid(world, buyer, "monthly")
        account = world.account(customer=buyer)
        assert {one["offer_id"] for one in account["access"]} == {"live_session", "day_pass", "monthly"}
        assert account["booking"]["status"] == "live"

    def test_on_a_page_that_was_open_before_is_given_back(self, world: World, buyer: str) -> None:
        """One open booking per customer, whatever is paid in old tabs."""
        old = world.buy("double_session", customer=buyer).json
        world.pass_time(86_400 - 300)
        new = paid(world, buyer)
        world.pass_time(2)
        world.pay(old["url"])
        hear(world, old["token"])
        world.sweep()
        assert refunds(world, old) == [13_000]
        assert refunds(world, new) == []
        assert world.account(customer=buyer)["booking"]["booking_id"] == new["checkout_id"]

    def test_while_a_slow_bank_has_not_paid_the_other_gives_that_back(self, world: World, buyer: str) -> None:
        """Nobody changed their mind here: two sessions were bought, and one takes the slot."""
        slow = world.buy("double_session", customer=buyer).json
        world.pay(slow["url"], "delayed_success")
        hear(world, slow["token"])
        world.pass_time(3 * 86_400 - 60)
        new = paid(world, buyer)
        world.pass_time(120)
        hear(world, slow["token"])
        world.sweep()
        assert (refunds(world, slow), refunds(world, new)) == ([13_000], [])
        assert world.account(customer=buyer)["booking"]["booking_id"] == new["checkout_id"]


class TestOnCredit:
    def test_a_booking_that_nobody_accepted_leaves_the_pass_for_the_next_one(
        self, credited: World, buyer: str, wire: Wire
    ) -> None:
        token = paid(credited, buyer)
        assert credited.account(customer=buyer)["booking"]["if_called_off"] == "credited"
        wait_until_expired(credited)
        assert (own(buyer)[0]["status"], own(buyer)[0]["if_called_off"]) == ("expired", "credited")
        credited.sweep()
        account = credited.account(customer=buyer)
        assert account.get("booking") is None
        assert [one["status"] for one in account["purchases"]] == ["active"]
        again = credited.buy("live_session", customer=buyer)
        assert (again.status, again.json["status"]) == (200, "completed")
        assert wire.count("POST /v1/checkout/sessions") == 1
        booking = credited.account(customer=buyer)["booking"]
        assert (booking["status"], booking["purchase_id"]) == ("waiting", token["checkout_id"])
        assert booking["booking_id"] != token["checkout_id"]
        assert booking["remaining_s"] == 15 * MINUTE
        assert refunds(credited, token) == []

    def test_the_next_one_is_booked_once_and_used_up(self, credited: World, buyer: str) -> None:
        token = paid(credited, buyer)
        cancelled = act("cancel", token["checkout_id"], buyer, roles="customer").json
        assert (cancelled["status"], cancelled["if_called_off"]) == ("cancelled", "credited")
        credited.buy("live_session", customer=buyer)
        assert credited.buy("live_session", customer=buyer).status == 409
        booking = credited.account(customer=buyer)["booking"]
        act("accept", booking["booking_id"], MIA)
        assert act("finish", booking["booking_id"], MIA).status == 200
        assert [one["status"] for one in credited.account(customer=buyer)["purchases"]] == ["ended"]
        assert credited.buy("live_session", customer=buyer).status == 201

    def test_a_stale_one_is_called_off_and_booked_again_in_one_click(self, credited: World, buyer: str) -> None:
        paid(credited, buyer)
        wait_until_expired(credited)
        with written(credited) as calls:
            assert credited.buy("live_session", customer=buyer).status == 200
        assert sorted(one["status"] for one in own(buyer)) == ["expired", "waiting"]
        ((name, together),) = calls
        assert name == "TransactWriteItems"
        assert {f"BOOKING#{one['booking_id']}" for one in own(buyer)} <= together

    @pytest.mark.parametrize("heard_by", ["sync", "webhook"])
    def test_no_booking_opens_by_itself_once_the_first_is_purged(
        self, credited: World, buyer: str, heard_by: str
    ) -> None:
        token = paid(credited, buyer)
        wait_until_expired(credited)
        credited.sweep()
        key = items.serialize(items.booking_key(buyer, token["checkout_id"]))
        boto3.client("dynamodb").delete_item(TableName=os.environ["PAIDUP_TABLE"], Key=key)
        session = credited.stripe.v1.checkout.sessions.retrieve(token["token"]).to_dict()
        credited.stripe.v1.refunds.create({"payment_intent": session["payment_intent"], "amount": 100})

        if heard_by == "sync":
            assert credited.sync(customer=buyer).status == 200
        else:
            credited.hear_everything()

        account = credited.account(customer=buyer)
        assert [one["refunded"] for one in account["purchases"]] == [100]
        assert account.get("booking") is None

    def test_a_credit_buys_no_dearer_session(self, credited: World, buyer: str) -> None:
        paid(credited, buyer)
        wait_until_expired(credited)
        dearer = credited.buy("double_session", customer=buyer)
        assert (dearer.status, dearer.json["amount"], dearer.json["status"]) == (201, 13_000, "open")
        assert credited.account(customer=buyer).get("booking") is None

    def test_a_pass_is_no_credit_when_the_shop_sells_it_no_more(self, world: World, buyer: str) -> None:
        world.services.table.put_offer(replace(LIVE, offer_id="summer_pass", kind=Kind.PASS))
        paid(world, buyer, "summer_pass")
        key = items.serialize(items.offer_key("summer_pass"))
        boto3.client("dynamodb").delete_item(TableName=os.environ["PAIDUP_TABLE"], Key=key)
        assert world.buy("summer_pass", customer=buyer).status == 422
        assert own(buyer) == []

    def test_a_credit_outlives_the_policy_that_gave_it(
        self, credited: World, buyer: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        token = paid(credited, buyer)
        wait_until_expired(credited)
        credited.sweep()
        monkeypatch.setenv("PAIDUP_UNACCEPTED_BOOKINGS", "refund")
        assert credited.buy("live_session", customer=buyer).json["checkout_id"] == token["checkout_id"]
        assert credited.account(customer=buyer)["booking"]["purchase_id"] == token["checkout_id"]

    def test_a_credit_outlives_the_offer(self, credited: World, buyer: str) -> None:
        """What was paid for is still owed when the shop sells it no more."""
        credited.services.table.put_offer(replace(LIVE, offer_id="for_a_while"))
        token = paid(credited, buyer, "for_a_while")
        wait_until_expired(credited)
        credited.sweep()
        key = items.serialize(items.offer_key("for_a_while"))
        boto3.client("dynamodb").delete_item(TableName=os.environ["PAIDUP_TABLE"], Key=key)
        assert credited.buy("for_a_while", customer=buyer).json["checkout_id"] == token["checkout_id"]
        assert credited.account(customer=buyer)["booking"]["purchase_id"] == token["checkout_id"]
        assert credited.buy("for_a_while", customer=credited.customer()).status == 422

    def test_money_given_back_by_hand_calls_the_next_one_off(self, credited: World, buyer: str) -> None:
        token = paid(credited, buyer)
        wait_until_expired(credited)
        credited.buy("live_session", customer=buyer)
        refund_by_hand(credited, token)
        assert credited.account(customer=buyer).get("booking") is None
        assert sorted(one["status"] for one in own(buyer)) == ["cancelled", "expired"]


class TestAMinuteBetweenOurClockAndStripes:
    @pytest.mark.parametrize("channel", ["webhook", "poll"])
    def test_leaves_the_whole_time_to_accept_it_and_no_more(self, skewed: Skewed, buyer: str, channel: str) -> None:
        token = unheard(skewed.world, buyer)
        skewed.pass_time(3)
        if channel == "webhook":
            skewed.hear(token["token"])
        else:
            skewed.world.status(token["checkout_id"], customer=buyer)
        (booking,) = own(buyer)
        assert booking["accept_by"] == skewed.world.now() + 15 * MINUTE
        assert (booking["status"], booking["remaining_s"]) == ("waiting", 15 * MINUTE)

    def test_lets_it_be_accepted_in_its_last_second(self, skewed: Skewed, buyer: str) -> None:
        token = unheard(skewed.world, buyer)
        skewed.hear(token["token"])
        skewed.be_at(own(buyer)[0]["accept_by"] - 1)
        skewed.world.sweep()
        assert act("accept", token["checkout_id"], MIA).status == 200

    def test_gives_all_back_when_nobody_accepted_it(self, skewed: Skewed, buyer: str) -> None:
        token = unheard(skewed.world, buyer)
        skewed.hear(token["token"])
        skewed.be_at(own(buyer)[0]["accept_by"])
        skewed.world.sweep()
        assert own(buyer)[0]["status"] == "expired"
        assert refunds(skewed.world, token) == [6_500]

    def test_gives_all_back_at_once_where_it_is_heard_of_too_late(self, skewed: Skewed, buyer: str) -> None:
        token = unheard(skewed.world, buyer)
        skewed.pass_time(63 * MINUTE)
        skewed.hear(token["token"])
        skewed.world.sweep()
        assert own(buyer)[0]["status"] == "expired"
        assert refunds(skewed.world, token) == [6_500]


def unheard(world: World, buyer: str) -> Any:
    """Let *buyer* pay for a live session, and Stripe tell nobody; returns the payment token."""
    token = world.buy("live_session", customer=buyer).json
    world.pay(token["url"])
    return token


class TestADispute:
    @pytest.mark.parametrize(("outcome", "status"), [("won", "waiting"), ("lost", "cancelled")])
    def test_calls_the_booking_off_until_it_is_won(self, world: World, buyer: str, outcome: str, status: str) -> None:
        token = paid(world, buyer)
        intent = world.stripe.v1.checkout.sessions.retrieve(token["token"]).payment_intent
        dispute = world.trigger("disputes", payment_intent=intent)["id"]
        hear(world, token["token"])
        assert own(buyer)[0]["status"] == "cancelled"
        assert world.account(customer=buyer).get("booking") is None
        world.pass_time(20 * MINUTE)
        world.trigger(f"disputes/{dispute}/close", status=outcome)
        hear(world, token["token"])
        (booking,) = own(buyer)
        assert booking["status"] == status
        if outcome == "won":
            assert booking["accept_by"] == world.now() + 15 * MINUTE
            assert act("accept", token["checkout_id"], MIA).status == 200

    def test_that_is_won_leaves_a_session_that_began_as_it_was(self, world: World, buyer: str) -> None:
        token = paid(world, buyer)
        assert act("accept", token["checkout_id"], MIA).status == 200
        intent = world.stripe.v1.checkout.sessions.retrieve(token["token"]).payment_intent
        dispute = world.trigger("disputes", payment_intent=intent)["id"]
        hear(world, token["token"])
        world.pass_time(3_600)
        world.trigger(f"disputes/{dispute}/close", status="won")
        hear(world, token["token"])
        world.pass_time(20 * MINUTE)
        world.sweep()
        account = world.account(customer=buyer)
        assert account.get("booking") is None
        assert [one["status"] for one in account["purchases"]] == ["ended"]
        assert refunds(world, token) == []

    @pytest.mark.parametrize("swept_before", [True, False])
    def test_that_is_won_after_nobody_accepted_gives_all_back(
        self, world: World, buyer: str, swept_before: bool
    ) -> None:
        token = paid(world, buyer)
        wait_until_expired(world)
        intent = world.stripe.v1.checkout.sessions.retrieve(token["token"]).payment_intent
        dispute = world.trigger("disputes", payment_intent=intent)["id"]
        if not swept_before:
            hear(world, token["token"])
        world.sweep()
        hear(world, token["token"])
        world.pass_time(3_600)
        world.trigger(f"disputes/{dispute}/close", status="won")
        hear(world, token["token"])
        for _ in range(3):
            world.sweep()
            world.pass_time(20 * MINUTE)
        assert refunds(world, token) == [6_500]


class TestTwoPaymentsForOneSession:
    def test_keep_the_one_that_takes_place_though_the_other_was_paid_before(self, world: World, buyer: str) -> None:
        """The earlier payment was heard of when somebody had accepted the later one: nobody is sent home for that."""
        old, new = (world.buy(offer, customer=buyer).json for offer in ("double_session", "live_session"))
        world.pay(old["url"])
        world.pass_time(5)
        world.pay(new["url"])
        hear(world, new["token"])
        assert act("accept", new["checkout_id"], MIA).status == 200
        hear(world, old["token"])
        world.sweep()
        assert (refunds(world, old), refunds(world, new)) == ([13_000], [])
        assert world.account(customer=buyer)["booking"]["status"] == "live"
        purchase = world.status(old["checkout_id"], customer=buyer)["purchase"]
        assert purchase["paid_before"] == new["checkout_id"]

    def test_keep_the_one_that_took_place_though_the_other_was_paid_before(self, world: World, buyer: str) -> None:
        old, new = (world.buy(offer, customer=buyer).json for offer in ("double_session", "live_session"))
        world.pay(old["url"])
        world.pass_time(5)
        world.pay(new["url"])
        hear(world, new["token"])
        for what in ("accept", "finish"):
            assert act(what, new["checkout_id"], MIA).status == 200
        hear(world, old["token"])
        world.sweep()
        assert (refunds(world, old), refunds(world, new)) == ([13_000], [])
        assert world.account(customer=buyer).get("booking") is None


class TestMoneyGivenBackByHand:
    @pytest.mark.parametrize("accepted", [False, True])
    def test_calls_the_booking_off(self, world: World, buyer: str, accepted: bool) -> None:
        token = paid(world, buyer)
        if accepted:
            act("accept", token["checkout_id"], MIA)
        refund_by_hand(world, token)
        assert own(buyer)[0]["status"] == "cancelled"
        account = world.account(customer=buyer)
        assert account.get("booking") is None
        assert account["access"] == []
        assert token["checkout_id"] not in everyone_who_waits()
        assert_conflict(act("accept", token["checkout_id"], MAX), "was cancelled")
        world.sweep()
        assert refunds(world, token) == [6_500]
