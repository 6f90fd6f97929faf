"""What a purchase reads of the table: groups, trials, other currencies and codes cost who does not use them nothing."""

import pytest

from tests.functions.door import asked_of_the_table, hear, paid
from tests.world import World

# The offer, the account before and after the choice, at the page and its record; the checkout with its purchase.
CART = ["GetItem"] * 5 + ["BatchGetItem"]
# Checkout, purchase and account, and the timeline.
POLL = ["BatchGetItem", "Query"]
# Whether the event is known, whose its ids are, the account, the checkout with its purchase.
EVENT = ["GetItem", "Query", "GetItem", "BatchGetItem"]


def reads(calls: list[str]) -> list[str]:
    return [one for one in calls if one in ("GetItem", "BatchGetItem", "Query", "Scan")]


@pytest.mark.parametrize("offer_id", ["ten_class_pass", "day_pass", "monthly"])
def test_a_cart_reads_the_same_rows_whatever_it_holds(world: World, buyer: str, offer_id: str) -> None:
    with asked_of_the_table(world) as calls:
        assert world.buy(offer_id, customer=buyer).status == 201

    assert reads(calls) == CART


def test_a_cart_with_a_trial_reads_at_most_one_more(world: World, buyer: str) -> None:
    with asked_of_the_table(world) as calls:
        assert world.buy("try_monthly", customer=buyer).status == 201

    assert len(reads(calls)) <= len(CART) + 1


@pytest.mark.parametrize("offer_id", ["ten_class_pass", "monthly"])
def test_who_has_a_subscription_reads_at_most_one_more(world: World, buyer: str, offer_id: str) -> None:
    paid(world, buyer, "monthly")

    with asked_of_the_table(world) as calls:
        world.buy(offer_id, customer=buyer)

    assert len(reads(calls)) <= len(CART) + 1


@pytest.mark.parametrize("offer_id", ["ten_class_pass", "day_pass", "live_session"])
def test_a_payment_is_settled_with_four_reads_and_polled_with_two(world: World, buyer: str, offer_id: str) -> None:
    token = world.buy(offer_id, customer=buyer).json
    world.pay(token["url"])
    with asked_of_the_table(world) as settled:
        hear(world, token["token"])

    with asked_of_the_table(world) as polled:
        assert world.status(token["checkout_id"], customer=buyer)["state"] == "active"

    assert (reads(settled), reads(polled)) == (EVENT, POLL)
