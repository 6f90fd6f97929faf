"""Invoices that a merchant writes by hand: drafts, items, collected or sent, and what waits for the next renewal."""

from typing import Any

import pytest
import stripe

from tests.contract.drive import DAY, FAILS_LATER, PAYS, Driver

HOUR = 3_600


def price(driver: Driver, amount: int = 2_500, *, currency: str = "eur", every: str | None = None) -> str:
    product = driver.client.v1.products.create({"name": "A course"})
    made: Any = {"currency": currency, "unit_amount": amount, "product": product.id}
    made |= {"recurring": {"interval": every}} if every else {}
    return driver.client.v1.prices.create(made).id


def customer(driver: Driver, card: str | None = PAYS) -> str:
    made = driver.customer().id
    if card:
        driver.dev("stripe/cards", {"customer": made, "card": card})
    return made


def draft(driver: Driver, who: str, **params: Any) -> Any:
    every: Any = {"customer": who, **params}
    return driver.client.v1.invoices.create(every)


def add(driver: Driver, who: str, sold: str, **params: Any) -> Any:
    every: Any = {"customer": who, "pricing": {"price": sold}, **params}
    return driver.client.v1.invoice_items.create(every)


def written(driver: Driver, who: str, **params: Any) -> Any:
    """Return a draft with two of a course on it."""
    invoice = draft(driver, who, **params)
    add(driver, who, price(driver), invoice=invoice.id, quantity=2)
    return driver.client.v1.invoices.retrieve(invoice.id)


def test_a_draft_is_empty_until_items_are_put_on_it(driver: Driver) -> None:
    who = customer(driver)
    add(driver, who, price(driver))

    invoice = draft(driver, who)

    assert (invoice.status, invoice.billing_reason, invoice.parent, invoice.total) == ("draft", "manual", None, 0)
    assert (invoice.auto_advance, invoice.automatically_finalizes_at) == (False, None)
    add(driver, who, price(driver), invoice=invoice.id, quantity=2)
    again = driver.client.v1.invoices.retrieve(invoice.id)
    assert (again.total, again.amount_due, [one.quantity for one in again.lines.data]) == (5_000, 5_000, [2])
    parent = again.lines.data[0].parent
    assert parent
    assert parent.type == "invoice_item_details"


def test_it_takes_what_is_pending_if_that_is_asked_for(driver: Driver) -> None:
    who = customer(driver)
    add(driver, who, price(driver))
    add(driver, who, price(driver, 700))

    invoice = draft(driver, who, pending_invoice_items_behavior="include")

    assert [one.amount for one in invoice.lines.data] == [2_500, 700]
    assert draft(driver, who, pending_invoice_items_behavior="include").total == 0


def test_it_is_paid_by_the_customers_card(driver: Driver) -> None:
    invoice = written(driver, customer(driver))

    driver.client.v1.invoices.finalize_invoice(invoice.id)
    assert driver.client.v1.invoices.pay(invoice.id).status == "paid"

    types = driver.types(invoice.id)
    assert types[:3] == ["invoice.created", "invoice.updated", "invoiceitem.created"]
    assert types[-2:] == ["invoice.paid", "invoice.payment_succeeded"]
    assert "charge.succeeded" in driver.types(invoice.customer)


def test_it_advances_by_itself_within_an_hour_if_it_shall(driver: Driver) -> None:
    invoice = written(driver, customer(driver), auto_advance=True)

    driver.advance(HOUR - 60)
    assert driver.client.v1.invoices.retrieve(invoice.id).status == "draft"
    driver.advance(60)

    assert driver.client.v1.invoices.retrieve(invoice.id).status == "paid"


def test_it_stays_open_if_the_card_declines_and_is_paid_on_its_page(driver: Driver) -> None:
    invoice = written(driver, customer(driver, FAILS_LATER))
    driver.client.v1.invoices.finalize_invoice(invoice.id)

    with pytest.raises(stripe.CardError):
        driver.client.v1.invoices.pay(invoice.id)

    assert driver.client.v1.invoices.retrieve(invoice.id).status == "open"
    driver.dev(f"stripe/invoices/{invoice.id}/pay", {"card": PAYS})
    assert driver.client.v1.invoices.retrieve(invoice.id).status == "paid"


def test_it_is_sent_and_due_in_some_days(driver: Driver) -> None:
    invoice = written(driver, customer(driver, None), collection_method="send_invoice", days_until_due=14)

    sent = driver.client.v1.invoices.send_invoice(invoice.id)

    assert sent.status == "open"
    finalized_at = sent.status_transitions.finalized_at
    assert finalized_at
    assert sent.due_date == finalized_at + 14 * DAY
    assert driver.types(invoice.id)[-1] == "invoice.sent"


