"""What a buyer chooses on the page: a quantity, a promotion code, where they are taxed."""

from typing import Any

import pytest
import stripe

from tests.contract.drive import DAY, Driver
from tools.fakes.store import new_id


def _line(amount: int = 1500, *, monthly: bool = False, **limits: int) -> dict[str, Any]:
    price: dict[str, Any] = {"currency": "eur", "unit_amount": amount, "product_data": {"name": "Seat"}}
    if monthly:
        price["recurring"] = {"interval": "month"}
    line: dict[str, Any] = {"quantity": 1, "price_data": price}
    return line | ({"adjustable_quantity": {"enabled": True, **limits}} if limits else {})


def _coupon(driver: Driver, **params: Any) -> stripe.Coupon:
    every: Any = {"duration": "once", **params}
    return driver.client.v1.coupons.create(every)


def _code(driver: Driver, coupon: stripe.Coupon, **params: Any) -> stripe.PromotionCode:
    every: Any = {"promotion": {"type": "coupon", "coupon": coupon.id}, "code": new_id("CODE", 6), **params}
    return driver.client.v1.promotion_codes.create(every)


def _now(driver: Driver, session: stripe.checkout.Session) -> stripe.checkout.Session:
    return driver.client.v1.checkout.sessions.retrieve(session.id, {"expand": ["line_items", "subscription"]})


def _first_invoice(driver: Driver, session: stripe.checkout.Session) -> stripe.Invoice:
    return driver.client.v1.invoices.retrieve(str(_now(driver, session).invoice))


def test_the_buyer_chooses_a_quantity_within_the_limits(driver: Driver) -> None:
    session = driver.session(driver.customer().id, mode="subscription", line_items=[_line(monthly=True, maximum=5)])

    assert driver.pay(session, quantity="6").status_code == 402
    assert driver.pay(session, quantity="4").status_code == 303

    paid = _now(driver, session)
    assert isinstance(paid.subscription, stripe.Subscription)
    assert (paid.amount_total, paid.subscription.items.data[0].quantity) == (6000, 4)
    assert _first_invoice(driver, session).total == 6000


def test_updating_the_total_pays_nothing_yet(driver: Driver) -> None:
    session = driver.session(driver.customer().id, line_items=[_line(maximum=5)])

    answer = driver.pay(session, quantity="2", update="1")

    assert (answer.status_code, "Pay 30.00 EUR" in answer.text) == (200, True)
    assert (_now(driver, session).status, _now(driver, session).amount_total) == ("open", 3000)


def test_a_quantity_that_is_not_adjustable_stays(driver: Driver) -> None:
    session = driver.session(driver.customer().id)

    driver.pay(session, quantity="3")

    assert _now(driver, session).amount_total == 1500


def test_a_code_that_the_buyer_types_takes_its_part_off(driver: Driver) -> None:
    coupon = _coupon(driver, percent_off=20)
    code = _code(driver, coupon)
    session = driver.session(driver.customer().id, allow_promotion_codes=True)

    assert "This code is invalid." in driver.pay(session, promotion_code="NOTHING").text
    assert driver.pay(session, promotion_code=code.code.lower()).status_code == 303

    paid = _now(driver, session)
    assert paid.total_details
    assert (paid.amount_subtotal, paid.amount_total, paid.total_details.amount_discount) == (1500, 1200, 300)
    assert [(d.coupon, d.promotion_code) for d in paid.discounts or []] == [(coupon.id, code.id)]
    assert driver.client.v1.payment_intents.retrieve(str(paid.payment_intent)).amount_received == 1200
    assert driver.client.v1.promotion_codes.retrieve(code.id).times_redeemed == 1


def test_a_code_typed_after_a_declined_card_lowers_what_is_charged(driver: Driver) -> None:
    code = _code(driver, _coupon(driver, percent_off=20))
    session = driver.session(driver.customer().id, allow_promotion_codes=True)
    driver.pay(session, "4000000000000002")

    driver.pay(session, promotion_code=code.code)

    intent = driver.client.v1.payment_intents.retrieve(str(_now(driver, session).payment_intent))
    assert (intent.amount, intent.amount_received) == (1200, 1200)


@pytest.mark.parametrize(("duration", "totals"), [("once", [1000, 1500]), ("forever", [1000, 1000])])
def test_a_discount_of_a_subscription_is_on_its_invoices(driver: Driver, duration: Any, totals: list[int]) -> None:
    coupon = _coupon(driver, amount_off=500, currency="eur", duration=duration)
    session = driver.session(driver.customer().id, mode="subscription", discounts=[{"coupon": coupon.id}])
    driver.pay(session)
    paid = _now(driver, session)
    assert isinstance(paid.subscription, stripe.Subscription)

    driver.advance(32 * DAY)

    invoices = driver.client.v1.invoices.list({"subscription": paid.subscription.id}).data[::-1]
    assert paid.amount_total == 1000
    assert [invoice.total for invoice in invoices] == totals
    assert [one.amount for one in invoices[0].total_discount_amounts or []] == [500]
    assert paid.subscription.discounts == invoices[0].discounts


