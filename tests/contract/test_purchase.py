"""Checkout sessions and the buyer's page."""

from typing import Any
from urllib.parse import urlsplit

import pytest
import stripe

from tests.contract.drive import ASKS, DECLINED, PAYS, Driver

ORDER = ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]


def test_a_buyer_pays_and_is_sent_to_the_success_page(driver: Driver) -> None:
    customer = driver.customer()
    session = driver.session(customer.id, metadata={"a": "b"}, client_reference_id="c1")
    assert (session.status, session.payment_status, session.payment_intent) == ("open", "unpaid", None)
    assert (session.amount_total, session.currency) == (1500, "eur")
    answer = driver.pay(session, "4242 4242 4242 4242")
    assert (answer.status_code, answer.headers["location"]) == (303, f"http://127.0.0.1:9/success?session={session.id}")
    paid = driver.client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent.latest_charge"]})
    assert (paid.status, paid.payment_status, paid.url) == ("complete", "paid", None)
    assert isinstance(paid.payment_intent, stripe.PaymentIntent)
    assert isinstance(paid.payment_intent.latest_charge, stripe.Charge)
    assert (paid.payment_intent.status, paid.payment_intent.amount_received) == ("succeeded", 1500)
    types = driver.types(customer.id)
    assert types == ["customer.created", *ORDER, "checkout.session.completed"]


def test_metadata_is_copied_to_the_charge_and_not_from_the_session(driver: Driver) -> None:
    session = driver.bought(metadata={"on": "session"}, payment_intent_data={"metadata": {"on": "intent"}})
    intent = driver.client.v1.payment_intents.retrieve(str(session.payment_intent))
    charge = driver.client.v1.charges.retrieve(str(intent.latest_charge))
    assert intent.metadata.to_dict() == {"on": "intent"}
    assert charge.metadata.to_dict() == {"on": "intent"}
    bare = driver.bought(metadata={"on": "session"})
    assert driver.client.v1.payment_intents.retrieve(str(bare.payment_intent)).metadata.to_dict() == {}


def test_a_declined_card_leaves_the_session_open_for_another(driver: Driver) -> None:
    session = driver.session(driver.customer().id)
    answer = driver.pay(session, DECLINED)
    assert answer.status_code == 402
    assert "Your card was declined." in answer.text
    now = driver.client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert isinstance(now.payment_intent, stripe.PaymentIntent)
    assert (now.status, now.payment_intent.status) == ("open", "requires_payment_method")
    error = now.payment_intent.last_payment_error
    assert error
    assert (error.code, error.decline_code) == ("card_declined", "generic_decline")
    assert driver.pay(session, PAYS).status_code == 303
    assert driver.types(now.payment_intent.id)[:3] == [
        "payment_intent.created",
        "charge.failed",
        "payment_intent.payment_failed",
    ]


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ("4000000000009995", "insufficient funds"),
        ("4000000000000069", "expired"),
        ("4111111111111111", "test mode"),
        ("4242424242424241", "number is incorrect"),
        ("", "number is incorrect"),
    ],
)
def test_other_cards_are_declined_with_their_reason(driver: Driver, card: str, message: str) -> None:
    answer = driver.pay(driver.session(driver.customer().id), card)
    assert answer.status_code == 402
    assert message in answer.text


def test_a_card_that_asks_pays_after_the_bank_has_been_asked(driver: Driver) -> None:
    session = driver.session(driver.customer().id)
    asked = driver.pay(session, ASKS)
    assert (asked.status_code, asked.headers["location"]) == (303, f"/stripe/pay/{session.id}/authenticate")
    assert "Complete authentication" in driver.http.get(asked.headers["location"]).text
    assert driver.client.v1.checkout.sessions.retrieve(session.id).status == "open"
    refused = driver.http.post(asked.headers["location"], data={"authentication": "fail"})
    assert (refused.status_code, "unable to authenticate" in refused.text) == (402, True)
    driver.pay(session, ASKS)
    assert driver.http.post(asked.headers["location"], data={"authentication": "complete"}).status_code == 303
    assert driver.client.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"


