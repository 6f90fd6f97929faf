"""subscription_status: what a buyer who came back sees within seconds, and what a customer may use."""

from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from tests.functions.door import asked_of_the_table, listening
from tests.functions.story import DECLINED_LATER, Story
from tests.functions.wire import Wire, be_down, lose_the_request
from tests.handlers import http_event, invoke, request
from tests.world import World, changed

DAY = 86_400
PAGE = "GET /v1/checkout/sessions"


def poll(story: Story) -> Any:
    return story.world.status(story.token["checkout_id"], customer=story.buyer)


class TestAPurchase:
    def test_is_being_confirmed_until_it_is_heard_of(self, story: Story) -> None:
        story.opens("ten_class_pass")
        found = poll(story)
        assert found["state"] == "confirming"
        assert found["attempt_after_ms"] == 2_000
        assert found["checkout_id"] == story.token["checkout_id"]
        assert found.get("purchase") is None
        assert found["billing_version"] == 0
        assert found["timeline"] == []

    def test_is_active_once_it_is_heard_of(self, story: Story) -> None:
        story.buys("ten_class_pass")
        story.hear()
        found = poll(story)
        assert (found["state"], found["attempt_after_ms"]) == ("active", 0)
        assert found["billing_version"] == 1
        assert found["purchase"] == story.purchase
        (paid,) = found["timeline"]
        assert paid["what"] == "payment paid: none -> active"
        assert (paid["said_by"], paid["channel"]) == ("stripe", "webhook")
        assert paid["settled_at"] >= paid["at"]

    @pytest.mark.parametrize("offer_id", ["day_pass", "monthly"])
    def test_is_active_with_all_webhooks_dead(self, story: Story, offer_id: str) -> None:
        story.buys(offer_id)
        assert poll(story)["state"] == "confirming"
        story.world.pass_time(3)
        found = poll(story)
        assert found["state"] == "active"
        assert found["purchase"]["offer_id"] == offer_id
        assert list(story.access) == [offer_id]
        assert {moment["channel"] for moment in found["timeline"]} == {"poll"}

    def test_is_failed_when_its_delayed_payment_failed_with_all_webhooks_dead(self, story: Story) -> None:
        story.buys("day_pass", "delayed_failure")
        story.world.pass_time(4)
        assert poll(story)["state"] == "failed"
        assert story.access == {}

    def test_is_expired_by_the_clock_alone(self, story: Story) -> None:
        story.opens("day_pass")
        story.world.pass_time(DAY)
        found = poll(story)
        assert (found["state"], found["attempt_after_ms"]) == ("expired", 0)

    def test_is_active_though_its_checkout_had_expired_here(self, story: Story) -> None:
        """Paid in its last second, and all webhooks dead: late money counts."""
        story.buys("day_pass")
        story.world.pass_time(DAY)
        assert poll(story)["state"] == "active"

    def test_can_be_over(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()
        story.cancel()
        story.hear()
        assert poll(story)["state"] == "expired"

    def test_can_be_refunded(self, story: Story) -> None:
        story.buys("day_pass")
        story.hear()
        story.post("refunds", payment_intent=story.session()["payment_intent"]["id"])
        story.hear()
        assert poll(story)["state"] == "refunded"

    def test_may_have_no_checkout_of_ours(self, story: Story) -> None:
        """A subscription made in the dashboard is its own pass."""
        story.opens("day_pass")
        product = story.post("products", name="Trainer", **{"metadata[offer_id]": "trainer"})["id"]
        price = {"recurring[interval]": "month", "unit_amount": 9_900, "currency": "eur", "product": product}
        fields = {f"items[0][price_data][{name}]": value for name, value in price.items() if "[" not in name}
        fields["items[0][price_data][recurring][interval]"] = "month"
        plan = story.post("subscriptions", customer=story.customer(), default_payment_method="pm_card_visa", **fields)
        story.hear()
        found = story.world.status(plan["id"], customer=story.buyer)
        assert found["state"] == "active"
        assert found["purchase"]["amount"] == 9_900


class TestThePoll:
    def test_is_two_reads_once_the_answer_is_known(self, story: Story, wire: Wire) -> None:
        story.buys("day_pass")
        story.hear()
        story.world.pass_time(60)
        wire.asked.clear()
        with asked_of_the_table(story.world) as asked:
            assert poll(story)["state"] == "active"
        assert asked == ["BatchGetItem", "Query"]  # the account with the purchase, and its timeline
        assert wire.asked == []

    def test_is_one_read_while_it_is_too_early_to_ask(self, story: Story, wire: Wire) -> None:
        story.opens("day_pass")
        wire.asked.clear()
        with asked_of_the_table(story.world) as asked:
            assert poll(story)["state"] == "confirming"
        assert asked == ["BatchGetItem"]
        assert wire.asked == []

    def test_asks_stripe_once_in_three_seconds(self, story: Story, wire: Wire) -> None:
        story.opens("day_pass")
        for expected in (1, 2):
            story.world.pass_time(3)
            for _ in range(3):
                assert poll(story)["state"] == "confirming"
            assert wire.count(PAGE) == expected

    def test_asks_stripe_from_the_third_second_on(self, story: Story, wire: Wire) -> None:
        """And three seconds later again, not sooner."""
        story.opens("day_pass")
        wire.asked.clear()
        asked = []
        for _ in range(6):
            story.world.pass_time(1)
            assert poll(story)["state"] == "confirming"
            asked.append(len(wire.asked))
        assert asked == [0, 0, 1, 1, 1, 2]
        assert wire.count(PAGE) == 2

    def test_asks_no_more_when_the_page_is_closed(self, story: Story, wire: Wire) -> None:
        story.opens("day_pass")
        story.world.pass_time(DAY)
        story.world.sweep()
        wire.asked.clear()
        assert poll(story)["state"] == "expired"
        assert wire.asked == []

    def test_goes_on_while_stripe_is_away(self, story: Story, wire: Wire) -> None:
        story.buys("day_pass")
        story.world.pass_time(3)
        wire.inject("", lose_the_request)
        found = poll(story)
        assert (found["state"], found["attempt_after_ms"]) == ("confirming", 2_000)
        wire.mend()
        story.world.pass_time(3)
        assert poll(story)["state"] == "active"

    def test_is_as_good_as_a_webhook_that_comes_later(self, story: Story) -> None:
        story.buys("monthly")
        story.world.pass_time(3)
        poll(story)
        before, access, version = story.purchase, story.access, story.version
        story.hear()
        assert (story.access, story.version) == (access, version)
        assert story.purchase == before | {"paid_at": story.purchase["paid_at"]}
        assert story.purchase["paid_at"] <= before["paid_at"]


class TestTheAccount:
    def test_of_somebody_new_is_empty(self, story: Story) -> None:
        wanted = {"customer_id": story.buyer, "billing_version": 0, "access": [], "purchases": []}
        assert story.account.items() >= wanted.items()
        assert story.account.get("checkout") is None
        assert story.account.get("booking") is None

    def test_is_one_snapshot_of_everything(self, story: Story) -> None:
        """Names and shapes are a contract with every client."""
        story.buys("day_pass")
        story.hear()
        paid_at, intent = story.purchase["paid_at"], story.session()["payment_intent"]["id"]
        story.opens("monthly")
        checkout_id = story.account["purchases"][0]["checkout_id"]
        common = {"purchase_id": checkout_id, "offer_id": "day_pass", "kind": "pass", "status": "active", "quantity": 1}
        found = story.account
        assert set(found) >= {"customer_id", "billing_version", "access", "purchases", "checkout"}
        assert (found["customer_id"], found["billing_version"]) == (story.buyer, 1)
        assert found["access"] == [common | {"until": None, "uses": None, "uses_left": None}]
        (purchase,) = found["purchases"]
        more = {"checkout_id": checkout_id, "amount": 1_500, "currency": "eur", "provider": "stripe"}
        assert purchase.items() >= (common | more | {"provider_ref": f"stripe#{intent}", "paid_at": paid_at}).items()
        assert (purchase["refunded"], purchase["until"], purchase["renews_at"], purchase["cancel_at"]) == (
            0,
            None,
            None,
            None,
        )
        assert found["checkout"] == story.token

    def test_of_a_subscription_tells_when_it_renews(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()
        assert story.purchase["renews_at"] == story.period_end()
        assert story.purchase["kind"] == "subscription"
        assert story.purchase["provider_ref"] == f"stripe#{story.plan()['id']}"
        (access,) = story.account["access"]
        assert access == {
            "purchase_id": story.token["checkout_id"],
            "offer_id": "monthly",
            "kind": "subscription",
            "status": "active",
            "quantity": 1,
            "until": story.period_end() + 7 * DAY,
            "uses": None,
            "uses_left": None,
        }

    def test_shows_no_access_that_the_clock_has_ended(self, story: Story) -> None:
        """No sweep has run, and no webhook has come."""
        story.buys("monthly", DECLINED_LATER)
        story.hear()
        until = story.access["monthly"]
        assert until
        story.world.pass_time(until - story.world.now())
        assert story.access == {}
        assert story.purchase["status"] == "ended"

    def test_lists_passes_newest_first(self, story: Story) -> None:
        for offer_id in ("day_pass", "ten_class_pass"):
            story.buys(offer_id)
            story.hear()
            story.world.pass_time(1)
        assert [purchase["offer_id"] for purchase in story.account["purchases"]] == ["ten_class_pass", "day_pass"]

    def test_is_kept_by_no_cache(self, story: Story) -> None:
        answer = request("GET /subscription-status", customer=story.buyer)
        assert answer.headers["cache-control"] == "no-store"

    def test_is_asked_of_nobody_but_the_table(self, story: Story, wire: Wire) -> None:
        story.opens("day_pass")
        story.world.pass_time(60)
        wire.inject("", be_down)
        wire.asked.clear()
        assert story.account["checkout"]["checkout_id"] == story.token["checkout_id"]
        assert wire.asked == []


class TestWhileWritersKeepComing:
    """Every read of the table finds another writer in the midst of it, as never happens for so long."""

    def test_the_account_is_read_again_and_at_last_refused(self, story: Story) -> None:
        table = story.world.services.table
        wrote: list[int] = []

        def write(**_: Any) -> None:
            account = table.account(story.buyer)
            wrote.append(table.commit(changed(account, account, now=story.world.now())).version)

        with listening(story.world, "after-call.dynamodb.Query", write):
            answer = request("GET /subscription-status", customer=story.buyer)
        assert len(wrote) > 3
        assert (answer.status, answer.json["type"]) == (503, "urn:paidup:problem:contended")
        assert answer.json["retryable"] is True
        assert int(answer.headers["retry-after"]) > 0
        assert story.account["purchases"] == []

    def test_the_poll_answers_what_is_known(self, story: Story, wire: Wire) -> None:
        story.opens("day_pass")
        story.world.pass_time(3)
        wire.asked.clear()

        def conflict(**_: Any) -> Any:
            code = {"Code": "TransactionCanceledException", "Message": "a writer is in the midst of it"}
            reasons = [{"Code": "TransactionConflict"}]
            return AWSResponse("", 400, HTTPHeaders(), None), {"Error": code, "CancellationReasons": reasons}

        with listening(story.world, "before-call.dynamodb.TransactWriteItems", conflict):
            assert poll(story)["state"] == "confirming"
        assert wire.asked == []


def test_a_gateway_that_sends_no_headers_is_answered(world: World) -> None:
    name, event = http_event("GET /subscription-status", customer=world.customer())
    assert invoke(name, event | {"headers": {}})["statusCode"] == 200