REFUSED: tuple[tuple[dict[str, Any], str], ...] = (
    ({"expires_at": DAY}, "expired"),
    ({"max_redemptions": 1}, "redeemed"),
    ({"restrictions": {"minimum_amount": 2000, "minimum_amount_currency": "eur"}}, "20.00 EUR"),
    ({"restrictions": {"first_time_transaction": True}}, "prior transactions"),
)


@pytest.mark.parametrize(("params", "why"), REFUSED)
def test_a_code_has_its_conditions(driver: Driver, params: dict[str, Any], why: str) -> None:
    if "expires_at" in params:
        params = {"expires_at": driver.dev("clock")["now"] + DAY}
    code = _code(driver, _coupon(driver, percent_off=50), **params)
    customer = driver.customer().id
    if "minimum_amount" not in params.get("restrictions", {}):
        first = driver.session(customer, allow_promotion_codes=True)
        driver.pay(first, promotion_code=code.code)
    driver.advance(2 * DAY)

    answer = driver.pay(driver.session(customer, allow_promotion_codes=True), promotion_code=code.code)

    assert (answer.status_code, why in answer.text) == (402, True)


def test_a_code_is_there_once_and_found_by_its_name(driver: Driver) -> None:
    coupon = _coupon(driver, percent_off=10)
    code = _code(driver, coupon)

    with pytest.raises(stripe.InvalidRequestError, match="already exists"):
        _code(driver, coupon, code=code.code)

    assert [one.id for one in driver.client.v1.promotion_codes.list({"code": code.code}).data] == [code.id]
    driver.client.v1.promotion_codes.update(code.id, {"active": False})
    assert _code(driver, coupon, code=code.code).active


def test_codes_and_a_fixed_discount_exclude_each_other(driver: Driver) -> None:
    coupon = _coupon(driver, percent_off=10)

    with pytest.raises(stripe.InvalidRequestError) as refused:
        driver.session(allow_promotion_codes=True, discounts=[{"coupon": coupon.id}])

    message = "You may only specify one of these parameters: allow_promotion_codes, discounts."
    assert (refused.value.error and refused.value.error.message) == message


def test_tax_is_added_for_the_country_that_the_buyer_chose(driver: Driver) -> None:
    update = {"address": "auto"}
    customer = driver.customer().id
    session = driver.session(customer, mode="subscription", automatic_tax={"enabled": True}, customer_update=update)
    assert session.automatic_tax.status == "requires_location_inputs"

    assert "choose your country" in driver.pay(session).text
    assert driver.pay(session, country="DE").status_code == 303

    paid, invoice = _now(driver, session), _first_invoice(driver, session)
    assert paid.total_details
    assert (paid.amount_subtotal, paid.total_details.amount_tax, paid.amount_total) == (1500, 285, 1785)
    assert (invoice.subtotal, invoice.total, invoice.total_excluding_tax) == (1500, 1785, 1500)
    assert [tax.amount for tax in invoice.total_taxes or []] == [285]
    address = driver.client.v1.customers.retrieve(customer).address
    assert address
    assert address.country == "DE"


def test_tax_rates_are_the_merchants_to_set_and_may_be_inside_the_price(driver: Driver) -> None:
    driver.dev("stripe/settings", {"tax_rates": {"CH": 8.1}})
    line = _line(1081)
    line["price_data"]["tax_behavior"] = "inclusive"

    session = driver.session(line_items=[line], automatic_tax={"enabled": True})
    driver.pay(session, country="CH", email="swiss@example.com")

    paid = _now(driver, session)
    assert paid.total_details
    assert (paid.amount_total, paid.total_details.amount_tax) == (1081, 81)
    driver.dev("stripe/settings", {"tax_rates": {"DE": 19}})


def test_a_known_customer_is_taxed_only_if_their_address_is_known_or_asked_for(driver: Driver) -> None:
    taxed: Any = {"automatic_tax": {"enabled": True}}

    with pytest.raises(stripe.InvalidRequestError, match="requires a valid address on the Customer") as refused:
        driver.session(driver.customer().id, **taxed)

    assert refused.value.code == "customer_tax_location_invalid"
    located = driver.customer(address={"country": "DE"})
    assert driver.session(located.id, **taxed).amount_total == 1785


def test_a_tax_id_needs_leave_to_change_the_customers_name(driver: Driver) -> None:
    customer, wanted = driver.customer().id, {"enabled": True}

    with pytest.raises(stripe.InvalidRequestError, match="Tax ID collection requires updating business name"):
        driver.session(customer, tax_id_collection=wanted)
    session = driver.session(customer, tax_id_collection=wanted, customer_update={"name": "auto"})
    driver.pay(session, tax_id="DE123456789", business_name="Ada's Club")

    details = _now(driver, session).customer_details
    assert details
    assert [(one.type, one.value) for one in details.tax_ids or []] == [("eu_vat", "DE123456789")]
    assert driver.client.v1.customers.retrieve(customer).name == "Ada's Club"
