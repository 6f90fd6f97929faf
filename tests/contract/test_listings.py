"""Refunds, disputes and subscriptions are listed as Stripe lists them: by `created`, page by page, the newest first."""

from typing import Any

import pytest
import stripe

from tests.contract.drive import Driver

SORTS = ("refunds", "disputes")


def made(driver: Driver, sort: str) -> str:
    """Make a refund or a dispute now, and return its id."""
    intent = driver.bought().payment_intent
    if sort == "refunds":
        asked: Any = {"payment_intent": intent}
        return driver.client.v1.refunds.create(asked).id
    answer = driver.http.post("/dev/stripe/disputes", json={"payment_intent": intent})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def listed(driver: Driver, sort: str, **asked: Any) -> tuple[list[str], bool]:
    """Return the ids of a page, and whether there are more."""
    page = getattr(driver.client.v1, sort).list(asked)
    return [one.id for one in page.data], page.has_more


@pytest.mark.parametrize("sort", SORTS)
def test_what_was_made_since_a_second_is_listed_the_newest_first(driver: Driver, sort: str) -> None:
    before = made(driver, sort)
    since = driver.advance(100)
    first, second = made(driver, sort), made(driver, sort)

    assert listed(driver, sort, created={"gte": since}) == ([second, first], False)
    assert before in listed(driver, sort, created={"lt": since}, limit=100)[0]


@pytest.mark.parametrize("sort", SORTS)
def test_a_list_goes_on_after_an_id(driver: Driver, sort: str) -> None:
    since = driver.advance(100)
    first, second, third = (made(driver, sort) for _ in range(3))
    asked: Any = {"created": {"gte": since}, "limit": 1}

    assert listed(driver, sort, **asked) == ([third], True)
    assert listed(driver, sort, **asked, starting_after=third) == ([second], True)
    assert listed(driver, sort, **asked, starting_after=second) == ([first], False)


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize(
    ("asked", "param"),
    [({"limit": 101}, "limit"), ({"limit": 0}, "limit"), ({"starting_after": "xx_nobody_made_this"}, "starting_after")],
)
def test_what_stripe_refuses_of_a_list_is_refused(driver: Driver, sort: str, asked: dict[str, Any], param: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        listed(driver, sort, **asked)

    assert refused.value.param == param


def test_a_refund_is_listed_with_its_charge(driver: Driver) -> None:
    refund = made(driver, "refunds")
    asked: Any = {"limit": 1, "expand": ["data.charge"]}

    (found,) = driver.client.v1.refunds.list(asked).data

    assert found.id == refund
    assert isinstance(found.charge, stripe.Charge)
    assert found.charge.amount_refunded == found.amount


def test_subscriptions_are_listed_without_those_that_were_canceled(driver: Driver) -> None:
    kept, ended = driver.subscribed().id, driver.subscribed().id
    driver.client.v1.subscriptions.cancel(ended)

    ids, _ = listed(driver, "subscriptions", limit=100)

    assert kept in ids
    assert ended not in ids
    after_it, _ = listed(driver, "subscriptions", limit=100, starting_after=ended)
    assert kept in after_it
