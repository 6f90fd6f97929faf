"""A price that names no offer never counts as what was bought before; one that names another moves the purchase."""

import pytest

from tests.functions.merchant import DAY, GRACE, PLAN, cases, change, price
from tests.functions.story import Story


class TestAPriceWhoseProductNamesTheOffer:
    @pytest.mark.parametrize("alone", [f"{PLAN}.updated", "invoice.paid"])
    def test_moves_the_purchase(self, story: Story, alone: str) -> None:
        story.buys("yearly")
        story.hear()
        story.world.pass_time(DAY)

        change(story, to=price(story, 100, sells="monthly"))
        story.hear(alone)
        story.is_swept()

        assert (story.purchase["offer_id"], story.purchase["amount"]) == ("monthly", 100)
        assert story.access == {"monthly": story.period_end() + GRACE}
        assert cases(story) == {}

    def test_moves_it_by_a_sync_too(self, story: Story) -> None:
        story.buys("yearly")
        story.hear()
        story.world.pass_time(DAY)
        change(story, to=price(story, 100, sells="monthly"))
        story.news()
        story.world.pass_time(10)

        story.world.sync(customer=story.buyer)

        assert story.access == {"monthly": story.period_end() + GRACE}

    def test_moves_it_up_once_that_is_paid(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()
        story.world.pass_time(DAY)

        change(story, to=price(story, 49_000, every="year", sells="yearly"))
        story.hear()

        assert story.access == {"yearly": story.period_end() + GRACE}


class TestAPriceThatNamesNothing:
    @pytest.fixture
    def paid_until(self, story: Story) -> int:
        """When what was paid ends, of a customer who has moved to such a price since."""
        story.buys("yearly")
        story.hear()
        end = story.period_end()
        story.world.pass_time(DAY)
        change(story, to=price(story, 100))
        return end

    @pytest.mark.parametrize("alone", [f"{PLAN}.updated", "invoice.paid"])
    def test_opens_a_case_and_leaves_what_was_paid(self, story: Story, paid_until: int, alone: str) -> None:
        story.hear(alone)
        story.is_swept()

        assert story.access == {"yearly": paid_until}
        assert cases(story) == {"unknown-price": story.token["checkout_id"]}

    def test_grants_nothing_once_that_is_over(self, story: Story, paid_until: int) -> None:
        story.hear()

        story.world.pass_time(paid_until - story.world.now())
        story.hear()
        story.world.sweep()

        assert story.access == {}
        assert list(cases(story)) == ["unknown-price"]

    def test_is_renewed_without_adding_to_what_was_paid(self, story: Story, paid_until: int) -> None:
        story.hear()
        for _ in range(3):
            story.world.pass_time(31 * DAY)
            story.hear()

        assert story.access == {"yearly": paid_until}

    def test_closes_its_case_once_the_product_names_an_offer(self, story: Story, paid_until: int) -> None:
        story.hear()
        product = story.plan()["items"]["data"][0]["price"]["product"]
        story.post(f"products/{product}", **{"metadata[offer_id]": "monthly"})
        story.world.pass_time(10)

        story.world.sync(customer=story.buyer)

        assert cases(story) == {}
        assert story.access == {"monthly": story.period_end() + GRACE}

    def test_closes_its_case_once_the_customer_is_back_at_a_price_that_does(
        self, story: Story, paid_until: int
    ) -> None:
        story.hear()
        story.world.pass_time(DAY)

        change(story, to=price(story, 4_900, lookup_key="monthly"))
        story.hear()

        assert cases(story) == {}
        assert "monthly" in story.access


class TestAFirstPriceThatNamesNothing:
    def test_of_a_customer_we_know_is_a_case(self, story: Story) -> None:
        story.opens("day_pass")
        sold = price(story, 9_900)
        fields = {"items[0][price]": sold, "default_payment_method": "pm_card_visa"}
        plan = story.post("subscriptions", customer=story.customer(), **fields)["id"]

        story.hear()

        assert story.access == {}
        assert cases(story) == {"unknown-price": plan}