@pytest.mark.parametrize(
    ("form", "ending", "status"),
    [
        ({"card": "delayed_success"}, "succeeded", "paid"),
        ({"card": "4242424242424242", "method": "delayed_failure"}, "failed", "unpaid"),
        ({"card": "", "method": "delayed"}, "succeeded", "paid"),
    ],
)
def test_a_delayed_method_completes_unpaid_and_ends_later(
    driver: Driver, form: dict[str, str], ending: str, status: str
) -> None:
    session = driver.session(driver.customer().id)
    assert driver.pay(session, **form).status_code == 303
    waiting = driver.client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert isinstance(waiting.payment_intent, stripe.PaymentIntent)
    assert (waiting.status, waiting.payment_status) == ("complete", "unpaid")
    assert waiting.payment_intent.status == "processing"
    driver.advance(5)
    assert driver.client.v1.checkout.sessions.retrieve(session.id).payment_status == status
    assert driver.types(session.id)[-2:] == [
        "checkout.session.completed",
        f"checkout.session.async_payment_{ending}",
    ]


def test_a_guest_pays_with_an_address_and_no_customer_is_made(driver: Driver) -> None:
    session = driver.session()
    assert driver.pay(session, email="guest@example.com").status_code == 303
    paid = driver.client.v1.checkout.sessions.retrieve(session.id)
    assert paid.customer is None
    assert paid.customer_details
    assert paid.customer_details.email == "guest@example.com"
    found = driver.client.v1.checkout.sessions.list({"customer_details": {"email": "guest@example.com"}})
    assert [one.id for one in found.data] == [session.id]


def test_a_subscription_or_the_merchants_wish_makes_a_guest_a_customer(driver: Driver) -> None:
    for params in ({"mode": "subscription"}, {"customer_creation": "always"}):
        session = driver.session(**params)
        driver.pay(session, email="new@example.com")
        paid = driver.client.v1.checkout.sessions.retrieve(session.id, {"expand": ["customer"]})
        assert isinstance(paid.customer, stripe.Customer)
        assert paid.customer.email == "new@example.com"


def test_a_session_is_expired_by_the_merchant_once(driver: Driver) -> None:
    session = driver.session(driver.customer().id)
    driver.pay(session, DECLINED)
    expired = driver.client.v1.checkout.sessions.expire(session.id)
    assert (expired.status, expired.url) == ("expired", None)
    assert driver.types(session.id) == ["checkout.session.expired"]
    intent = driver.client.v1.payment_intents.retrieve(str(expired.payment_intent))
    assert intent.status == "canceled"
    with pytest.raises(stripe.InvalidRequestError, match="Only Checkout Sessions with a status in"):
        driver.client.v1.checkout.sessions.expire(session.id)
    answer = driver.pay(session)
    assert (answer.status_code, "expired" in answer.text) == (410, True)
    assert "expired" in driver.http.get(f"/stripe/pay/{session.id}").text


def test_a_session_expires_by_itself_at_its_time(driver: Driver) -> None:
    now = driver.dev("clock")["now"]
    session = driver.session(driver.customer().id, expires_at=now + 1801)
    driver.advance(3600)
    assert driver.client.v1.checkout.sessions.retrieve(session.id).status == "expired"
    event = driver.events(session.id)[-1]
    assert (event["type"], event["created"]) == ("checkout.session.expired", session.expires_at)


def test_a_second_click_on_pay_pays_once(driver: Driver) -> None:
    session = driver.session(driver.customer().id)
    assert [driver.pay(session).status_code for _ in range(2)] == [303, 303]
    assert driver.types(session.id).count("checkout.session.completed") == 1
    assert "all done" in driver.http.get(f"/stripe/pay/{session.id}").text
    with pytest.raises(stripe.InvalidRequestError, match="status of `complete`"):
        driver.client.v1.checkout.sessions.expire(session.id)


def test_the_page_shows_what_is_bought_and_is_where_the_request_came_to(driver: Driver) -> None:
    session = driver.session(driver.customer(email="<b>@example.com").id)
    assert session.url
    assert session.url.startswith(driver.fakes.url)
    html = driver.http.get(urlsplit(session.url).path).text
    for part in ("Ten classes", "15.00 EUR", "Test mode", 'lang="en"', 'for="card"', "http://127.0.0.1:9/cancel"):
        assert part in html
    assert "<b>@" not in html
    assert driver.http.get("/stripe/pay/cs_test_nothing").status_code == 404


def test_a_merchant_may_want_cards_alone(driver: Driver) -> None:
    session = driver.session(driver.customer().id, allowed_payment_method_types=["card"])
    assert session.payment_method_types == ["card"]
    assert "Bank debit" not in driver.http.get(f"/stripe/pay/{session.id}").text
    assert driver.pay(session, "delayed_success").status_code == 402
    assert driver.pay(session).status_code == 303


