"""Many clicks at once: every buyer has one open checkout, and pays on one page."""

import pytest
from paidup.model.checkout import Checkout, CheckoutStatus
from paidup.outside.dynamo import items

from tests.concurrency.crowd import Crowd, Place, click, poll
from tests.functions.door import pages_of
from tests.functions.wire import wire_to
from tests.world import World

pytestmark = pytest.mark.ministack


def checkouts_of(world: World, buyer: str) -> list[Checkout]:
    table = world.services.table
    found = table.client.query(
        TableName=table.name,
        KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)",
        ExpressionAttributeValues=items.serialize({":pk": f"CUSTOMER#{buyer}", ":prefix": "CHECKOUT#"}),
        ConsistentRead=True,
    )
    return [items.read_item(Checkout, row) for row in found["Items"]]


def test_a_hundred_buyers_at_once_get_one_open_checkout_each(world: World, crowd: Crowd, here: Place) -> None:
    buyers = [f"buyer-{n}" for n in range(100)]
    answers = crowd.request(here, [click(buyer) for buyer in buyers])
    assert {answer.status for answer in answers} <= {200, 201}  # 200: a click that was made again
    pages = pages_of(world, *buyers)
    opened = {page["client_reference_id"]: page["id"] for page in pages}
    assert len(pages) == len(opened) == 100
    for buyer, answer in zip(buyers, answers, strict=True):
        (checkout,) = checkouts_of(world, buyer)
        assert checkout.status is CheckoutStatus.OPEN
        assert checkout.token == answer.json["token"] == opened[buyer]
        assert world.services.table.account(buyer).open_checkout_id == checkout.checkout_id


@pytest.mark.parametrize("known", [False, True])
def test_twenty_clicks_of_one_buyer_at_once_end_in_one_checkout_and_one_token(
    world: World, crowd: Crowd, here: Place, buyer: str, *, known: bool
) -> None:
    if known:
        earlier = world.buy("ten_class_pass", customer=buyer).json
        world.pay(earlier["url"])
        world.pass_time(3)
        assert world.status(earlier["checkout_id"], customer=buyer)["state"] == "active"
    answers = crowd.request(here, [click(buyer)] * 20)
    statuses = [answer.status for answer in answers]
    assert set(statuses) <= {200, 201}
    assert statuses.count(201) <= 1  # none, if the click that opened it was made again
    assert len({answer.text for answer in answers}) == 1
    *_, checkout = checkouts_of(world, buyer)
    assert [one.cart.offer_id for one in checkouts_of(world, buyer)] == ["ten_class_pass"] * known + ["day_pass"]
    (page,) = [page for page in pages_of(world, buyer) if page["metadata"]["offer_id"] == "day_pass"]
    assert checkout.token == page["id"] == answers[0].json["token"]


def test_clicks_on_two_offers_at_once_leave_one_checkout_open_and_no_page_that_is_not_closed(
    world: World, crowd: Crowd, here: Place, buyer: str
) -> None:
    """Two tabs: whichever choice came last holds, the other is told or replaced, and can be paid no more."""
    answers = crowd.request(here, [click(buyer, offer_id) for offer_id in ["day_pass", "ten_class_pass"] * 8])
    assert {answer.status for answer in answers} <= {200, 201, 409}
    assert {answer.status for answer in answers} & {200, 201}
    seen = world.services.table.load_open(buyer)
    assert seen.checkout
    for checkout in checkouts_of(world, buyer):
        wanted = CheckoutStatus.OPEN if checkout == seen.checkout else CheckoutStatus.INVALIDATED
        assert checkout.status is wanted
    world.sweep()
    assert [page["id"] for page in pages_of(world, buyer) if page["status"] == "open"] == [seen.checkout.token]


def test_polls_at_once_ask_stripe_once(world: World, crowd: Crowd, here: Place, buyer: str) -> None:
    token = world.buy("day_pass", customer=buyer).json
    world.pay(token["url"])
    world.pass_time(3)
    with wire_to(f"{world.fakes.url}/stripe") as wire:
        near = Place({**here.environment, "PAIDUP_STRIPE_API_BASE": wire.url}, here.fakes)
        answers = crowd.request(near, [poll(buyer, token["checkout_id"])] * 20)
    assert {answer.status for answer in answers} == {200}
    assert {answer.json["state"] for answer in answers} <= {"confirming", "active"}
    assert [request.partition("?")[0] for request in wire.asked] == [f"GET /v1/checkout/sessions/{token['token']}"]
    assert world.status(token["checkout_id"], customer=buyer)["state"] == "active"
    assert world.account(customer=buyer)["billing_version"] == 1
