"""The customer portal and the page of an invoice, as buyers use them."""

from typing import Any

import httpx
import pytest
import stripe

from tests.contract.conformance import complaints
from tests.contract.drive import DAY, DECLINED, FAILS_LATER, PAYS, Driver

BACK = "http://127.0.0.1:9/account"


def _yearly(driver: Driver) -> stripe.Price:
    price: Any = {"currency": "eur", "unit_amount": 9000, "product_data": {"name": "Club by the year"}}
    return driver.client.v1.prices.create(price | {"recurring": {"interval": "year"}})


def _configuration(driver: Driver, *prices: stripe.Price, **features: Any) -> stripe.billing_portal.Configuration:
    """Return a configuration that allows cancelling, other cards, quantities, and switching to *prices*."""
    every: Any = {
        "payment_method_update": {"enabled": True},
        "subscription_cancel": {"enabled": True},
        "subscription_update": {
            "default_allowed_updates": ["price", "quantity"],
            "enabled": True,
            "products": [{"product": str(price.product), "prices": [price.id]} for price in prices],
            "proration_behavior": "always_invoice",
        },
        **features,
    }
    return driver.client.v1.billing_portal.configurations.create({"features": every})


def _portal(driver: Driver, customer: Any, *prices: stripe.Price, **params: Any) -> stripe.billing_portal.Session:
    asked: Any = {"customer": str(customer), "configuration": _configuration(driver, *prices).id, "return_url": BACK}
    return driver.client.v1.billing_portal.sessions.create(asked | params)


def _do(driver: Driver, session: stripe.billing_portal.Session, what: str, **form: str) -> httpx.Response:
    return driver.http.post(f"/stripe/portal/{session.id}", data={"do": what, **form})


def _shown(driver: Driver, session: stripe.billing_portal.Session) -> str:
    return driver.http.get(session.url.removeprefix(driver.fakes.url)).text


def test_the_portal_shows_what_a_customer_has_and_the_way_back(driver: Driver) -> None:
    session = _portal(driver, driver.subscribed().customer)

    html = _shown(driver, session)

    for part in ("Ten classes", "15.00 EUR per month", "visa ending in 4242", "Cancel the subscription", BACK):
        assert part in html


def test_a_cancellation_is_asked_for_and_taken_back(driver: Driver) -> None:
    subscription = driver.subscribed()
    session = _portal(driver, subscription.customer)

    assert _do(driver, session, "cancel", subscription=subscription.id).status_code == 303
    cancelled = driver.client.v1.subscriptions.retrieve(subscription.id)
    _do(driver, session, "resume", subscription=subscription.id)

    assert cancelled.cancel_at_period_end
    assert not driver.client.v1.subscriptions.retrieve(subscription.id).cancel_at_period_end


def test_a_buyer_switches_to_a_price_that_is_listed(driver: Driver) -> None:
    subscription, yearly, other = driver.subscribed(), _yearly(driver), _yearly(driver)
    session = _portal(driver, subscription.customer, yearly)

    assert _do(driver, session, "change", subscription=subscription.id, price=other.id).status_code == 403
    assert _do(driver, session, "change", subscription=subscription.id, price=yearly.id).status_code == 303

    item = driver.client.v1.subscriptions.retrieve(subscription.id).items.data[0]
    assert (item.price.id, item.quantity) == (yearly.id, 1)


def test_a_buyer_changes_the_quantity(driver: Driver) -> None:
    subscription = driver.subscribed()
    session = _portal(driver, subscription.customer)

    assert _do(driver, session, "change", subscription=subscription.id, quantity="3").status_code == 303
    assert _do(driver, session, "change", subscription=subscription.id, quantity="0").status_code == 403

    assert driver.client.v1.subscriptions.retrieve(subscription.id).items.data[0].quantity == 3


def test_another_card_pays_the_next_renewal(driver: Driver) -> None:
    subscription = driver.subscribed()
    session = _portal(driver, subscription.customer)

    declined = _do(driver, session, "card", card=DECLINED)
    assert (declined.status_code, "declined" in declined.text) == (402, True)
    _do(driver, session, "card", card="5555555555554444")

    assert "mastercard ending in 4444" in _shown(driver, session)


def test_the_invoice_of_a_past_due_subscription_is_paid_on_its_page(driver: Driver) -> None:
    subscription = driver.subscribed(FAILS_LATER)
    driver.advance(32 * DAY)
    late = driver.client.v1.subscriptions.retrieve(subscription.id)
    path = f"/stripe/invoices/{late.latest_invoice}"

    assert path in _shown(driver, _portal(driver, subscription.customer))
    assert "Pay 15.00 EUR" in driver.http.get(path).text
    assert driver.http.post(path, data={"card": DECLINED}).status_code == 402
    assert driver.http.post(path, data={"card": PAYS}).status_code == 303

    assert late.status == "past_due"
    assert driver.client.v1.subscriptions.retrieve(subscription.id).status == "active"
    assert "Status: paid" in driver.http.get(path).text


def test_a_flow_goes_straight_back_to_the_shop(driver: Driver) -> None:
    subscription = driver.subscribed()
    flow = {
        "type": "subscription_cancel",
        "subscription_cancel": {"subscription": subscription.id},
        "after_completion": {"type": "redirect", "redirect": {"return_url": BACK}},
    }
    session = _portal(driver, subscription.customer, flow_data=flow)

    answer = _do(driver, session, "cancel", subscription=subscription.id)

    assert (answer.status_code, answer.headers["location"]) == (303, BACK)
    assert complaints(session.to_dict()) == []


def test_what_the_configuration_does_not_allow_is_refused(driver: Driver) -> None:
    subscription = driver.subscribed()
    configuration = _configuration(driver, subscription_cancel={"enabled": False})
    session = _portal(driver, subscription.customer, configuration=configuration.id)

    assert _do(driver, session, "cancel", subscription=subscription.id).status_code == 403
    flow = {"type": "subscription_cancel", "subscription_cancel": {"subscription": subscription.id}}
    with pytest.raises(stripe.InvalidRequestError, match="needs the feature"):
        _portal(driver, subscription.customer, configuration=configuration.id, flow_data=flow)


def test_a_subscription_of_somebody_else_is_out_of_reach(driver: Driver) -> None:
    theirs = driver.subscribed()
    session = _portal(driver, driver.subscribed().customer)

    assert _do(driver, session, "cancel", subscription=theirs.id).status_code == 404
    assert not driver.client.v1.subscriptions.retrieve(theirs.id).cancel_at_period_end


def test_the_portal_closes_after_an_hour(driver: Driver) -> None:
    session = _portal(driver, driver.customer().id)

    driver.advance(3601)

    assert driver.http.get(f"/stripe/portal/{session.id}").status_code == 404