BAD: tuple[tuple[dict[str, Any], str], ...] = (
    ({"mode": "setup"}, "mode"),
    ({"success_url": "nowhere"}, "success_url"),
    ({"cancel_url": "ftp://x"}, "cancel_url"),
    ({"line_items": []}, "line_items"),
    ({"customer_email": "a@b.de", "customer": "CUSTOMER"}, "customer"),
    ({"subscription_data": {"metadata": {}, "description": "x"}}, "subscription_data"),
    ({"client_reference_id": "x" * 201}, "client_reference_id"),
    ({"ui_mode": "elements"}, "ui_mode"),
    ({"mode": "subscription", "payment_intent_data": {"description": "x"}}, "payment_intent_data"),
)


@pytest.mark.parametrize(("params", "param"), BAD, ids=lambda value: str(value)[:30])
def test_a_cart_that_makes_no_sense_is_refused(driver: Driver, params: dict[str, Any], param: str) -> None:
    if params.get("customer"):
        params = params | {"customer": driver.customer().id}
    with pytest.raises(stripe.InvalidRequestError) as refused:
        driver.session(**params)
    assert refused.value.param == param


def _line(**price: Any) -> dict[str, Any]:
    data = {"currency": "eur", "unit_amount": 1500, "product_data": {"name": "x"}} | price
    return {"quantity": 1, "price_data": {name: value for name, value in data.items() if value is not None}}


LINES: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("payment", _line(recurring={"interval": "month"}), "line_items"),
    ("subscription", _line(), "mode"),
    ("payment", _line(unit_amount=-1), "line_items[0][price_data][unit_amount]"),
    ("payment", _line(unit_amount=100_000_000), "line_items[0][price_data][unit_amount]"),
    ("payment", _line(unit_amount=None), "line_items[0][price_data][unit_amount]"),
    ("payment", _line(product_data=None), "line_items[0][price_data][product]"),
    ("payment", _line(currency="euro"), "line_items[0][price_data][currency]"),
    ("payment", _line() | {"quantity": 0}, "line_items[0][quantity]"),
    ("payment", {"quantity": 1, "price": "price_nothing"}, "line_items[0][price]"),
    ("payment", {"price": "price_nothing"}, "line_items[0][quantity]"),
)


@pytest.mark.parametrize(("mode", "line", "param"), LINES)
def test_a_line_item_that_makes_no_sense_is_refused(
    driver: Driver, mode: str, line: dict[str, Any], param: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        driver.session(mode=mode, line_items=[line])
    assert refused.value.param == param


def test_a_total_below_the_minimum_is_refused(driver: Driver) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        driver.session(line_items=[_line(unit_amount=49)])
    assert refused.value.code == "amount_too_small"


@pytest.mark.parametrize("seconds", [1790, 24 * 3600 + 10])
def test_a_session_lives_half_an_hour_to_a_day(driver: Driver, seconds: int) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        driver.session(expires_at=driver.dev("clock")["now"] + seconds)
    assert refused.value.param == "expires_at"


def test_sessions_are_found_by_what_they_led_to(driver: Driver) -> None:
    paid, open_ = driver.bought(), driver.session(driver.customer().id)
    subscribed = driver.bought("subscription")
    sessions = driver.client.v1.checkout.sessions

    def found(**params: Any) -> list[str]:
        every: Any = params
        return [session.id for session in sessions.list(every).data]

    assert found(payment_intent=paid.payment_intent) == [paid.id]
    assert found(subscription=subscribed.subscription) == [subscribed.id]
    assert found(customer=paid.customer) == [paid.id]
    assert found(customer=open_.customer, status="open") == [open_.id]
    assert found(customer=open_.customer, status="complete") == []
    lines = sessions.line_items.list(paid.id)
    assert [(line.description, line.amount_total) for line in lines.data] == [("Ten classes", 1500)]


def test_a_refused_session_leaves_nothing_behind(driver: Driver) -> None:
    before = len(driver.client.v1.products.list({"limit": 100}).data)
    with pytest.raises(stripe.InvalidRequestError):
        driver.session(line_items=[_line(), _line(unit_amount=-1)])
    assert len(driver.client.v1.products.list({"limit": 100}).data) == before
