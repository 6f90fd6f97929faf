"""A subscription is read whole: plan, add-ons and seats, each with its price, its quantity and its period."""

from typing import Any

import pytest

from tests.functions.merchant import DAY, GRACE, PLAN, add_item, change, deliver, invoice, price
from tests.functions.story import DECLINED_LATER, Story


def updated(story: Story) -> dict[str, Any]:
    """Return the newest event about a change of the subscription."""
    return story.news(f"{PLAN}.updated")[-1]


def in_order(event: dict[str, Any], *order: int) -> dict[str, Any]:
    """Return *event* with the items of its subscription in another *order*."""
    plan = event["data"]["object"]
    items = plan["items"] | {"data": [plan["items"]["data"][n] for n in order]}
    return event | {"data": event["data"] | {"object": plan | {"items": items}}}


def quantities(story: Story) -> dict[str, int]:
    """Return how many of each offer the buyer may use."""
    return {one["offer_id"]: one["quantity"] for one in story.account["access"]}


class TestAnAddOn:
    @pytest.fixture
    def locker(self, story: Story) -> str:
        story.buys("monthly")
        story.hear()
        return price(story, 500, lookup_key="locker")

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    def test_is_granted_beside_the_plan_in_any_order(self, story: Story, locker: str, order: tuple[int, int]) -> None:
        add_item(story, locker)

        deliver(story, in_order(updated(story), *order))

        end = story.period_end() + GRACE
        assert story.access == {"monthly": end, "locker": end}
        assert (story.purchase["offer_id"], story.purchase["amount"]) == ("monthly", 5_400)

    @pytest.mark.parametrize("named", [{"metadata[offer_id]": "locker"}, {"sells": "locker"}])
    def test_is_named_by_its_price_or_its_product(self, story: Story, locker: str, named: dict[str, str]) -> None:
        add_item(story, price(story, 700, **named))

        story.hear()

        assert set(story.access) == {"monthly", "locker"}
        assert story.purchase["amount"] == 5_600

    def test_that_nobody_reported_is_found_by_a_sync(self, story: Story, locker: str) -> None:
        add_item(story, locker)
        story.news()
        story.world.pass_time(10)

        story.world.sync(customer=story.buyer)

        assert set(story.access) == {"monthly", "locker"}

    def test_that_is_dropped_leaves_the_plan(self, story: Story, locker: str) -> None:
        add_item(story, locker)
        story.hear()
        version = story.version
        (item,) = [one for one in story.plan()["items"]["data"] if one["price"]["id"] == locker]

        story.post(f"subscriptions/{story.plan()['id']}", **{"items[0][id]": item["id"], "items[0][deleted]": "true"})
        story.hear()

        assert story.access == {"monthly": story.period_end() + GRACE}
        assert story.purchase["amount"] == 4_900
        assert story.version > version

    @pytest.mark.parametrize("alone", [f"{PLAN}.updated", "invoice.paid"])
    def test_is_renewed_with_the_plan(self, story: Story, locker: str, alone: str) -> None:
        add_item(story, locker)
        story.hear()
        story.world.pass_time(32 * DAY)

        story.hear(alone)
        story.is_swept()

        end = story.period_end() + GRACE
        assert story.access == {"monthly": end, "locker": end}

    def test_that_is_billed_at_once_and_declined_is_not_granted(self, story: Story) -> None:
        story.buys("monthly", DECLINED_LATER)
        story.hear()
        end = story.period_end()
        story.world.pass_time(2 * DAY)

        add_item(story, price(story, 500, lookup_key="locker"), proration_behavior="always_invoice")
        story.hear()

        assert story.access == {"monthly": end}

    def test_alone_is_what_the_purchase_grants_if_the_plan_is_dropped(self, story: Story, locker: str) -> None:
        add_item(story, locker)
        story.hear()
        (item,) = [one for one in story.plan()["items"]["data"] if one["price"]["id"] != locker]

        story.post(f"subscriptions/{story.plan()['id']}", **{"items[0][id]": item["id"], "items[0][deleted]": "true"})
        story.hear()

        assert set(story.access) == {"locker"}
        assert (story.purchase["offer_id"], story.purchase["amount"]) == ("locker", 500)