def test_it_is_voided_or_written_off(driver: Driver) -> None:
    first, second = (written(driver, customer(driver)) for _ in range(2))
    for one in (first, second):
        driver.client.v1.invoices.finalize_invoice(one.id)

    assert driver.client.v1.invoices.void_invoice(first.id).status == "void"
    assert driver.client.v1.invoices.mark_uncollectible(second.id).status == "uncollectible"


def test_a_renewal_takes_what_is_pending_for_its_customer(driver: Driver) -> None:
    plan = driver.subscribed()
    assert isinstance(plan.customer, str)
    add(driver, plan.customer, price(driver))

    driver.advance(31 * DAY + HOUR)

    newest = driver.client.v1.invoices.list({"customer": plan.customer, "limit": 1}).data[0]
    assert (newest.billing_reason, newest.status) == ("subscription_cycle", "paid")
    assert sorted(one.amount for one in newest.lines.data) == [1_500, 2_500]


def test_a_page_makes_an_invoice_for_a_guest_too(driver: Driver) -> None:
    session = driver.session(invoice_creation={"enabled": True})

    assert driver.pay(session, email="guest@example.com").status_code == 303

    paid = driver.client.v1.checkout.sessions.retrieve(session.id, {"expand": ["invoice"]})
    assert paid.customer
    assert isinstance(paid.invoice, stripe.Invoice)
    assert (paid.invoice.status, paid.invoice.amount_paid, paid.invoice.billing_reason) == ("paid", 1_500, "manual")


class TestWhatStripeRefuses:
    def refused(self, driver: Driver, **params: Any) -> stripe.InvalidRequestError:
        with pytest.raises(stripe.InvalidRequestError) as told:
            draft(driver, customer(driver), **params)
        return told.value

    def test_an_invoice_of_nobody(self, driver: Driver) -> None:
        with pytest.raises(stripe.InvalidRequestError) as told:
            driver.client.v1.invoices.create({})

        assert told.value.param == "customer"

    def test_a_sent_one_without_a_day_on_which_it_is_due(self, driver: Driver) -> None:
        assert "days_until_due" in str(self.refused(driver, collection_method="send_invoice"))

    def test_a_due_day_of_one_that_is_charged(self, driver: Driver) -> None:
        assert self.refused(driver, days_until_due=3).param == "days_until_due"

    def test_an_item_at_a_price_that_recurs(self, driver: Driver) -> None:
        with pytest.raises(stripe.InvalidRequestError, match="type=one_time"):
            add(driver, customer(driver), price(driver, every="month"))

    def test_an_item_without_a_price(self, driver: Driver) -> None:
        with pytest.raises(stripe.InvalidRequestError) as told:
            driver.client.v1.invoice_items.create({"customer": customer(driver)})

        assert told.value.code == "parameter_missing"

    def test_an_item_on_an_invoice_of_another_customer_or_currency_or_that_is_final(self, driver: Driver) -> None:
        who, other = customer(driver), customer(driver)
        invoice = draft(driver, who)
        for whose, sold in ((other, price(driver)), (who, price(driver, currency="usd"))):
            with pytest.raises(stripe.InvalidRequestError):
                add(driver, whose, sold, invoice=invoice.id)
        driver.client.v1.invoices.finalize_invoice(invoice.id)

        with pytest.raises(stripe.InvalidRequestError, match="no longer editable"):
            add(driver, who, price(driver), invoice=invoice.id)

    def test_paying_or_voiding_one_that_a_debit_is_paying(self, driver: Driver) -> None:
        session = driver.bought("subscription", "delayed_success")
        assert isinstance(session.subscription, str)
        invoice = driver.client.v1.subscriptions.retrieve(session.subscription).latest_invoice
        assert isinstance(invoice, str)

        with pytest.raises(stripe.InvalidRequestError, match="processed"):
            driver.client.v1.invoices.pay(invoice)
        with pytest.raises(stripe.InvalidRequestError, match="processed"):
            driver.client.v1.invoices.void_invoice(invoice)

    def test_sending_one_that_is_charged(self, driver: Driver) -> None:
        invoice = draft(driver, customer(driver))

        with pytest.raises(stripe.InvalidRequestError, match="send_invoice"):
            driver.client.v1.invoices.send_invoice(invoice.id)
