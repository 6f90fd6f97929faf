"""manage_checkout: a buyer comes back to a checkout, gives it up, or goes on where they were."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any

import boto3
import pytest
from paidup.flows import recover as recovering
from paidup.outside.dynamo import items

from tests.functions.clocks import Skewed
from tests.functions.door import give_up, hear, look, page_status, pages_of, recover, row_at, told
from tests.functions.wire import Wire, be_down, forbidden, gone, lose_the_answer, lose_the_request
from tests.handlers import Answer, request
from tests.world import ORIGIN, World

SESSIONS = "/v1/checkout/sessions"
DAY = 86_400


def row_of(buyer: str, checkout_id: str) -> dict[str, Any]:
    """Return the checkout's row as the table holds it."""
    return row_at(items.checkout_key(buyer, checkout_id))


class TestALook:
    def test_tells_what_remains_and_to_pay(self, world: World, buyer: str) -> None:
        token = world.buy(customer=buyer, quantity=2, context={"step": "payment", "ü": [1, None]}).json
        world.pass_time(60)
        story = look(token["checkout_id"], customer=buyer)
        assert story["remaining_s"] == token["expires_at"] - world.now() == DAY - 60
        assert story["next"] == "pay"
        assert story["context"] == {"step": "payment", "ü": [1, None]}
        assert {key: story[key] for key in token} == token

    def test_finds_it_expired_by_the_clock_alone(self, world: World, buyer: str) -> None:
        """No sweep has run, and Stripe does not answer."""
        token = world.buy(customer=buyer, context={"step": 3}).json
        world.pass_time(DAY)
        story = look(token["checkout_id"], customer=buyer)
        assert (story["status"], story["next"], story["remaining_s"]) == ("expired", "recover", 0)
        assert story["context"] == {"step": 3}
        assert story.get("url") is None
        assert story.get("token") is None

    def test_names_what_replaced_it(self, world: World, buyer: str) -> None:
        old = world.buy(customer=buyer).json
        new = world.buy("day_pass", customer=buyer).json
        story = look(old["checkout_id"], customer=buyer)
        assert (story["status"], story["next"], story["remaining_s"]) == ("invalidated", "recover", 0)
        assert story["replaced_by"] == new["checkout_id"]
        assert story.get("url") is None

    def test_finds_the_pass_of_which_no_webhook_came(self, world: World, buyer: str) -> None:
        token = world.buy(customer=buyer).json
        world.pay(token["url"])
        world.pass_time(3)
        story = look(token["checkout_id"], customer=buyer)
        assert (story["status"], story["next"], story["remaining_s"]) == ("completed", "done", 0)
        assert story["purchase"]["status"] == "active"

    def test_asks_stripe_once_in_three_seconds(self, world: World, buyer: str, wire: Wire) -> None:
        token = world.buy(customer=buyer).json
        page = f"GET {SESSIONS}/{token['token']}"
        world.pass_time(30)
        for _ in range(3):
            look(token["checkout_id"], customer=buyer)
        assert wire.count(page) == 1
        world.pass_time(30)
        look(token["checkout_id"], customer=buyer)
        assert wire.count(page) == 2

    def test_knows_what_it_knows_while_stripe_is_down(self, world: World, buyer: str, wire: Wire) -> None:
        token = world.buy(customer=buyer).json
        wire.inject(f"GET {SESSIONS}", be_down)
        world.pass_time(3)
        assert look(token["checkout_id"], customer=buyer)["next"] == "pay"

    def test_at_one_that_is_being_opened_says_to_recover(self, world: World, buyer: str, wire: Wire) -> None:
        wire.inject(f"POST {SESSIONS}", lose_the_request)
        assert world.buy(customer=buyer).status == 503
        current = world.services.table.load_open(buyer).checkout
        assert current
        story = look(current.checkout_id, customer=buyer)
        assert (story["status"], story["next"]) == ("opening", "recover")


