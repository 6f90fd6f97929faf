"""Everything is tied to a purchase by the ids that our table knows: all metadata at Stripe may be gone."""

from typing import Any

import pytest

from tests.functions.merchant import DAY, GRACE, PLAN, deliver, invoice, paid_with, wipe
from tests.functions.story import DECLINED_LATER, REFUND_FAILS, Story


def bare(thing: Any) -> Any:
    """Return *thing*, an event or a part of one, as Stripe would have sent it if nothing had ever had metadata."""
    if isinstance(thing, dict):
        return {key: {} if key == "metadata" else bare(value) for key, value in thing.items()}
    return [bare(one) for one in thing] if isinstance(thing, list) else thing


class TestASubscription:
    @pytest.fixture(autouse=True)
    def tidied(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()
        wipe(story)
        story.hear()

    def same(self, story: Story) -> bool:
        """Whether there is one purchase still, the one that was bought."""
        return bool(story.purchase["purchase_id"] == story.token["checkout_id"])

    @pytest.mark.parametrize("alone", [f"{PLAN}.updated", "invoice.paid"])
    def test_is_renewed(self, story: Story, alone: str) -> None:
        story.world.pass_time(32 * DAY)

        story.hear(alone)
        story.is_swept()

        assert story.access == {"monthly": story.period_end() + GRACE}
        assert self.same(story)

    def test_ends(self, story: Story) -> None:
        story.cancel()

        story.hear(f"{PLAN}.deleted")

        assert (story.purchase["status"], story.access) == ("canceled", {})
        assert self.same(story)

    @pytest.mark.parametrize("alone", ["charge.refunded", "refund.updated"])
    def test_is_refunded(self, story: Story, alone: str) -> None:
        intent = paid_with(story)
        story.world.pass_time(DAY)

        refund = story.post("refunds", payment_intent=intent)["id"]
        if alone != "charge.refunded":
            story.post(f"refunds/{refund}", **{"metadata[note]": "sorry"})
        fresh = [one for one in story.news() if one["type"] == alone]
        deliver(story, *fresh)

        assert fresh, "Stripe has no such event"
        assert (story.purchase["status"], story.access) == ("refunded", {})
        assert self.same(story)

    def test_is_disputed(self, story: Story) -> None:
        dispute = story.trigger("disputes", payment_intent=paid_with(story))["id"]
        story.hear("charge.dispute.created")
        assert (story.purchase["status"], story.access) == ("disputed", {})

        story.trigger(f"disputes/{dispute}/close", status="lost")
        story.hear("charge.dispute.closed")

        assert story.purchase["status"] == "charged_back"
        assert self.same(story)

    def test_is_refunded_after_its_renewal(self, story: Story) -> None:
        story.world.pass_time(32 * DAY)
        story.hear()

        story.post("refunds", payment_intent=paid_with(story))
        story.hear("charge.refunded")

        assert (story.purchase["status"], story.access) == ("refunded", {})
        assert self.same(story)

    def test_is_found_by_a_sync_and_the_sweep(self, story: Story) -> None:
        story.world.pass_time(32 * DAY)
        story.news()

        assert story.world.sync(customer=story.buyer).json["problems"] == []
        assert story.access == {"monthly": story.period_end() + GRACE}
        story.world.pass_time(31 * DAY)
        story.world.sweep()

        assert story.access == {"monthly": story.period_end() + GRACE}
        assert self.same(story)

    def test_is_written_off(self, story: Story) -> None:
        story.trigger("cards", customer=story.customer(), card=DECLINED_LATER)
        story.hear()
        story.world.pass_time(32 * DAY)
        story.hear()

        story.post(f"invoices/{invoice(story)['id']}/mark_uncollectible")
        story.hear("invoice.marked_uncollectible")

        assert story.access == {}
        assert self.same(story)


class TestAPass:
    @pytest.fixture
    def paid_pass(self, story: Story) -> Story:
        story.buys("ten_class_pass")
        story.hear()
        wipe(story)
        story.hear()
        return story

    def intent(self, story: Story) -> str:
        return str(story.session()["payment_intent"]["id"])

    def test_is_refunded(self, paid_pass: Story) -> None:
        paid_pass.post("refunds", payment_intent=self.intent(paid_pass))

        paid_pass.hear("charge.refunded")

        assert (paid_pass.purchase["status"], paid_pass.access) == ("refunded", {})

    def test_is_disputed(self, paid_pass: Story) -> None:
        paid_pass.trigger("disputes", payment_intent=self.intent(paid_pass))

        paid_pass.hear("charge.dispute.created")

        assert (paid_pass.purchase["status"], paid_pass.access) == ("disputed", {})

    def test_is_refunded_and_the_refund_fails(self, story: Story) -> None:
        story.buys("ten_class_pass", REFUND_FAILS)
        story.hear()
        wipe(story)
        story.post("refunds", payment_intent=self.intent(story))
        story.hear("charge.refunded")
        assert story.access == {}
        story.world.pass_time(10)

        story.hear("refund.failed")

        assert set(story.access) == {"ten_class_pass"}

    def test_is_known_by_its_page_alone(self, story: Story) -> None:
        """Somebody tidied up before paidup heard of the payment: the checkout is known by its page."""
        story.buys("ten_class_pass")

        (paid,) = [one for one in bare(story.news()) if one["type"] == "checkout.session.completed"]
        deliver(story, paid)

        assert set(story.access) == {"ten_class_pass"}
        assert story.purchase["purchase_id"] == story.token["checkout_id"]


class TestASubscriptionThatNeverHadAny:
    @pytest.mark.parametrize("alone", ["checkout.session.completed", f"{PLAN}.created", "invoice.paid"])
    def test_is_known_by_its_page_or_its_customer(self, story: Story, alone: str) -> None:
        story.buys("monthly")
        wipe(story)

        deliver(story, *[one for one in bare(story.news()) if one["type"] == alone])
        story.is_swept()

        assert story.access == {"monthly": story.period_end() + GRACE}

    def test_is_one_purchase_whatever_is_said_of_it(self, story: Story) -> None:
        story.buys("monthly")
        wipe(story)

        deliver(story, *reversed(bare(story.news())))

        assert story.access == {"monthly": story.period_end() + GRACE}
        assert len(story.account["purchases"]) == 1
