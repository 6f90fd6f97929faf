"""What moves money or access in the rarer ways, and events that are of another version or cannot be read."""

from typing import Any

import pytest

from tests.functions.merchant import (
    DAY,
    GRACE,
    PLAN,
    as_in_2024,
    cases,
    deliver,
    invoice,
    paid_with,
)
from tests.functions.story import DECLINED_LATER, Story


def intent(story: Story) -> str:
    return str(story.session()["payment_intent"]["id"])


class TestARefundThatDoesNotArrive:
    @pytest.fixture
    def refund(self, story: Story) -> str:
        story.buys("ten_class_pass")
        story.hear()
        refund = str(story.post("refunds", payment_intent=intent(story))["id"])
        story.hear()
        assert (story.purchase["status"], story.access) == ("refunded", {})
        story.world.pass_time(DAY)
        return refund

    @pytest.mark.parametrize("how", ["cancel", "fail"])
    def test_gives_access_back(self, story: Story, refund: str, how: str) -> None:
        story.trigger(f"refunds/{refund}/{how}")

        story.hear()

        assert set(story.access) == {"ten_class_pass"}
        assert (story.purchase["status"], story.purchase["refunded"]) == ("active", 0)

    @pytest.mark.parametrize("alone", ["refund.updated", "charge.refund.updated"])
    def test_that_is_cancelled_is_known_by_any_one_of_its_events(self, story: Story, refund: str, alone: str) -> None:
        story.trigger(f"refunds/{refund}/cancel")

        story.hear(alone)

        assert set(story.access) == {"ten_class_pass"}

    def test_for_a_subscription_gives_its_month_back(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()
        refund = story.post("refunds", payment_intent=paid_with(story))["id"]
        story.hear()
        assert story.access == {}
        story.world.pass_time(DAY)

        story.trigger(f"refunds/{refund}/cancel")
        story.hear()

        assert story.access == {"monthly": story.period_end() + GRACE}


class TestADispute:
    @pytest.fixture
    def disputed_intent(self, story: Story) -> str:
        story.buys("ten_class_pass")
        story.hear()
        return intent(story)

    def goes(self, story: Story, dispute: str, *statuses: str) -> None:
        for status in statuses:
            story.world.pass_time(DAY)
            story.trigger(f"disputes/{dispute}/close", status=status)
            story.hear()

    def test_that_was_blocked_before_it_began_takes_nothing(self, story: Story, disputed_intent: str) -> None:
        story.trigger("disputes", payment_intent=disputed_intent, kind="block")

        story.hear()

        assert set(story.access) == {"ten_class_pass"}

    def test_that_was_resolved_with_the_money_takes_the_access(self, story: Story, disputed_intent: str) -> None:
        story.trigger("disputes", payment_intent=disputed_intent, kind="resolution")

        story.hear()

        assert story.access == {}

    def test_that_is_appealed_and_won_gives_access_back(self, story: Story, disputed_intent: str) -> None:
        dispute = story.trigger("disputes", payment_intent=disputed_intent)["id"]
        self.goes(story, dispute, "under_review", "appeal_needs_response", "appeal_under_review")
        assert (story.purchase["status"], story.access) == ("disputed", {})

        self.goes(story, dispute, "won")

        assert set(story.access) == {"ten_class_pass"}

    def test_that_is_appealed_and_lost_stays_lost(self, story: Story, disputed_intent: str) -> None:
        dispute = story.trigger("disputes", payment_intent=disputed_intent)["id"]

        self.goes(story, dispute, "under_review", "appeal_needs_response", "lost")

        assert (story.purchase["status"], story.access) == ("charged_back", {})

    def test_that_only_asks_and_is_closed_takes_nothing(self, story: Story, disputed_intent: str) -> None:
        dispute = story.trigger("disputes", payment_intent=disputed_intent, kind="inquiry")["id"]

        self.goes(story, dispute, "warning_under_review", "warning_closed")

        assert set(story.access) == {"ten_class_pass"}


class TestAnInvoiceThatIsGivenUp:
    @pytest.fixture
    def overdue(self, story: Story) -> str:
        """The invoice of a renewal that was declined a day ago, in its days of grace."""
        story.buys("monthly", DECLINED_LATER)
        story.hear()
        story.world.pass_time(story.period_end() + DAY - story.world.now())
        story.hear()
        assert set(story.access) == {"monthly"}
        return str(invoice(story)["id"])

    @pytest.mark.parametrize(
        ("how", "alone"),
        [
            ("void", "invoice.voided"),
            ("void", f"{PLAN}.updated"),
            ("mark_uncollectible", "invoice.marked_uncollectible"),
        ],
    )
    def test_for_a_renewal_gives_no_grace(self, story: Story, overdue: str, how: str, alone: str) -> None:
        story.post(f"invoices/{overdue}/{how}")
        story.hear(alone)
        story.is_swept()

        assert story.access == {}

    def test_and_paid_after_all_gives_the_month(self, story: Story, overdue: str) -> None:
        story.post(f"invoices/{overdue}/mark_uncollectible")
        story.hear()

        story.post(f"invoices/{overdue}/pay", paid_out_of_band="true")
        story.hear()

        assert story.access == {"monthly": story.period_end() + GRACE}


class TestAnEventOfAnotherVersion:
    def old(self, story: Story, *types: str) -> list[dict[str, Any]]:
        return [as_in_2024(one) for one in story.news() if not types or one["type"] in types]

    @pytest.mark.parametrize(
        "alone", ["checkout.session.completed", f"{PLAN}.created", f"{PLAN}.updated", "invoice.paid"]
    )
    def test_of_a_purchase_is_granted(self, story: Story, alone: str) -> None:
        story.buys("monthly")
        if alone == f"{PLAN}.updated":
            story.post(f"subscriptions/{story.plan()['id']}", description="Seen")

        deliver(story, *self.old(story, alone))
        story.is_swept()

        assert story.access == {"monthly": story.period_end() + GRACE}

    @pytest.mark.parametrize("alone", [f"{PLAN}.updated", "invoice.paid"])
    def test_of_a_renewal_counts(self, story: Story, alone: str) -> None:
        story.buys("monthly")
        story.hear()
        story.world.pass_time(32 * DAY)

        deliver(story, *self.old(story, alone))
        story.is_swept()

        assert story.access == {"monthly": story.period_end() + GRACE}

    def test_of_an_end_is_settled(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()
        story.cancel()

        deliver(story, *self.old(story, f"{PLAN}.deleted"))

        assert (story.purchase["status"], story.access) == ("canceled", {})

    def test_of_a_refund_is_settled(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()
        story.post("refunds", payment_intent=paid_with(story))

        deliver(story, *self.old(story, "charge.refunded"))

        assert (story.purchase["status"], story.access) == ("refunded", {})

    def test_of_the_old_shape_without_its_version_is_settled(self, story: Story) -> None:
        """Its shape alone shows that it is of another version."""
        story.buys("monthly")
        story.hear()
        story.world.pass_time(32 * DAY)

        deliver(story, *[one | {"api_version": None} for one in self.old(story, f"{PLAN}.updated", "invoice.paid")])

        assert story.access == {"monthly": story.period_end() + GRACE}

    def test_of_anything_ends_like_all_events_do(self, story: Story) -> None:
        story.buys("monthly", DECLINED_LATER, quantity=2)
        deliver(story, *self.old(story))
        end = story.period_end()
        story.world.pass_time(end + DAY - story.world.now())

        deliver(story, *self.old(story))

        assert story.access == {"monthly": end + GRACE}
        assert (story.purchase["status"], story.purchase["quantity"]) == ("past_due", 2)
        assert cases(story) == {}