@pytest.mark.parametrize("route", ["GET /checkouts/{}", "DELETE /checkouts/{}", "POST /checkouts/{}/recover"])
class TestSomebodyElse:
    def test_finds_nothing(self, world: World, buyer: str, route: str) -> None:
        token = world.buy(customer=buyer).json
        found = request(route.format(token["checkout_id"]), customer=world.customer())
        assert found.status == 404
        assert found.headers["content-type"] == "application/problem+json"
        assert look(token["checkout_id"], customer=buyer)["next"] == "pay"

    def test_who_has_not_signed_in_is_told_to(self, world: World, buyer: str, route: str) -> None:
        assert request(route.format("co_1"), customer=None).status == 401

    def test_finds_nothing_where_nothing_is(self, world: World, buyer: str, route: str) -> None:
        assert request(route.format("co_of_nobody"), customer=buyer).status == 404


class TestGivingUp:
    def test_ends_the_checkout_and_closes_its_page(self, world: World, buyer: str) -> None:
        token = world.buy(customer=buyer, context={"step": 3}).json
        story = give_up(token["checkout_id"], customer=buyer)
        assert (story["status"], story["next"]) == ("invalidated", "recover")
        assert story["context"] == {"step": 3}
        assert world.account(customer=buyer).get("checkout") is None
        assert world.stripe.v1.checkout.sessions.retrieve(token["token"]).status == "expired"
        assert "due_at" not in row_of(buyer, token["checkout_id"])

    def test_twice_is_once(self, world: World, buyer: str, wire: Wire) -> None:
        token = world.buy(customer=buyer).json
        first = give_up(token["checkout_id"], customer=buyer)
        assert give_up(token["checkout_id"], customer=buyer) == first
        assert wire.count(f"POST {SESSIONS}/{token['token']}/expire") == 1

    def test_leaves_another_checkout_alone(self, world: World, buyer: str) -> None:
        old = world.buy(customer=buyer).json
        new = world.buy("day_pass", customer=buyer).json
        assert give_up(old["checkout_id"], customer=buyer)["status"] == "invalidated"
        assert world.account(customer=buyer)["checkout"]["checkout_id"] == new["checkout_id"]

    def test_one_that_was_paid_meanwhile_settles_it(self, world: World, buyer: str) -> None:
        token = world.buy(customer=buyer).json
        world.pay(token["url"])
        story = give_up(token["checkout_id"], customer=buyer)
        assert (story["status"], story["next"]) == ("completed", "done")
        assert story["purchase"]["status"] == "active"
        assert [one["offer_id"] for one in world.account(customer=buyer)["access"]] == ["ten_class_pass"]

    def test_one_that_is_bought_changes_nothing(self, world: World, buyer: str) -> None:
        token = world.buy(customer=buyer).json
        world.pay(token["url"])
        hear(world, token["token"])
        assert give_up(token["checkout_id"], customer=buyer)["next"] == "done"
        assert world.status(token["checkout_id"], customer=buyer)["state"] == "active"

    def test_works_while_stripe_is_down_for_hours_and_the_sweep_closes_the_page_in_the_end(
        self, world: World, buyer: str, wire: Wire
    ) -> None:
        token = world.buy(customer=buyer).json
        wire.inject(page := f"GET {SESSIONS}/{token['token']}", be_down)
        assert give_up(token["checkout_id"], customer=buyer)["status"] == "invalidated"
        assert world.account(customer=buyer).get("checkout") is None
        world.sweep()
        for wait_s in (60, 120, 240, 480, 960, 1920, 3600, 3600):
            asked = wire.count(page)
            world.pass_time(wait_s - 30)
            world.sweep()
            assert wire.count(page) == asked, f"asked before {wait_s} s had passed"
            world.pass_time(30)
            world.sweep()
            assert wire.count(page) == asked + 1, f"not asked after {wait_s} s"
        wire.mend()
        world.pass_time(3_600)
        world.sweep()
        assert world.stripe.v1.checkout.sessions.retrieve(token["token"]).status == "expired"
        assert "due_at" not in row_of(buyer, token["checkout_id"])

    def test_does_not_take_a_page_for_closed_that_stripe_would_not_close(
        self, world: World, buyer: str, wire: Wire
    ) -> None:
        token = world.buy(customer=buyer).json
        wire.inject(f"POST {SESSIONS}/{token['token']}/expire", forbidden)
        give_up(token["checkout_id"], customer=buyer)
        world.sweep()
        assert world.stripe.v1.checkout.sessions.retrieve(token["token"]).status == "open"
        wire.mend()
        world.pass_time(120)
        world.sweep()
        assert world.stripe.v1.checkout.sessions.retrieve(token["token"]).status == "expired"

    def test_does_not_trouble_about_a_page_that_stripe_has_forgotten(
        self, world: World, buyer: str, wire: Wire
    ) -> None:
        token = world.buy(customer=buyer).json
        wire.inject(f"GET {SESSIONS}/{token['token']}", gone)
        give_up(token["checkout_id"], customer=buyer)
        world.sweep()
        assert "due_at" not in row_of(buyer, token["checkout_id"])


