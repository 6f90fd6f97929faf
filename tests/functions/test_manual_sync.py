"""manual_sync: "Missing a pass?" finds whatever all webhooks, polls and sweeps have missed."""

from dataclasses import replace
from typing import Any

import pytest

from tests.functions.merchant import paid_with
from tests.functions.story import Story
from tests.functions.wire import Exchange, Wire, be_down, forbidden, lose_the_request, pass_on
from tests.world import World, changed

DAY = 86_400
YEARLY_TRAINER = {"recurring[interval]": "year", "lookup_key": "trainer", "transfer_lookup_key": "true"}


def sync(story: Story) -> Any:
    answer = story.world.sync(customer=story.buyer)
    assert answer.status == 200, answer.text
    return answer.json


def forget(story: Story) -> None:
    """Lose all that is known of the buyer, as a restored backup may."""
    table, account = story.world.services.table, story.world.services.table.account(story.buyer)
    emptied = replace(account, access=(), open_checkout_id=None, customers={}, syncs=())
    table.commit(changed(account, emptied, now=story.world.now()))
    for item in table.client.query(
        TableName=table.name,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"CUSTOMER#{story.buyer}"}},
    )["Items"]:
        if item["sk"]["S"] != "ACCOUNT":
            table.client.delete_item(TableName=table.name, Key={"pk": item["pk"], "sk": item["sk"]})


