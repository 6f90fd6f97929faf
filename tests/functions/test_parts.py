"""Parts are parts: less than the whole keeps access and opens a case; several, of both kinds, add up."""

import pytest

from tests.functions.merchant import DAY, GRACE, cases, paid_with
from tests.functions.story import Story


class TestAPass:
    @pytest.fixture
    def pass_intent(self, story: Story) -> str:
        story.buys("ten_class_pass")
        story.hear()
        return str(story.session()["payment_intent"]["id"])

    def keeps(self, story: Story) -> bool:
        return set(story.access) == {"ten_class_pass"} and list(cases(story)) == ["partly-taken-back"]

    def test_refunded_in_part_is_kept(self, story: Story, pass_intent: str) -> None:
        story.post("refunds", payment_intent=pass_intent, amount=5_000)
        story.hear()

        assert self.keeps(story)
        assert story.purchase["refunded"] == 5_000

    def test_disputed_in_part_is_kept(self, story: Story, pass_intent: str) -> None:
        story.trigger("disputes", payment_intent=pass_intent, amount=5_000)
        story.hear()

        assert self.keeps(story)

    def test_disputed_in_parts_that_are_the_whole_is_held(self, story: Story, pass_intent: str) -> None:
        for amount in (5_000, 7_000):
            story.trigger("disputes", payment_intent=pass_intent, amount=amount)
            story.hear()
            story.world.pass_time(DAY)

        assert (story.purchase["status"], story.access) == ("disputed", {})

    def test_refunded_in_parts_that_are_the_whole_is_refunded(self, story: Story, pass_intent: str) -> None:
        for amount in (5_000, 4_000, 3_000):
            story.post("refunds", payment_intent=pass_intent, amount=amount)
            story.hear()
            story.world.pass_time(DAY)

        assert (story.purchase["status"], story.access) == ("refunded", {})
        assert cases(story) == {}

    def test_refunded_and_disputed_for_the_whole_together_is_held(self, story: Story, pass_intent: str) -> None:
        story.post("refunds", payment_intent=pass_intent, amount=5_000)
        story.hear()
        story.world.pass_time(DAY)

        story.trigger("disputes", payment_intent=pass_intent, amount=7_000)
        story.hear()

        assert (story.purchase["status"], story.access) == ("disputed", {})
        assert cases(story) == {}

    def test_of_which_a_dispute_is_won_is_kept_with_the_rest_as_a_case(self, story: Story, pass_intent: str) -> None:
        story.trigger("disputes", payment_intent=pass_intent, amount=5_000)
        second = story.trigger("disputes", payment_intent=pass_intent, amount=7_000)["id"]
        story.hear()
        assert story.access == {}
        story.world.pass_time(DAY)

        story.trigger(f"disputes/{second}/close", status="won")
        story.hear()

        assert self.keeps(story)

    def test_whose_part_came_back_has_no_case(self, story: Story, pass_intent: str) -> None:
        dispute = story.trigger("disputes", payment_intent=pass_intent, amount=5_000)["id"]
        story.hear()
        story.world.pass_time(DAY)

        story.trigger(f"disputes/{dispute}/close", status="won")
        story.hear()

        assert set(story.access) == {"ten_class_pass"}
        assert cases(story) == {}

    def test_that_lost_a_part_is_kept(self, story: Story, pass_intent: str) -> None:
        dispute = story.trigger("disputes", payment_intent=pass_intent, amount=5_000)["id"]
        story.hear()
        story.world.pass_time(DAY)

        story.trigger(f"disputes/{dispute}/close", status="lost")
        story.hear()

        assert self.keeps(story)


class TestASubscription:
    @pytest.fixture
    def month_intent(self, story: Story) -> str:
        story.buys("monthly")
        story.hear()
        return paid_with(story)

    def test_refunded_in_part_is_kept(self, story: Story, month_intent: str) -> None:
        story.post("refunds", payment_intent=month_intent, amount=900)
        story.hear()

        assert story.access == {"monthly": story.period_end() + GRACE}
        assert list(cases(story)) == ["partly-taken-back"]

    @pytest.mark.parametrize("told", ["charge.dispute.created", "charge.dispute.funds_withdrawn"])
    def test_disputed_in_part_before_its_invoice_is_known_is_kept(self, story: Story, told: str) -> None:
        story.buys("monthly")
        story.hear("checkout.session.completed")
        story.trigger("disputes", payment_intent=paid_with(story), amount=900)
        story.hear(told)

        assert set(story.access) == {"monthly"}
        assert list(cases(story)) == ["partly-taken-back"]

    def test_disputed_in_parts_that_are_the_whole_is_held(self, story: Story, month_intent: str) -> None:
        for amount in (900, 4_000):
            story.trigger("disputes", payment_intent=month_intent, amount=amount)
            story.hear()
            story.world.pass_time(DAY)

        assert (story.purchase["status"], story.access) == ("disputed", {})

    def test_taken_back_in_part_of_one_month_and_of_the_next_is_kept(self, story: Story, month_intent: str) -> None:
        story.trigger("disputes", payment_intent=month_intent, amount=4_000)
        story.hear()
        story.world.pass_time(32 * DAY)
        story.hear()

        story.trigger("disputes", payment_intent=paid_with(story), amount=4_000)
        story.hear()

        assert story.access == {"monthly": story.period_end() + GRACE}
        assert list(cases(story)) == ["partly-taken-back"]