def expired(world: World, buyer: str, checkout_id: str, wire: Wire) -> None:
    world.pass_time(DAY)


def swept(world: World, buyer: str, checkout_id: str, wire: Wire) -> None:
    world.pass_time(DAY)
    world.sweep()


def invalidated(world: World, buyer: str, checkout_id: str, wire: Wire) -> None:
    world.buy("day_pass", customer=buyer)


def cancelled(world: World, buyer: str, checkout_id: str, wire: Wire) -> None:
    give_up(checkout_id, customer=buyer)


def broken(world: World, buyer: str, checkout_id: str, wire: Wire) -> None:
    checkout = world.services.table.checkout(buyer, checkout_id)
    assert checkout
    wire.inject(f"GET {SESSIONS}/{checkout.token}", gone)


type Mishap = Callable[[World, str, str, Wire], None]


class TestGoingOn:
    def test_with_an_open_one_hands_it_back(self, world: World, buyer: str) -> None:
        token = world.buy(customer=buyer, context={"step": 3}).json
        again = recover(token["checkout_id"], customer=buyer)
        assert again.status == 200
        assert {key: again.json[key] for key in token} == token
        assert again.json["next"] == "pay"
        assert again.json["context"] == {"step": 3}
        assert len(pages_of(world, buyer)) == 1

    @pytest.mark.parametrize("mishap", [expired, swept, invalidated, cancelled, broken])
    def test_opens_a_new_one_with_the_same_cart_and_context(
        self, world: World, buyer: str, wire: Wire, mishap: Mishap
    ) -> None:
        old = world.buy(customer=buyer, quantity=3, context={"step": 3}).json
        mishap(world, buyer, old["checkout_id"], wire)
        again = recover(old["checkout_id"], customer=buyer)
        assert again.status == 201, again.text
        new = again.json
        assert new["checkout_id"] != old["checkout_id"]
        assert (new["status"], new["next"]) == ("open", "pay")
        for same in ("offer_id", "quantity", "amount", "currency"):
            assert new[same] == old[same]
        assert new["context"] == {"step": 3}
        assert world.account(customer=buyer)["checkout"]["checkout_id"] == new["checkout_id"]
        assert look(old["checkout_id"], customer=buyer)["replaced_by"]

    def test_ends_the_cart_that_came_in_between(self, world: World, buyer: str) -> None:
        old = world.buy(customer=buyer).json
        other = world.buy("day_pass", customer=buyer).json
        again = recover(old["checkout_id"], customer=buyer).json
        assert again["replaced_checkout_id"] == other["checkout_id"]
        assert look(other["checkout_id"], customer=buyer)["status"] == "invalidated"

    def test_with_a_paid_one_tells_the_pass(self, world: World, buyer: str) -> None:
        token = world.buy(customer=buyer).json
        world.pay(token["url"])
        again = recover(token["checkout_id"], customer=buyer)
        assert again.status == 200
        assert (again.json["checkout_id"], again.json["next"]) == (token["checkout_id"], "done")
        assert again.json["purchase"]["status"] == "active"
        assert recover(token["checkout_id"], customer=buyer).json["next"] == "done"
        assert len(pages_of(world, buyer)) == 1

    def test_with_one_whose_slow_payment_failed_opens_a_new_one(self, world: World, buyer: str) -> None:
        old = world.buy(customer=buyer, context={"step": 3}).json
        world.pay(old["url"], "delayed_failure")
        hear(world, old["token"])
        assert look(old["checkout_id"], customer=buyer)["next"] == "done"
        assert recover(old["checkout_id"], customer=buyer).json["checkout_id"] == old["checkout_id"]
        world.pass_time(5 * DAY)
        hear(world, old["token"])
        story = look(old["checkout_id"], customer=buyer)
        assert (story["next"], story["purchase"]["status"]) == ("recover", "failed")
        again = recover(old["checkout_id"], customer=buyer)
        assert (again.status, again.json["next"], again.json["context"]) == (201, "pay", {"step": 3})
        world.pay(again.json["url"])
        hear(world, again.json["token"])
        assert [one["offer_id"] for one in world.account(customer=buyer)["access"]] == ["ten_class_pass"]
        assert recover(old["checkout_id"], customer=buyer).json["next"] == "done"

    @pytest.mark.parametrize("mishap", [invalidated, cancelled])
    def test_with_one_that_was_paid_after_it_had_ended_tells_the_pass(
        self, world: World, buyer: str, wire: Wire, mishap: Mishap
    ) -> None:
        token = world.buy(customer=buyer).json
        wire.inject(f"POST {SESSIONS}/{token['token']}/expire", be_down)
        mishap(world, buyer, token["checkout_id"], wire)
        world.pay(token["url"])
        again = recover(token["checkout_id"], customer=buyer)
        assert (again.status, again.json["next"]) == (200, "done")
        assert again.json["purchase"]["status"] == "active"

    def test_again_leads_to_the_same_new_one(self, world: World, buyer: str) -> None:
        old = world.buy(customer=buyer).json
        world.pass_time(DAY)
        first, second = recover(old["checkout_id"], customer=buyer), recover(old["checkout_id"], customer=buyer)
        assert (first.status, second.status) == (201, 200)
        for same in ("checkout_id", "token", "url", "expires_at"):
            assert first.json[same] == second.json[same]

    def test_twice_at_once_opens_one(self, world: World, buyer: str) -> None:
        old = world.buy(customer=buyer).json
        world.pass_time(DAY)
        services, now, together = world.services, world.now(), Barrier(4)

        def click(_: int) -> tuple[str, bool]:
            together.wait()
            seen, new = recovering.recover(buyer, old["checkout_id"], None, services, now=now)
            assert seen.checkout
            return seen.checkout.checkout_id, new

        with ThreadPoolExecutor(4) as clicks:
            found = list(clicks.map(click, range(4)))
        assert len({checkout_id for checkout_id, _ in found}) == 1
        assert [new for _, new in found].count(True) == 1
        assert len(pages_of(world, buyer)) == 2

    def test_keeps_the_price_that_its_buyer_chose(self, world: World, buyer: str) -> None:
        offer = world.services.table.offer("ten_class_pass")
        assert offer
        old = world.buy(customer=buyer).json
        world.pass_time(DAY)
        world.services.table.put_offer(replace(offer, amount=15_000, currency="usd"))
        try:
            new = recover(old["checkout_id"], customer=buyer).json
        finally:
            world.services.table.put_offer(offer)
        assert new["checkout_id"] != old["checkout_id"]
        assert (new["amount"], new["currency"]) == (old["amount"], old["currency"])

    def test_works_though_the_offer_is_sold_no_more(self, world: World, buyer: str) -> None:
        offer = world.services.table.offer("ten_class_pass")
        assert offer
        world.services.table.put_offer(replace(offer, offer_id="for_a_while"))
        old = world.buy("for_a_while", customer=buyer).json
        world.pass_time(DAY)
        key = items.serialize(items.offer_key("for_a_while"))
        boto3.client("dynamodb").delete_item(TableName=os.environ["PAIDUP_TABLE"], Key=key)
        assert look(old["checkout_id"], customer=buyer)["next"] == "recover"
        new = recover(old["checkout_id"], customer=buyer).json
        assert (new["next"], new["amount"]) == ("pay", old["amount"])

    def test_with_a_recovered_one_that_expired_too_opens_a_third(self, world: World, buyer: str) -> None:
        first = world.buy(customer=buyer, context={"step": 3}).json
        world.pass_time(DAY)
        second = recover(first["checkout_id"], customer=buyer).json
        world.pass_time(DAY)
        third = recover(second["checkout_id"], customer=buyer)
        assert third.status == 201
        assert third.json["context"] == {"step": 3}
        assert len({first["checkout_id"], second["checkout_id"], third.json["checkout_id"]}) == 3
        oldest = recover(first["checkout_id"], customer=buyer)
        assert (oldest.status, oldest.json["checkout_id"]) == (200, third.json["checkout_id"])

    @pytest.mark.parametrize("heard", [True, False])
    def test_from_an_old_tab_tells_what_was_paid_in_the_new_one(self, world: World, buyer: str, heard: bool) -> None:
        """Nobody is sent to a page whose payment would be refunded."""
        old = world.buy(customer=buyer).json
        world.pass_time(DAY)
        new = recover(old["checkout_id"], customer=buyer).json
        world.pay(new["url"])
        if heard:
            hear(world, new["token"])
        world.pass_time(3)
        again = recover(old["checkout_id"], customer=buyer)
        assert (again.status, again.json["next"]) == (200, "done")
        assert again.json["checkout_id"] == new["checkout_id"]
        assert again.json["purchase"]["status"] == "active"

    @pytest.mark.parametrize(
        "given", [f"{ORIGIN}/thanks", f"{ORIGIN}/thanks?lang=de", f"{ORIGIN}/app?x=1&y=2#/thanks", f"{ORIGIN}/app#/t"]
    )
    def test_comes_back_with_the_new_checkouts_id_once(self, world: World, buyer: str, given: str) -> None:
        old = world.buy(customer=buyer, success_url=given, cancel_url=given).json
        world.pass_time(DAY)
        new = recover(old["checkout_id"], customer=buyer).json
        world.pass_time(DAY)
        newest = recover(new["checkout_id"], customer=buyer).json
        before, after = pages_of(world, buyer)[-1], pages_of(world, buyer)[0]
        assert after.id == newest["token"]
        for url, once in ((after.success_url, before.success_url), (after.cancel_url, before.cancel_url)):
            assert url == once.replace(old["checkout_id"], newest["checkout_id"])
            assert url.count("checkout_id=") == 1

    def test_works_though_stripe_cannot_tell_how_the_old_page_stands(
        self, world: World, buyer: str, wire: Wire
    ) -> None:
        old = world.buy(customer=buyer).json
        world.pass_time(DAY)
        wire.inject(f"GET {SESSIONS}", be_down)
        assert recover(old["checkout_id"], customer=buyer).status == 201

    @pytest.mark.parametrize("crash", [lose_the_request, lose_the_answer])
    def test_after_a_crash_is_finished_by_the_next_click(
        self, world: World, buyer: str, wire: Wire, crash: Any
    ) -> None:
        old = world.buy(customer=buyer, context={"step": 3}).json
        world.pass_time(DAY)
        wire.inject(f"POST {SESSIONS}", crash)
        assert recover(old["checkout_id"], customer=buyer).status == 503
        half = world.services.table.load_open(buyer).checkout
        assert half
        wire.mend()
        world.pass_time(3)  # a click that comes sooner waits for the one before
        again = recover(old["checkout_id"], customer=buyer)
        assert (again.status, again.json["next"]) == (200, "pay")
        assert again.json["checkout_id"] == half.checkout_id
        assert again.json["context"] == {"step": 3}
        assert [page.id for page in pages_of(world, buyer)] == [again.json["token"], old["token"]]

    def test_does_not_wait_for_a_crashed_one_for_ever(self, world: World, buyer: str, wire: Wire) -> None:
        """Two minutes after the crash the half-opened one is over, and so it says."""
        wire.inject(f"POST {SESSIONS}", lose_the_answer)
        assert world.buy(customer=buyer, context={"step": 3}).status == 503
        half = world.services.table.load_open(buyer).checkout
        assert half
        wire.mend()
        world.pass_time(120)
        assert look(half.checkout_id, customer=buyer)["status"] == "expired"
        assert world.account(customer=buyer).get("checkout") is None
        again = recover(half.checkout_id, customer=buyer)
        assert again.status == 201
        assert again.json["checkout_id"] != half.checkout_id
        assert again.json["context"] == {"step": 3}


