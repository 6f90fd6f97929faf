"""Which currencies and amounts Stripe takes, and one currency for each customer who subscribes."""

from typing import Any

import pytest
import stripe

from tests.contract.drive import Driver


def _line(amount: int, currency: str, **price: Any) -> dict[str, Any]:
    data = {"currency": currency, "unit_amount": amount, "product_data": {"name": "A class"}, **price}
    return {"quantity": 1, "price_data": data}


def _club(currency: str) -> dict[str, Any]:
    return {"mode": "subscription", "line_items": [_line(1500, currency, recurring={"interval": "month"})]}


def test_a_subscriber_cannot_be_billed_in_another_currency(driver: Driver) -> None:
    customer = str(driver.subscribed().customer)

    with pytest.raises(stripe.InvalidRequestError) as refused:
        driver.session(customer, **_club("usd"))

    assert refused.value.http_status == 400
    assert refused.value.error
    assert refused.value.error.type == "invalid_request_error"
    assert refused.value.error.message == (
        "You cannot combine currencies on a single customer. This customer has an active subscription, subscription "
        "schedule, discount, quote, or invoice item with currency eur."
    )
    assert driver.session(customer, **_club("eur")).currency == "eur"
    assert driver.client.v1.customers.retrieve(customer).currency == "eur"


def test_an_open_page_holds_its_currency_until_it_is_closed(driver: Driver) -> None:
    customer = driver.customer().id
    page = driver.session(customer, **_club("eur"))

    with pytest.raises(stripe.InvalidRequestError, match="cannot combine currencies"):
        driver.session(customer, **_club("usd"))
    driver.client.v1.checkout.sessions.expire(page.id)

    assert driver.session(customer, **_club("usd")).currency == "usd"


def test_a_merchant_cannot_combine_currencies_either_until_the_first_has_ended(driver: Driver) -> None:
    subscription = driver.subscribed()
    product = driver.client.v1.products.create({"name": "Club"})
    price = driver.client.v1.prices.create(
        {"currency": "usd", "unit_amount": 900, "product": product.id, "recurring": {"interval": "month"}}
    )
    asked: Any = {"customer": str(subscription.customer), "items": [{"price": price.id}], "trial_period_days": 3}

    with pytest.raises(stripe.InvalidRequestError, match="cannot combine currencies"):
        driver.client.v1.subscriptions.create(asked)
    driver.client.v1.subscriptions.cancel(subscription.id)

    assert driver.client.v1.subscriptions.create(asked).currency == "usd"


def test_one_time_payments_may_be_in_any_currency(driver: Driver) -> None:
    customer = str(driver.subscribed().customer)

    session = driver.session(customer, line_items=[_line(1500, "usd")])

    assert session.currency == "usd"


AMOUNTS: tuple[tuple[str, int, str | None], ...] = (
    ("jpy", 500, None),
    ("kwd", 5_120, None),
    ("kwd", 5_124, "parameter_invalid_integer"),
    ("isk", 500, None),
    ("isk", 550, "parameter_invalid_integer"),
    ("ugx", 500_000, None),
    ("ugx", 500_001, "parameter_invalid_integer"),
    ("huf", 17_555, None),
    ("twd", 2_055, None),
    ("idr", 150_000_000, None),
    ("eur", 99_999_999, None),
    ("eur", 100_000_000, "amount_too_large"),
    ("gbp", 30, None),
    ("gbp", 29, "amount_too_small"),
    ("huf", 17_499, "amount_too_small"),
    ("jpy", 49, "amount_too_small"),
    ("czk", 1_499, "amount_too_small"),
)


@pytest.mark.parametrize(("currency", "amount", "code"), AMOUNTS)
def test_amounts_are_those_that_the_currency_can_have(
    driver: Driver, currency: str, amount: int, code: str | None
) -> None:
    def open_page() -> stripe.checkout.Session:
        return driver.session(line_items=[_line(amount, currency)])

    if code is None:
        assert open_page().amount_total == amount
    else:
        with pytest.raises(stripe.InvalidRequestError) as refused:
            open_page()
        assert refused.value.code == code


@pytest.mark.parametrize(
    ("currency", "amount", "shown"),
    [
        ("jpy", 1500, "1,500 JPY"),
        ("kwd", 5_120, "5.120 KWD"),
        ("isk", 50_000, "500 ISK"),
        ("huf", 17_550, "175.50 HUF"),
    ],
)
def test_the_page_shows_amounts_as_they_are_charged(driver: Driver, currency: str, amount: int, shown: str) -> None:
    session = driver.session(line_items=[_line(amount, currency)])

    assert f"Pay {shown}" in driver.http.get(f"/stripe/pay/{session.id}").text


def test_an_unknown_currency_is_refused_with_those_there_are(driver: Driver) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        driver.session(line_items=[_line(1500, "xyz")])

    assert refused.value.param == "line_items[0][price_data][currency]"
    message = "Invalid currency: xyz. Stripe currently supports these currencies: usd, aed,"
    assert message in str(refused.value)


def test_several_lines_together_can_be_too_much(driver: Driver) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        driver.session(line_items=[_line(60_000_000, "eur"), _line(60_000_000, "eur")])

    assert refused.value.code == "amount_too_large"
