"""Products, prices and how a merchant finds them again; trials."""

from typing import Any

import pytest
import stripe

from tests.contract.drive import DAY, Driver
from tools.fakes.store import new_id


def _price(driver: Driver, **params: Any) -> stripe.Price:
    every: Any = {"currency": "eur", "unit_amount": 900, "product_data": {"name": "Club"}, **params}
    return driver.client.v1.prices.create(every)


def _key() -> str:
    return new_id("club_", 8)


def test_a_page_sells_a_price_of_the_catalogue(driver: Driver) -> None:
    price = _price(driver, recurring={"interval": "week", "interval_count": 2})

    session = driver.session(mode="subscription", line_items=[{"price": price.id, "quantity": 3}])

    line = driver.client.v1.checkout.sessions.line_items.list(session.id).data[0]
    assert line.price
    assert (session.amount_total, line.price.id, line.description) == (2700, price.id, "Club")
    assert "every 2 weeks" in driver.http.get(f"/stripe/pay/{session.id}").text


def test_an_inactive_price_is_not_sold(driver: Driver) -> None:
    price = _price(driver)
    driver.client.v1.prices.update(price.id, {"active": False})

    with pytest.raises(stripe.InvalidRequestError, match="price specified is inactive") as refused:
        driver.session(line_items=[{"price": price.id, "quantity": 1}])

    assert refused.value.param == "line_items[0][price]"


def test_prices_are_found_by_lookup_key_with_their_product(driver: Driver) -> None:
    monthly, yearly = _key(), _key()
    first = _price(driver, lookup_key=monthly, recurring={"interval": "month"})
    second = _price(driver, lookup_key=yearly, recurring={"interval": "year"}, metadata={"offer": "club"})

    found = driver.client.v1.prices.list({"lookup_keys": [monthly, yearly], "expand": ["data.product"]}).data

    assert {price.id for price in found} == {first.id, second.id}
    assert all(isinstance(price.product, stripe.Product) and price.product.name == "Club" for price in found)
    assert driver.client.v1.prices.list({"lookup_keys": [_key()]}).data == []


def test_a_lookup_key_belongs_to_one_active_price_until_it_is_transferred(driver: Driver) -> None:
    key = _key()
    old = _price(driver, lookup_key=key)

    with pytest.raises(stripe.InvalidRequestError) as refused:
        _price(driver, lookup_key=key)
    new = _price(driver, lookup_key=key, transfer_lookup_key=True)

    assert refused.value.param == "lookup_key"
    assert new.lookup_key == key
    assert driver.client.v1.prices.retrieve(old.id).lookup_key is None
    assert [price.id for price in driver.client.v1.prices.list({"lookup_keys": [key]}).data] == [new.id]


def test_a_lookup_key_moves_by_an_update_too(driver: Driver) -> None:
    key = _key()
    old, new = _price(driver, lookup_key=key), _price(driver)
    update = driver.client.v1.prices.update

    with pytest.raises(stripe.InvalidRequestError):
        update(new.id, {"lookup_key": key})
    update(new.id, {"lookup_key": key, "transfer_lookup_key": True})

    assert driver.client.v1.prices.retrieve(new.id).lookup_key == key
    assert driver.client.v1.prices.retrieve(old.id).lookup_key is None


@pytest.mark.parametrize(
    ("interval", "most"), [("day", 1095), ("week", 156), ("month", 36), ("year", 3)], ids=lambda value: str(value)
)
def test_a_period_lasts_three_years_at_most(driver: Driver, interval: Any, most: int) -> None:
    price = _price(driver, recurring={"interval": interval, "interval_count": most})

    with pytest.raises(stripe.InvalidRequestError) as refused:
        _price(driver, recurring={"interval": interval, "interval_count": most + 1})

    assert price.recurring
    assert price.recurring.interval_count == most
    assert refused.value.param == "recurring[interval_count]"


def test_a_products_name_has_250_characters_at_most(driver: Driver) -> None:
    assert driver.client.v1.products.create({"name": "x" * 250}).name == "x" * 250

    with pytest.raises(stripe.InvalidRequestError, match="must be at most 250 characters") as refused:
        _price(driver, product_data={"name": "x" * 251})

    assert refused.value.param == "product_data[name]"


TRIALS: tuple[tuple[dict[str, int], str | None], ...] = (
    ({"trial_period_days": 1}, None),
    ({"trial_period_days": 730}, None),
    ({"trial_period_days": 0}, "trial_period_days"),
    ({"trial_period_days": 731}, "trial_period_days"),
    ({"trial_end": 2 * DAY + 1}, None),
    ({"trial_end": 2 * DAY - 1}, "trial_end"),
    ({"trial_end": 731 * DAY}, "trial_end"),
    ({"trial_end": 3 * DAY, "trial_period_days": 3}, "trial_end"),
)


@pytest.mark.parametrize(("data", "param"), TRIALS)
def test_a_page_offers_a_trial_of_a_day_to_two_years(driver: Driver, data: dict[str, int], param: str | None) -> None:
    now = driver.dev("clock")["now"]
    data = {name: value + now if name == "trial_end" else value for name, value in data.items()}

    def open_page() -> stripe.checkout.Session:
        return driver.session(mode="subscription", subscription_data=data)

    if param is None:
        assert open_page().amount_total == 0
    else:
        with pytest.raises(stripe.InvalidRequestError) as refused:
            open_page()
        assert refused.value.param == f"subscription_data[{param}]"