class TestTheTable:
    @pytest.mark.parametrize("mishap", [swept, invalidated, cancelled])
    def test_purges_what_ended_after_a_week(self, world: World, buyer: str, wire: Wire, mishap: Mishap) -> None:
        token = world.buy(customer=buyer).json
        assert "purge_at" not in row_of(buyer, token["checkout_id"])
        mishap(world, buyer, token["checkout_id"], wire)
        row = row_of(buyer, token["checkout_id"])
        assert row["purge_at"] == row["ended_at"] + 7 * DAY

    def test_keeps_what_was_paid(self, world: World, buyer: str) -> None:
        token = world.buy(customer=buyer).json
        world.pay(token["url"])
        hear(world, token["token"])
        assert row_of(buyer, token["checkout_id"])["status"] == "completed"
        assert "purge_at" not in row_of(buyer, token["checkout_id"])

    def test_keeps_one_that_was_paid_after_it_had_ended(self, world: World, buyer: str) -> None:
        token = world.buy(customer=buyer).json
        world.buy("day_pass", customer=buyer)
        assert "purge_at" in row_of(buyer, token["checkout_id"])
        world.pay(token["url"])
        hear(world, token["token"])
        assert "purge_at" not in row_of(buyer, token["checkout_id"])

    def test_may_purge_late_and_nobody_is_misled(self, world: World, buyer: str) -> None:
        token = world.buy(customer=buyer).json
        give_up(token["checkout_id"], customer=buyer)
        world.pass_time(30 * DAY)
        story = look(token["checkout_id"], customer=buyer)
        assert (story["status"], story["next"]) == ("invalidated", "recover")
        assert recover(token["checkout_id"], customer=buyer).status == 201

    def test_may_have_purged_it_and_late_money_is_honoured(self, world: World, buyer: str) -> None:
        token = world.buy(customer=buyer).json
        world.pay(token["url"])
        key = items.serialize(items.checkout_key(buyer, token["checkout_id"]))
        boto3.client("dynamodb").delete_item(TableName=os.environ["PAIDUP_TABLE"], Key=key)
        for event in told(world, token["token"]):
            world.deliver(event)
        assert [one["offer_id"] for one in world.account(customer=buyer)["access"]] == ["ten_class_pass"]


