"""A subscription that was made anew, migrated or sold twice under the same metadata never hides the one that runs."""

from typing import Any

import pytest

from tests.functions.merchant import DAY, GRACE, PLAN, cases, deliver, intent_of
from tests.functions.story import Story
from tests.handlers import request


def plans(story: Story) -> list[Any]:
    """Return the buyer's subscriptions at Stripe, the newest first."""
    asked: Any = {"customer": story.customer(), "status": "all"}
    return [one.to_dict() for one in story.world.stripe.v1.subscriptions.list(asked).data]


def ends(plan: Any) -> int:
    return int(plan["items"]["data"][0]["current_period_end"])


def made_anew(story: Story, **more: Any) -> str:
    """Make the buyer's subscription once more, with the same price and metadata, and return its id."""
    old = story.plan()
    metadata = {f"metadata[{name}]": value for name, value in old["metadata"].items()}
    fields: dict[str, Any] = {
        "customer": old["customer"],
        "default_payment_method": old["default_payment_method"],
        "items[0][price_data][currency]": "eur",
        "items[0][price_data][unit_amount]": 4_900,
        "items[0][price_data][recurring][interval]": "month",
        "items[0][price_data][product]": old["items"]["data"][0]["price"]["product"],
    }
    return str(story.post("subscriptions", **(fields | metadata | more))["id"])


class TestASubscriptionThatWasMadeAnew:
    @pytest.fixture
    def old(self, story: Story) -> str:
        story.buys("monthly")
        story.hear()
        story.world.pass_time(2 * DAY)
        return str(story.plan()["id"])

    def test_goes_on_when_the_old_one_was_deleted_before(self, story: Story, old: str) -> None:
        story.world.stripe.v1.subscriptions.cancel(old)
        story.world.pass_time(5)
        made_anew(story)

        story.hear()

        assert story.access == {"monthly": ends(plans(story)[0]) + GRACE}
        assert story.purchase["status"] == "active"
        assert story.purchase["purchase_id"] == story.token["checkout_id"]

    def test_goes_on_when_the_old_one_is_deleted_after(self, story: Story, old: str) -> None:
        made_anew(story)
        story.hear()
        story.world.pass_time(DAY)

        story.world.stripe.v1.subscriptions.cancel(old)
        story.hear()

        assert story.access == {"monthly": ends(plans(story)[0]) + GRACE}

    @pytest.mark.parametrize("what", ["cancel", "resume", "change"])
    def test_is_the_one_that_is_managed_though_nobody_told_that_the_old_one_ended(
        self, story: Story, old: str, what: str
    ) -> None:
        new = made_anew(story)
        story.hear()
        known = story.world.services.table.purchase(story.buyer, story.purchase["purchase_id"])
        assert known
        assert known.subscription
        managed = known.subscription.ref
        (other,) = {old, new} - {managed}
        if what == "resume":
            for one in (old, new):
                story.post(f"subscriptions/{one}", cancel_at_period_end="true")
            story.hear()
        story.world.stripe.v1.subscriptions.cancel(managed)
        story.world.pass_time(5)

        body = {"offer_id": "yearly"} if what == "change" else {}
        answer = request(f"POST /purchases/{story.purchase['purchase_id']}/{what}", customer=story.buyer, body=body)

        assert answer.status == 200, answer.text
        plan = story.world.stripe.v1.subscriptions.retrieve(other).to_dict()
        assert plan["cancel_at_period_end"] is (what == "cancel")
        interval = plan["items"]["data"][0]["price"]["recurring"]["interval"]
        assert interval == ("year" if what == "change" else "month")

    def test_goes_on_in_any_order_of_events(self, story: Story, old: str) -> None:
        story.world.stripe.v1.subscriptions.cancel(old)
        story.world.pass_time(5)
        made_anew(story)

        deliver(story, *reversed(story.news()))

        assert story.access == {"monthly": ends(plans(story)[0]) + GRACE}

    @pytest.mark.parametrize("alone", [f"{PLAN}.created", "invoice.paid"])
    def test_is_known_by_any_one_of_its_events(self, story: Story, old: str, alone: str) -> None:
        story.world.stripe.v1.subscriptions.cancel(old)
        story.hear()
        made_anew(story)

        story.hear(alone)
        story.is_swept()

        assert story.access == {"monthly": ends(plans(story)[0]) + GRACE}

    def test_is_known_by_a_sync(self, story: Story, old: str) -> None:
        story.world.stripe.v1.subscriptions.cancel(old)
        made_anew(story)
        story.news()
        story.world.pass_time(10)

        story.world.sync(customer=story.buyer)

        assert story.access == {"monthly": ends(plans(story)[0]) + GRACE}

    def test_keeps_the_month_that_the_old_one_paid_no_longer(self, story: Story, old: str) -> None:
        new = made_anew(story)
        story.hear()
        story.world.pass_time(DAY)

        story.world.stripe.v1.subscriptions.cancel(new)
        story.hear()

        (first,) = [one for one in plans(story) if one["id"] == old]
        assert story.access == {"monthly": ends(first) + GRACE}

    def test_ends_with_the_last_of_them(self, story: Story, old: str) -> None:
        made_anew(story)
        story.hear()
        story.world.pass_time(5)

        story.cancel()
        story.hear()

        assert story.access == {}
        assert story.purchase["status"] == "canceled"

    def test_is_renewed_on_its_own(self, story: Story, old: str) -> None:
        story.world.stripe.v1.subscriptions.cancel(old)
        made_anew(story)
        story.hear()
        story.world.pass_time(32 * DAY)

        story.hear()

        assert story.access == {"monthly": ends(plans(story)[0]) + GRACE}

    def test_that_is_not_paid_leaves_the_old_one(self, story: Story, old: str) -> None:
        made_anew(story, default_payment_method="pm_card_chargeCustomerFail")

        story.hear()

        (first,) = [one for one in plans(story) if one["id"] == old]
        assert story.access == {"monthly": ends(first) + GRACE}
        assert story.purchase["status"] == "active"

    def test_is_granted_still_when_the_old_one_is_refunded(self, story: Story, old: str) -> None:
        paid = intent_of(story, story.plan()["latest_invoice"])
        story.world.stripe.v1.subscriptions.cancel(old)
        made_anew(story)
        story.hear()

        story.post("refunds", payment_intent=paid)
        story.hear()

        assert story.access == {"monthly": ends(plans(story)[0]) + GRACE}
        assert "unknown-price" not in cases(story)

    def test_is_ended_by_its_own_refund_alone(self, story: Story, old: str) -> None:
        story.world.stripe.v1.subscriptions.cancel(old)
        story.world.pass_time(5)
        made_anew(story)
        story.hear()

        story.post("refunds", payment_intent=intent_of(story, plans(story)[0]["latest_invoice"]))
        story.hear()

        assert story.access == {}


class TestTwoPlansUnderOneMetadata:
    def test_are_both_granted(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()
        first = story.period_end()
        price = "items[0][price_data]"
        product = story.post("products", name="Locker", **{"metadata[offer_id]": "locker"})["id"]
        fields = {f"{price}[unit_amount]": 500, f"{price}[product]": product, f"{price}[currency]": "eur"}
        story.world.pass_time(DAY)

        made_anew(story, **fields)
        story.hear()

        assert story.access == {"monthly": first + GRACE, "locker": ends(plans(story)[0]) + GRACE}

    def test_of_the_same_grant_the_longer_one(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()
        story.world.pass_time(10 * DAY)

        made_anew(story)
        story.hear()

        assert story.access == {"monthly": ends(plans(story)[0]) + GRACE}