class TestWhatWebhooksLost:
    def test_is_found_when_it_is_a_pass(self, story: Story) -> None:
        story.buys("ten_class_pass")
        found = sync(story)
        assert found == {"scanned": 1, "granted": [story.token["checkout_id"]], "unchanged": 0, "problems": []}
        assert list(story.access) == ["ten_class_pass"]
        assert sync(story) == {"scanned": 1, "granted": [], "unchanged": 1, "problems": []}
        assert story.version == 1

    def test_is_found_when_it_is_a_subscription(self, story: Story) -> None:
        story.buys("monthly")
        found = sync(story)
        assert found["granted"] == [story.token["checkout_id"]]
        assert found["problems"] == []
        assert story.purchase["renews_at"] == story.period_end()
        assert sync(story)["granted"] == []

    def test_is_found_when_it_is_older_than_a_month_and_still_runs(self, story: Story) -> None:
        story.buys("monthly")
        story.world.pass_time(65 * DAY)
        assert sync(story)["granted"] == [story.token["checkout_id"]]
        assert story.access == {"monthly": story.period_end() + 7 * DAY}

    @pytest.mark.parametrize(("days", "found"), [(29, 1), (31, 0)])
    def test_is_found_when_it_was_bought_within_thirty_days(self, story: Story, days: int, found: int) -> None:
        story.buys("day_pass")
        story.world.pass_time(days * DAY)
        assert sync(story)["scanned"] == found
        assert len(story.access) == found

    def test_is_no_access_for_a_moment_when_it_was_cancelled_since(self, story: Story) -> None:
        """That it was paid for once says nothing of whether it runs."""
        story.buys("monthly")
        story.cancel()
        assert sync(story)["granted"] == []
        assert story.purchase["status"] == "canceled"
        assert story.version == 0

    def test_is_found_when_it_was_made_in_the_dashboard(self, story: Story) -> None:
        story.opens("day_pass")
        product = story.post("products", name="Trainer")["id"]
        price = story.post("prices", product=product, currency="eur", unit_amount=1, **YEARLY_TRAINER)
        fields = {"items[0][price]": price["id"], "default_payment_method": "pm_card_visa"}
        plan = story.post("subscriptions", customer=story.customer(), **fields)
        assert sync(story)["granted"] == [plan["id"]]

    def test_is_found_on_whatever_page_the_subscription_is(self, story: Story, wire: Wire) -> None:
        """Stripe gives them one at a time here, where it gives a hundred as a rule."""
        story.opens("day_pass")
        product = story.post("products", name="Trainer")["id"]
        price = story.post("prices", product=product, currency="eur", unit_amount=1, **YEARLY_TRAINER)
        fields = {"items[0][price]": price["id"], "default_payment_method": "pm_card_visa"}
        plans = [story.post("subscriptions", customer=story.customer(), **fields)["id"] for _ in range(3)]

        def give_one(exchange: Exchange) -> None:
            path = exchange.request.removeprefix("GET ")
            assert "limit=100" in path
            url = f"{story.world.fakes.url}/stripe{path.replace('limit=100', 'limit=1')}"
            page = story.world.http.get(url, auth=("sk_test_local", ""))
            exchange.answer(page.status_code, list(page.headers.items()), page.content)

        wire.inject("GET /v1/subscriptions?", give_one)
        found = sync(story)
        assert set(found["granted"]) == set(plans)
        assert found["problems"] == []
        assert {purchase["purchase_id"] for purchase in story.account["access"]} == set(plans)
        assert wire.count("GET /v1/subscriptions?") == 3

    def test_is_found_when_it_is_bad_news(self, story: Story) -> None:
        """What was taken back is settled too: a sync grants nothing that is not paid for."""
        story.buys("day_pass")
        story.hear()
        story.world.pass_time(2)
        story.post("refunds", payment_intent=story.session()["payment_intent"]["id"])
        found = sync(story)
        assert (found["scanned"], found["granted"], found["unchanged"]) == (2, [], 1)  # the page and its charge
        assert story.access == {}
        assert story.purchase["status"] == "refunded"

    def test_is_found_when_a_subscriptions_payment_was_refunded(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()
        story.post("refunds", payment_intent=paid_with(story))
        story.world.pass_time(2)
        assert sync(story)["problems"] == []
        assert (story.purchase["status"], story.access) == ("refunded", {})

    def test_is_found_when_it_is_a_dispute(self, story: Story) -> None:
        story.buys("day_pass")
        story.hear()
        story.world.pass_time(2)
        story.trigger("disputes", payment_intent=story.session()["payment_intent"]["id"])
        sync(story)
        assert story.purchase["status"] == "disputed"

    def test_is_not_made_up(self, story: Story) -> None:
        story.opens("day_pass")
        assert sync(story) == {"scanned": 1, "granted": [], "unchanged": 1, "problems": []}
        assert story.account["purchases"] == []

    def test_is_found_on_whatever_page_it_is(self, story: Story, wire: Wire) -> None:
        """Stripe gives a hundred at a time, newest first; the one that was paid is the oldest."""
        story.buys("day_pass")
        customer, paid = story.customer(), story.token["checkout_id"]
        line: Any = {
            "price_data": {"currency": "eur", "unit_amount": 100, "product_data": {"name": "x"}},
            "quantity": 1,
        }
        asked: Any = {"mode": "payment", "customer": customer, "success_url": "http://x/", "line_items": [line]}
        for _ in range(129):
            story.world.stripe.v1.checkout.sessions.create(asked)
        wire.asked.clear()
        found = sync(story)
        assert found == {"scanned": 130, "granted": [paid], "unchanged": 129, "problems": []}
        assert wire.count("GET /v1/checkout/sessions?") == 2

    def test_is_found_without_asking_for_each_thing_alone(self, story: Story, wire: Wire) -> None:
        """Four lists say all; a customer with many purchases must not run into Stripe's rate limit."""
        for offer_id in ("day_pass", "ten_class_pass", "monthly"):
            story.buys(offer_id)
            story.world.pass_time(4)
        wire.asked.clear()
        sync(story)
        assert len(story.access) == 3
        assert len(wire.asked) == 4


class TestACustomerWhomOnlyStripeKnows:
    @pytest.mark.parametrize("offer_id", ["day_pass", "monthly"])
    def test_is_found_by_their_e_mail_address(self, story: Story, offer_id: str) -> None:
        """Our metadata says whose it is; the address only says where to look."""
        story.buys(offer_id)
        story.hear()
        before = story.purchase
        story.world.pass_time(10 * DAY)
        forget(story)
        assert story.account["purchases"] == []
        assert sync(story)["granted"] == [before["purchase_id"]]
        assert list(story.access) == [offer_id]
        assert story.purchase["until"] == before["until"]

    def test_gets_nothing_of_another_with_the_same_address(self, story: Story, world: World) -> None:
        """Whoever signs up with somebody's address has not bought what they bought."""
        email, other = f"{story.buyer}@example.com", world.customer()
        customer = story.post("customers", email=email)["id"]
        line: Any = {
            "price_data": {"currency": "eur", "unit_amount": 100, "product_data": {"name": "x"}},
            "quantity": 1,
        }
        metadata = {"customer_id": other, "checkout_id": "co_of_another", "offer_id": "day_pass"}
        asked: Any = {"mode": "payment", "customer": customer, "success_url": "http://x/", "line_items": [line]}
        page = world.stripe.v1.checkout.sessions.create(asked | {"metadata": metadata})
        world.pay(str(page.url))
        assert sync(story) == {"scanned": 1, "granted": [], "unchanged": 1, "problems": []}
        assert story.account["purchases"] == []
        assert world.account(customer=other)["purchases"] == []

    def test_may_have_bought_nothing(self, story: Story) -> None:
        assert sync(story) == {"scanned": 0, "granted": [], "unchanged": 0, "problems": []}


class TestASync:
    def test_is_one_of_six_a_minute(self, story: Story) -> None:
        for _ in range(6):
            sync(story)
            story.world.pass_time(5)
        answer = story.world.sync(customer=story.buyer)
        assert answer.status == 429
        assert answer.json["type"] == "urn:paidup:problem:too-many-requests"
        assert answer.json["retryable"] is True
        wait_s = int(answer.headers["retry-after"])
        assert wait_s == 30
        story.world.pass_time(wait_s)
        sync(story)
        assert story.world.sync(customer=story.buyer).status == 429

    def test_runs_one_at_a_time(self, story: Story, world: World) -> None:
        """The other one runs, or its Lambda was killed; then its turn ends by itself."""
        table, account = world.services.table, world.services.table.account(story.buyer)
        table.commit(changed(account, replace(account, sync_until=world.now() + 30), now=world.now()))
        answer = world.sync(customer=story.buyer)
        assert answer.status == 429
        assert int(answer.headers["retry-after"]) > 0
        assert "running" in answer.json["detail"]
        world.pass_time(30)
        sync(story)

    def test_is_refused_while_another_one_runs(self, story: Story, wire: Wire) -> None:
        """The buyer presses again while Stripe is still asked for what they bought."""
        story.buys("day_pass")
        pressed: list[Any] = []

        def press_again(exchange: Exchange) -> None:
            wire.mend()
            pressed.append(story.world.sync(customer=story.buyer))
            pass_on(exchange)

        wire.inject("GET /v1/checkout/sessions", press_again)
        found = sync(story)
        (again,) = pressed
        assert again.status == 429
        assert again.json["type"] == "urn:paidup:problem:too-many-requests"
        assert int(again.headers["retry-after"]) > 0
        assert "running" in again.json["detail"]
        assert found["granted"] == [story.token["checkout_id"]]
        assert sync(story)["unchanged"] == 1

    def test_is_each_customers_own(self, story: Story, world: World) -> None:
        for _ in range(6):
            sync(story)
        assert world.sync(customer=world.customer()).status == 200

    @pytest.mark.parametrize("how", [be_down, lose_the_request])
    def test_says_when_stripe_is_away(self, story: Story, wire: Wire, how: Any) -> None:
        story.buys("day_pass")
        wire.inject("GET /v1/checkout/sessions", how)
        answer = story.world.sync(customer=story.buyer)
        assert answer.status == 503
        assert answer.json["retryable"] is True
        assert "retry-after" in answer.headers
        wire.mend()
        assert sync(story)["granted"] == [story.token["checkout_id"]]

    def test_keeps_what_it_found_before_stripe_went_away(self, story: Story, wire: Wire) -> None:
        story.buys("monthly")
        wire.inject("GET /v1/checkout/sessions", be_down)
        found = sync(story)
        assert found["granted"] == [story.token["checkout_id"]]
        (problem,) = found["problems"]
        assert problem["ref"] == "checkout sessions"
        assert "did not answer" in problem["why"]
        assert list(story.access) == ["monthly"]

    @pytest.mark.parametrize("how", [be_down, forbidden])
    def test_says_what_it_could_not_read_and_settles_all_else(self, story: Story, wire: Wire, how: Any) -> None:
        """Neither what was listed before the disputed pass nor what was listed after it is held up by its dispute."""
        story.buys("yearly")
        oldest = story.token["checkout_id"]
        story.world.pass_time(4)
        story.buys("day_pass")
        disputed = story.token["token"]
        story.world.pass_time(4)
        story.trigger("disputes", payment_intent=story.session()["payment_intent"]["id"])
        story.buys("ten_class_pass")
        forget(story)
        wire.inject("GET /v1/disputes", how)
        found = sync(story)
        assert set(found["granted"]) == {oldest, story.token["checkout_id"]}
        (problem,) = found["problems"]
        assert problem["ref"] == disputed
        assert set(story.access) == {"ten_class_pass", "yearly"}
        wire.mend()
        assert sync(story)["problems"] == []

    def test_finds_passes_where_subscriptions_are_refused(self, story: Story, wire: Wire) -> None:
        """A restricted key may read the one and not the other."""
        story.buys("day_pass")
        wire.inject("GET /v1/subscriptions", forbidden)
        found = sync(story)
        assert found["granted"] == [story.token["checkout_id"]]
        assert [problem["ref"] for problem in found["problems"]] == ["subscriptions"]

    def test_goes_on_past_a_subscription_in_a_state_that_nobody_knows(self, story: Story, wire: Wire) -> None:
        story.buys("monthly")
        story.hear()
        plan = story.plan()["id"]
        story.buys("day_pass")

        def in_a_new_state(exchange: Exchange) -> None:
            status, headers, body = exchange.forward()
            exchange.answer(status, headers, body.replace(b'"active"', b'"hibernating"'))

        wire.inject("GET /v1/subscriptions", in_a_new_state)
        found = sync(story)
        assert found["granted"] == [story.token["checkout_id"]]
        (problem,) = found["problems"]
        assert problem["ref"] == plan
        assert "cannot be read" in problem["why"]

    def test_that_found_nothing_new_says_so_after_everything_was_heard(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()
        before, access, version = story.purchase, story.access, story.version
        found = sync(story)
        assert (found["granted"], found["problems"]) == ([], [])
        assert (story.purchase, story.access, story.version) == (before, access, version)