def go_on_with(world: World, buyer: str, token: Any) -> Answer:
    return recover(token["checkout_id"], customer=buyer)


def buy_again(world: World, buyer: str, token: Any) -> Answer:
    return world.buy(token["offer_id"], customer=buyer)


type Click = Callable[[World, str, Any], Answer]


class TestAMinuteBetweenOurClockAndStripes:
    @pytest.mark.parametrize("lifetime_s", [1_800, 86_399, 86_400])
    def test_keeps_nobody_from_buying(
        self, skewed: Skewed, buyer: str, lifetime_s: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PAIDUP_CHECKOUT_LIFETIME_S", str(lifetime_s))
        world = skewed.world
        answer = world.buy(customer=buyer)
        assert answer.status == 201, answer.text
        token = answer.json
        skewed.pass_time(3)
        assert look(token["checkout_id"], customer=buyer)["next"] == "pay"
        world.pay(token["url"])
        skewed.hear(token["token"])
        assert look(token["checkout_id"], customer=buyer)["next"] == "done"
        assert [one["offer_id"] for one in world.account(customer=buyer)["access"]] == ["ten_class_pass"]

    def test_lets_a_purchase_be_found_without_webhooks(self, skewed: Skewed, buyer: str) -> None:
        token = skewed.world.buy("monthly", customer=buyer).json
        skewed.world.pay(token["url"])
        skewed.pass_time(3)
        assert skewed.world.status(token["checkout_id"], customer=buyer)["state"] == "active"

    @pytest.mark.parametrize("past_s", [-61, -1, 0, 1, 59, 61])
    @pytest.mark.parametrize("click", [go_on_with, buy_again])
    def test_hands_nobody_a_page_that_cannot_be_paid_around_its_end(
        self, skewed: Skewed, buyer: str, click: Click, past_s: int
    ) -> None:
        """From the second on at which either clock says that it is over, there is another."""
        world = skewed.world
        token = world.buy(customer=buyer, context={"step": 3}).json
        skewed.be_at(token["expires_at"] + past_s)
        over = past_s >= 0 or past_s - skewed.by_s >= 0
        again = click(world, buyer, token)
        assert (again.status, again.json["status"]) == ((201, "open") if over else (200, "open"))
        assert (again.json["checkout_id"] != token["checkout_id"]) == over
        page = world.stripe.v1.checkout.sessions.retrieve(again.json["token"])
        assert (page.status, page.url) == ("open", again.json["url"])
        world.sweep()
        world.pay(again.json["url"])
        skewed.hear(again.json["token"])
        assert [one["offer_id"] for one in world.account(customer=buyer)["access"]] == ["ten_class_pass"]

    @pytest.mark.parametrize("past_s", [-61, -1, 0, 1, 59, 61])
    def test_shows_a_page_around_its_end_as_one_to_pay_only_where_it_can_be_paid(
        self, skewed: Skewed, buyer: str, past_s: int
    ) -> None:
        world = skewed.world
        token = world.buy(customer=buyer, context={"step": 3}).json
        skewed.be_at(token["expires_at"] + past_s)
        over = past_s >= 0 or past_s - skewed.by_s >= 0
        for _ in range(2):
            story = look(token["checkout_id"], customer=buyer)
            assert (story["next"], story.get("url")) == (("recover", None) if over else ("pay", token["url"]))
            world.sweep()
        assert story["context"] == {"step": 3}
        assert page_status(world, token) == ("expired" if over else "open")

    def test_pays_no_one_twice(self, skewed: Skewed, buyer: str) -> None:
        """Whose payment was first is Stripe's word alone."""
        world = skewed.world
        old = world.buy(customer=buyer).json
        new = world.buy("day_pass", customer=buyer).json
        world.pay(new["url"])
        skewed.pass_time(10)
        world.pay(old["url"])
        for token in (old, new):
            skewed.hear(token["token"])
        world.sweep()
        assert world.status(new["checkout_id"], customer=buyer)["state"] == "active"
        assert world.status(old["checkout_id"], customer=buyer)["state"] == "refunded"
