"""Thin events name type and object alone: what became of the object is fetched."""

from datetime import UTC, datetime

import pytest

from tests.functions.merchant import GRACE, PLAN
from tests.functions.story import REFUND_FAILS, Story


class TestAThinEvent:
    """Type and object alone: what became of the object is fetched."""

    def tell(self, story: Story, type_: str, object_id: str) -> None:
        thin = {
            "id": f"evt_{type_}_{object_id}",
            "object": "v2.core.event",
            "type": f"v1.{type_}",
            "created": datetime.fromtimestamp(story.world.now(), UTC).isoformat(),
            "related_object": {"id": object_id, "type": "any", "url": "/v1/any"},
        }
        assert story.world.deliver(thin).status == 200
        assert story.world.work_queue() == []

    @pytest.mark.parametrize("type_", [f"{PLAN}.created", f"{PLAN}.updated"])
    def test_can_tell_of_a_subscription(self, story: Story, type_: str) -> None:
        story.buys("monthly")
        self.tell(story, type_, story.plan()["id"])
        assert story.access == {"monthly": story.period_end() + GRACE}

    def test_can_tell_of_its_invoice(self, story: Story) -> None:
        story.buys("monthly")
        self.tell(story, "invoice.paid", story.plan()["latest_invoice"])
        story.is_swept()
        assert story.access == {"monthly": story.period_end() + GRACE}

    def test_can_tell_of_its_end(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()
        plan = story.plan()["id"]
        story.cancel()
        self.tell(story, f"{PLAN}.deleted", plan)
        assert story.purchase["status"] == "canceled"

    def test_can_tell_of_a_refund(self, story: Story) -> None:
        story.buys("day_pass", REFUND_FAILS)
        story.hear()
        story.world.pass_time(2)
        intent = story.session()["payment_intent"]
        refund = story.post("refunds", payment_intent=intent["id"])["id"]
        self.tell(story, "charge.refunded", intent["latest_charge"])
        assert story.purchase["status"] == "refunded"
        story.world.pass_time(6)
        self.tell(story, "refund.failed", refund)
        assert story.purchase["status"] == "active"

    def test_can_tell_of_a_dispute(self, story: Story) -> None:
        story.buys("day_pass")
        story.hear()
        dispute = story.trigger("disputes", payment_intent=story.session()["payment_intent"]["id"])["id"]
        self.tell(story, "charge.dispute.created", dispute)
        assert story.purchase["status"] == "disputed"
        story.world.pass_time(2)
        story.trigger(f"disputes/{dispute}/close", status="won")
        self.tell(story, "charge.dispute.closed", dispute)
        assert story.purchase["status"] == "active"

    def test_can_tell_of_a_page(self, story: Story) -> None:
        story.buys("day_pass", "delayed_failure")
        story.world.pass_time(4)
        self.tell(story, "checkout.session.async_payment_failed", story.token["token"])
        assert story.purchase["status"] == "failed"
        story.opens("monthly")
        story.post(f"checkout/sessions/{story.token['token']}/expire")
        self.tell(story, "checkout.session.expired", story.token["token"])
        assert story.world.status(story.token["checkout_id"], customer=story.buyer)["state"] == "expired"