class TestAnAddOnWithAPeriodOfItsOwn:
    @pytest.fixture
    def yearly(self, story: Story) -> int:
        """When the plan's year ends, of a plan with an add-on by the month that was paid at once."""
        story.buys("yearly")
        story.hear()
        end = story.period_end()
        story.world.pass_time(DAY)
        add_item(story, price(story, 500, lookup_key="locker"), proration_behavior="always_invoice")
        story.hear()
        return end

    def test_ends_when_its_own_period_does(self, story: Story, yearly: int) -> None:
        month = min(one["current_period_end"] for one in story.plan()["items"]["data"])

        assert month < yearly
        assert story.access == {"yearly": yearly + GRACE, "locker": month + GRACE}

    def test_that_is_not_renewed_has_its_grace_and_leaves_the_plan(self, story: Story, yearly: int) -> None:
        month = min(one["current_period_end"] for one in story.plan()["items"]["data"])
        story.trigger("cards", customer=story.customer(), card=DECLINED_LATER)
        story.world.pass_time(month + DAY - story.world.now())

        story.hear()

        assert story.plan()["status"] == "past_due"
        assert story.access["locker"] == month + GRACE
        assert story.access["yearly"] in (yearly, yearly + GRACE)
        story.world.pass_time(GRACE)
        assert set(story.access) == {"yearly"}


class TestSeats:
    @pytest.fixture
    def five(self, story: Story) -> Story:
        story.buys("monthly", quantity=5)
        story.hear()
        return story

    def test_are_counted_in_access_and_purchase(self, five: Story) -> None:
        assert quantities(five) == {"monthly": 5}
        assert (five.purchase["quantity"], five.purchase["amount"]) == (5, 24_500)

    @pytest.mark.parametrize("many", [1, 4, 7])
    def test_follow_a_change_at_stripe_and_move_the_version(self, five: Story, many: int) -> None:
        version = five.version

        change(five, quantity=many)
        five.hear(f"{PLAN}.updated")

        assert quantities(five) == {"monthly": many}
        assert (five.purchase["quantity"], five.purchase["amount"]) == (many, many * 4_900)
        assert five.version > version

    def test_of_none_grant_nothing(self, five: Story) -> None:
        change(five, quantity=0)
        five.hear()

        assert quantities(five) == {}
        assert (five.purchase["quantity"], five.purchase["amount"]) == (0, 0)

    def test_that_were_none_come_back(self, five: Story) -> None:
        change(five, quantity=0)
        five.hear()
        five.world.pass_time(DAY)

        change(five, quantity=2)
        five.hear()

        assert quantities(five) == {"monthly": 2}

    def test_of_none_are_renewed_for_nothing(self, five: Story) -> None:
        change(five, quantity=0, proration_behavior="none")
        five.hear()
        five.world.pass_time(32 * DAY)

        five.hear()

        assert invoice(five)["amount_paid"] == 0
        assert quantities(five) == {}

    def test_that_were_billed_at_once_and_declined_are_not_more(self, story: Story) -> None:
        story.buys("monthly", DECLINED_LATER, quantity=2)
        story.hear()
        end = story.period_end()
        story.world.pass_time(2 * DAY)

        change(story, quantity=9, proration_behavior="always_invoice")
        story.hear()

        assert quantities(story) == {"monthly": 2}
        assert story.access == {"monthly": end}

    def test_of_a_poll_and_no_webhook_are_as_many(self, story: Story) -> None:
        story.buys("monthly", quantity=3)
        story.news()
        story.world.pass_time(10)

        assert story.world.status(story.token["checkout_id"], customer=story.buyer)["state"] == "active"

        assert quantities(story) == {"monthly": 3}
