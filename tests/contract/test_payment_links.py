"""Payment links and pricing tables: sales that no API call of the shop began."""

from typing import Any

import pytest
import stripe

from tests.contract.conformance import complaints
from tests.contract.drive import Driver


def _price(driver: Driver, **params: Any) -> str:
    every: Any = {"currency": "eur", "unit_amount": 900, "product_data": {"name": "Club"}, **params}
    return driver.client.v1.prices.create(every).id


def _link(driver: Driver, *, monthly: bool = False, **params: Any) -> stripe.PaymentLink:
    price = _price(driver, **{"recurring": {"interval": "month"}} if monthly else {})
    every: Any = {"line_items": [{"price": price, "quantity": 1}], **params}
    return driver.client.v1.payment_links.create(every)


def _follow(driver: Driver, url: str, **query: str) -> stripe.checkout.Session:
    answer = driver.http.get(url.removeprefix(driver.fakes.url), params=query)
    assert answer.status_code == 303
    return driver.client.v1.checkout.sessions.retrieve(answer.headers["location"].rpartition("/")[2])


def test_a_guest_pays_by_a_link_that_names_them(driver: Driver) -> None:
    link = _link(driver)

    session = _follow(driver, link.url, client_reference_id="customer_7")
    answer = driver.pay(session, email="guest@example.com")

    assert answer.status_code == 303
    paid = driver.client.v1.checkout.sessions.retrieve(session.id)
    assert (paid.status, paid.payment_link, paid.client_reference_id) == ("complete", link.id, "customer_7")
    assert (paid.customer, paid.metadata and paid.metadata.to_dict()) == (None, {})
    assert "all done" in driver.http.get(answer.headers["location"]).text
    assert [one.id for one in driver.client.v1.checkout.sessions.list({"payment_link": link.id}).data] == [session.id]


def test_a_subscription_by_a_link_makes_a_new_customer_each_time(driver: Driver) -> None:
    link = _link(driver, monthly=True, metadata={"a": "b"}, subscription_data={"metadata": {"c": "d"}})
    paid = []

    for _ in range(2):
        session = _follow(driver, link.url, prefilled_email="ada@example.com")
        driver.pay(session)
        expand: Any = {"expand": ["subscription"]}
        paid.append(driver.client.v1.checkout.sessions.retrieve(session.id, expand))

    assert len({str(one.customer) for one in paid}) == 2
    assert paid[0].metadata
    assert paid[0].metadata.to_dict() == {"a": "b"}
    assert isinstance(paid[0].subscription, stripe.Subscription)
    assert paid[0].subscription.metadata.to_dict() == {"c": "d"}


def test_a_pricing_table_sells_a_price_with_nothing_of_the_shop_but_the_reference(driver: Driver) -> None:
    price = _price(driver, recurring={"interval": "month"})

    session = _follow(driver, f"/stripe/pricing-table/{price}", client_reference_id="customer_8")
    driver.pay(session, email="guest@example.com")

    paid = driver.client.v1.checkout.sessions.retrieve(session.id)
    assert (paid.client_reference_id, paid.payment_link, paid.mode) == ("customer_8", None, "subscription")
    assert paid.subscription


def test_a_link_sends_the_buyer_where_the_merchant_wants(driver: Driver) -> None:
    url = "http://127.0.0.1:9/thanks?session={CHECKOUT_SESSION_ID}"
    link = _link(driver, after_completion={"type": "redirect", "redirect": {"url": url}})
    session = _follow(driver, link.url)

    answer = driver.pay(session, email="guest@example.com")

    assert answer.headers["location"] == f"http://127.0.0.1:9/thanks?session={session.id}"


def test_an_inactive_link_opens_nothing(driver: Driver) -> None:
    link = _link(driver)
    driver.client.v1.payment_links.update(link.id, {"active": False})

    assert driver.http.get(f"/stripe/pay-link/{link.id}").status_code == 404


def test_a_link_is_refused_where_its_page_would_be_and_leaves_no_session(driver: Driver) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        _link(driver, line_items=[{"price": _price(driver, unit_amount=20), "quantity": 1}])
    link = _link(driver)

    assert refused.value.code == "amount_too_small"
    assert driver.client.v1.checkout.sessions.list({"payment_link": link.id}).data == []
    assert complaints(link.to_dict()) == []
