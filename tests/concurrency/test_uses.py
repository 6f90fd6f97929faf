"""Many hosts at once: a pass is used as often as it was bought for, and each request takes once."""

from typing import Any

import pytest
from paidup.model.offer import Kind, Offer

from tests.concurrency.crowd import Crowd, Place
from tests.handlers import Answer, Invocation, answered, http_event
from tests.world import World

pytestmark = pytest.mark.ministack

TEN = Offer(offer_id="ten_uses", name="Ten", kind=Kind.PASS, amount=9_000, currency="eur", uses=10)


@pytest.fixture
def purchase(world: World, buyer: str) -> str:
    """A pass for ten uses that *buyer* has paid for."""
    world.services.table.put_offer(TEN)
    token = world.buy("ten_uses", customer=buyer).json
    world.pay(token["url"])
    world.pass_time(3)
    assert world.status(token["checkout_id"], customer=buyer)["state"] == "active"
    return str(token["checkout_id"])


def take(purchase: str, key: str, count: int = 1) -> Invocation:
    return http_event(
        f"POST /purchases/{purchase}/uses",
        customer=f"host-{key}",
        roles="host",
        body={"count": count},
        headers={"Idempotency-Key": key},
    )


def statuses(answers: list[Answer]) -> dict[int, int]:
    found = [answer.status for answer in answers]
    return {status: found.count(status) for status in set(found)}


def left(world: World, buyer: str) -> tuple[Any, ...]:
    (only,) = world.account(customer=buyer)["purchases"]
    return only["status"], only["uses_left"]


def test_of_fifty_who_ask_at_once_ten_take_one_each(
    world: World, crowd: Crowd, here: Place, buyer: str, purchase: str
) -> None:
    answers = crowd.request(here, [take(purchase, str(n)) for n in range(50)])

    assert statuses(answers).get(409) == 40
    taken = [answer.json for answer in answers if answer.status in (200, 201)]  # 200: a request that was made again
    assert len({one["use_id"] for one in taken}) == 10
    assert left(world, buyer) == ("ended", 0)
    assert world.account(customer=buyer)["billing_version"] == 2


def test_fifty_requests_under_one_key_take_once(
    world: World, crowd: Crowd, here: Place, buyer: str, purchase: str
) -> None:
    answers = crowd.request(here, [take(purchase, "door", 3)] * 50)

    assert set(statuses(answers)) <= {200, 201}
    assert statuses(answers).get(201, 0) <= 1
    assert len({answer.json["use_id"] for answer in answers}) == 1
    assert left(world, buyer) == ("active", 7)


def test_uses_of_three_at_once_leave_what_is_too_little_for_one_more(
    world: World, crowd: Crowd, here: Place, buyer: str, purchase: str
) -> None:
    answers = crowd.request(here, [take(purchase, str(n), 3) for n in range(50)])

    assert statuses(answers).get(409) == 47
    assert left(world, buyer) == ("active", 1)


def test_a_use_that_twenty_give_back_at_once_comes_back_once(
    world: World, crowd: Crowd, here: Place, buyer: str, purchase: str
) -> None:
    use = answered(*take(purchase, "door", 4))
    back = http_event(f"DELETE /purchases/{purchase}/uses/{use.json['use_id']}", customer="mia", roles="host")

    answers = crowd.request(here, [back] * 20)

    assert statuses(answers) == {200: 20}
    assert left(world, buyer) == ("active", 10)
