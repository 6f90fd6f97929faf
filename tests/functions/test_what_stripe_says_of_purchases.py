"""What Stripe says of passes, their refunds and their disputes: every type of event that counts, each of them alone."""

from typing import Any

import pytest
from paidup.model.offer import Kind, Offer

from tests.functions.story import DISPUTED, REFUND_FAILS, Story
from tests.world import ORIGIN

DAY = 86_400
FREE = Offer(offer_id="taster", name="A first class, on us", kind=Kind.PASS, amount=0, currency="eur")


@pytest.fixture
def intent(story: Story) -> str:
    """The payment of a pass that was bought and heard of."""
    story.buys("ten_class_pass")
    story.hear()
    return str(story.session()["payment_intent"]["id"])


class TestAPass:
    def test_is_there_once_it_is_paid(self, story: Story) -> None:
        story.buys("ten_class_pass")
        story.hear("checkout.session.completed")
        midnight = -(-(story.purchase["paid_at"] + 180 * DAY) // DAY) * DAY
        assert story.purchase["status"] == "active"
        assert story.access == {"ten_class_pass": midnight}
        assert story.version == 1

    def test_holds_as_long_whichever_channel_hears_of_it_first_and_however_late(self, story: Story) -> None:
        """Days later the sync fetches what the webhook would have told at once."""
        story.buys("ten_class_pass")
        (told,) = story.news("checkout.session.completed")
        story.world.pass_time(5 * DAY)
        assert story.world.sync(customer=story.buyer).json["granted"] == [story.token["checkout_id"]]
        midnight = -(-(told["created"] + 180 * DAY) // DAY) * DAY
        assert story.access == {"ten_class_pass": midnight}
        story.world.deliver(told)
        assert story.access == {"ten_class_pass": midnight}

    def test_holds_from_the_end_of_a_delayed_payment(self, story: Story) -> None:
        """That its charge was made days before the bank agreed takes no days away."""
        story.buys("ten_class_pass", "delayed_success")
        story.world.pass_time(2 * DAY)
        (_, succeeded) = story.news("checkout.session.completed", "checkout.session.async_payment_succeeded")
        assert story.world.sync(customer=story.buyer).json["granted"] == [story.token["checkout_id"]]
        assert story.purchase["paid_at"] >= succeeded["created"]
        story.world.deliver(succeeded)
        assert story.purchase["paid_at"] == succeeded["created"]

    def test_is_what_was_sold_whatever_somebody_made_of_its_metadata_in_the_dashboard(self, story: Story) -> None:
        story.opens("ten_class_pass")
        garbled = {"offer_id": "", "kind": "classes", "valid_days": "half a year", "asked": "12,00"}
        metadata = {f"metadata[{field}]": text for field, text in garbled.items()}
        story.post(f"checkout/sessions/{story.token['token']}", **metadata)
        story.pays()
        story.hear("checkout.session.completed")
        midnight = -(-(story.purchase["paid_at"] + 180 * DAY) // DAY) * DAY
        assert story.access == {"ten_class_pass": midnight}

    def test_can_hold_for_good(self, story: Story) -> None:
        story.buys("day_pass")
        story.hear("checkout.session.completed")
        assert story.access == {"day_pass": None}

    def test_can_be_free(self, story: Story) -> None:
        story.world.services.table.put_offer(FREE)
        story.buys("taster")
        (told,) = story.news("checkout.session.completed")
        story.world.pass_time(5 * DAY)
        assert story.world.sync(customer=story.buyer).json["granted"] == [story.token["checkout_id"]]
        assert story.purchase["status"] == "active"
        assert story.access == {"taster": None}
        assert story.purchase["paid_at"] <= told["created"] + DAY, "its page was open no longer"

    def test_waits_for_a_delayed_payment_that_succeeds(self, story: Story) -> None:
        story.buys("day_pass", "delayed_success")
        story.hear("checkout.session.completed")
        assert story.purchase["status"] == "pending"
        assert story.access == {}
        assert story.account.get("checkout") is None
        story.world.pass_time(4)
        story.hear("checkout.session.async_payment_succeeded")
        assert story.purchase["status"] == "active"
        assert story.access == {"day_pass": None}
        assert story.version == 1

    def test_waits_for_a_delayed_payment_that_fails(self, story: Story) -> None:
        story.buys("day_pass", "delayed_failure")
        story.hear("checkout.session.completed")
        story.world.pass_time(4)
        story.hear("checkout.session.async_payment_failed")
        assert story.purchase["status"] == "failed"
        assert story.access == {}
        assert story.version == 0
        assert story.world.status(story.token["checkout_id"], customer=story.buyer)["state"] == "failed"

    def test_is_told_by_the_last_attempt_not_by_the_first(self, story: Story) -> None:
        story.opens("day_pass")
        story.pays("4000000000000002")
        story.hear()
        assert story.account["purchases"] == []
        story.pays()
        story.hear()
        assert story.purchase["status"] == "active"

    def test_is_not_there_where_the_page_expired(self, story: Story) -> None:
        story.opens("day_pass")
        story.world.pass_time(DAY)
        story.hear("checkout.session.expired")
        assert story.account["purchases"] == []
        assert story.world.status(story.token["checkout_id"], customer=story.buyer)["state"] == "expired"
        checkout = story.world.services.table.checkout(story.buyer, story.token["checkout_id"])
        assert checkout
        assert checkout.status == "expired"
        assert checkout.due_at is None

    def test_survives_the_expiry_of_the_page_that_it_replaced(self, story: Story) -> None:
        story.opens("day_pass")
        old = story.token["token"]
        story.buys("ten_class_pass")
        story.post(f"checkout/sessions/{old}/expire")
        story.hear()
        assert list(story.access) == ["ten_class_pass"]


class TestARefund:
    def test_of_a_part_keeps_the_pass(self, story: Story, intent: str) -> None:
        story.post("refunds", payment_intent=intent, amount=5_000)
        story.hear("charge.refunded")
        assert story.purchase["status"] == "active"
        assert story.purchase["refunded"] == 5_000
        assert list(story.access) == ["ten_class_pass"]
        assert story.version == 1

    def test_of_all_takes_it_away(self, story: Story, intent: str) -> None:
        story.post("refunds", payment_intent=intent)
        story.hear("charge.refunded")
        assert story.purchase["status"] == "refunded"
        assert story.access == {}
        assert story.version == 2
        assert story.world.status(story.token["checkout_id"], customer=story.buyer)["state"] == "refunded"

    def test_of_all_in_parts_takes_it_away_in_whatever_order_they_are_told(self, story: Story, intent: str) -> None:
        for amount in (4_000, 3_000, 5_000):
            story.post("refunds", payment_intent=intent, amount=amount)
            story.world.pass_time(1)
        news = story.news("charge.refunded")
        assert [event["data"]["object"]["amount_refunded"] for event in news] == [4_000, 7_000, 12_000]
        for event in (news[2], news[0], news[1]):
            story.world.deliver(event)
        assert story.world.work_queue() == []
        assert story.purchase["status"] == "refunded"
        assert story.purchase["refunded"] == 12_000

    def test_that_fails_without_a_word_is_found_by_a_sync(self, story: Story) -> None:
        """The money is with the shop again, and so the pass with its customer."""
        story.buys("ten_class_pass", REFUND_FAILS)
        story.hear()
        story.post("refunds", payment_intent=story.session()["payment_intent"]["id"])
        story.hear("charge.refunded")
        story.world.pass_time(6)
        assert story.world.sync(customer=story.buyer).json["granted"] == [story.token["checkout_id"]]
        assert (story.purchase["status"], story.purchase["refunded"]) == ("active", 0)

    def test_that_never_was_is_no_part_of_the_timeline(self, story: Story) -> None:
        story.buys("ten_class_pass")
        story.world.pass_time(4)
        shown = story.world.status(story.token["checkout_id"], customer=story.buyer)
        assert shown["state"] == "active"
        assert [moment["what"] for moment in shown["timeline"] if "refund" in moment["what"]] == []
        lines = story.world.services.table.timeline(story.buyer)
        assert [line.register for line in lines] == ["payment"]

    def test_that_fails_brings_it_back(self, story: Story) -> None:
        story.buys("ten_class_pass", REFUND_FAILS)
        story.hear()
        story.post("refunds", payment_intent=story.session()["payment_intent"]["id"])
        story.hear("charge.refunded")
        assert story.access == {}
        story.world.pass_time(6)
        story.hear("refund.failed")
        assert story.purchase["status"] == "active"
        assert story.purchase["refunded"] == 0
        assert list(story.access) == ["ten_class_pass"]
        assert story.version == 3


class TestADispute:
    def test_holds_the_pass_while_it_is_open(self, story: Story, intent: str) -> None:
        story.trigger("disputes", payment_intent=intent)
        story.hear("charge.dispute.created")
        assert story.purchase["status"] == "disputed"
        assert story.access == {}
        assert story.version == 2

    def test_can_come_by_itself(self, story: Story) -> None:
        story.buys("ten_class_pass", DISPUTED)
        story.hear()
        story.world.pass_time(4)
        assert "charge.dispute.created" in story.hear()
        assert story.access == {}

    def test_that_is_won_gives_it_back(self, story: Story, intent: str) -> None:
        dispute = story.trigger("disputes", payment_intent=intent)
        story.hear()
        story.trigger(f"disputes/{dispute['id']}/close", status="won")
        story.hear("charge.dispute.closed")
        assert story.purchase["status"] == "active"
        assert list(story.access) == ["ten_class_pass"]
        assert story.version == 3

    def test_that_is_lost_ends_it(self, story: Story, intent: str) -> None:
        dispute = story.trigger("disputes", payment_intent=intent)
        story.hear()
        story.trigger(f"disputes/{dispute['id']}/close", status="lost")
        story.hear("charge.dispute.closed")
        assert story.purchase["status"] == "charged_back"
        assert story.access == {}
        assert story.version == 2

    def test_that_only_asks_changes_nothing(self, story: Story, intent: str) -> None:
        inquiry = story.trigger("disputes", payment_intent=intent, inquiry=True)
        story.hear("charge.dispute.created")
        assert story.purchase["status"] == "active"
        story.trigger(f"disputes/{inquiry['id']}/close", status="warning_closed")
        story.hear("charge.dispute.closed")
        assert story.purchase["status"] == "active"
        assert story.version == 1


class TestNothingComesOf:
    """Other things are sold through the same Stripe account."""

    def ignored(self, story: Story, type_: str, thing: dict[str, Any]) -> None:
        event_id, said = f"evt_{story.buyer}", {"object": "event", "created": story.world.now()}
        event = {"id": event_id, "type": type_, "data": {"object": thing}}
        assert story.world.deliver(said | event).status == 200
        assert story.world.work_queue() == []
        row = story.world.services.table.event("stripe", event_id)
        assert row
        assert row.status == "ignored"

    def test_a_session_without_our_metadata(self, story: Story) -> None:
        page = {"id": "cs_1", "object": "checkout.session", "metadata": {"order": "7"}, "status": "complete"}
        self.ignored(story, "checkout.session.completed", page | {"payment_status": "paid"})

    @pytest.mark.parametrize("parent", [None, {"type": "quote_details", "subscription_details": None}])
    def test_an_invoice_of_no_subscription(self, story: Story, parent: Any) -> None:
        self.ignored(story, "invoice.paid", {"id": "in_1", "object": "invoice", "parent": parent})

    def test_a_charge_of_nothing_that_we_sold(self, story: Story) -> None:
        money = {"amount": 1, "amount_refunded": 1, "currency": "eur"}
        charge: dict[str, Any] = {"id": "ch_1", "object": "charge", "metadata": {}, "payment_intent": None}
        self.ignored(story, "charge.refunded", charge | money)

    def test_a_charge_by_another_page(self, story: Story) -> None:
        customer = story.post("customers", email="eve@example.com")["id"]
        price = {"currency": "eur", "unit_amount": "100", "product_data][name": "Something else"}
        fields = {f"line_items[0][price_data][{name}]": value for name, value in price.items()}
        more = {"mode": "payment", "customer": customer, "success_url": ORIGIN, "line_items[0][quantity]": "1"}
        page = story.post("checkout/sessions", **(fields | more))
        story.world.pay(page["url"])
        story.post("refunds", payment_intent=self.intent(story, page["id"]))
        assert len(story.hear("checkout.session.completed", "charge.refunded")) == 2
        assert story.account["purchases"] == []

    def intent(self, story: Story, page: str) -> str:
        return str(story.world.stripe.v1.checkout.sessions.retrieve(page).payment_intent)
