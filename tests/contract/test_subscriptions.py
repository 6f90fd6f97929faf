"""The life of a subscription, month after month in a second."""

from typing import Any

import pytest
import stripe

from tests.contract.drive import DAY, FAILS_LATER, PAYS, Driver

HOUR = 3_600
MONTH = 31 * DAY + HOUR  # the longest period, and the hour in which its invoice is a draft


def _now(driver: Driver, subscription: stripe.Subscription) -> stripe.Subscription:
    return driver.client.v1.subscriptions.retrieve(subscription.id, {"expand": ["latest_invoice"]})


def _period(subscription: stripe.Subscription) -> tuple[int, int]:
    item = next(iter(subscription.items.data))
    return item.current_period_start, item.current_period_end


def _invoice(subscription: stripe.Subscription) -> stripe.Invoice:
    assert isinstance(subscription.latest_invoice, stripe.Invoice)
    return subscription.latest_invoice


def _price(driver: Driver, amount: int = 900, interval: str = "month") -> str:
    product = driver.client.v1.products.create({"name": "Club"})
    price: Any = {"currency": "eur", "unit_amount": amount, "product": product.id}
    return driver.client.v1.prices.create(price | {"recurring": {"interval": interval}}).id


def test_checkout_makes_an_active_subscription_with_a_paid_invoice(driver: Driver) -> None:
    subscription = _now(driver, driver.subscribed(metadata={"plan": "gold"}))
    assert (subscription.status, subscription.metadata.to_dict()) == ("active", {"plan": "gold"})
    invoice = _invoice(subscription)
    assert (invoice.status, invoice.amount_paid, invoice.billing_reason) == ("paid", 1500, "subscription_create")
    assert invoice.parent
    assert invoice.parent.subscription_details
    assert invoice.parent.subscription_details.subscription == subscription.id
    assert invoice.parent.subscription_details.metadata
    assert invoice.parent.subscription_details.metadata.to_dict() == {"plan": "gold"}
    start, end = _period(subscription)
    assert 28 * DAY <= end - start <= 31 * DAY
    types = driver.types(subscription.id)
    assert types[-1] == "checkout.session.completed"
    assert {"customer.subscription.created", "invoice.created", "invoice.paid"} <= set(types)


def test_the_invoice_behind_a_charge_is_found_by_its_payment(driver: Driver) -> None:
    subscription = driver.subscribed()
    charge = driver.client.v1.charges.list({"customer": str(subscription.customer)}).data[0]
    payment: Any = {"type": "payment_intent", "payment_intent": str(charge.payment_intent)}
    found = driver.client.v1.invoice_payments.list({"payment": payment, "expand": ["data.invoice"]})
    invoice = found.data[0].invoice
    assert isinstance(invoice, stripe.Invoice)
    assert invoice.id == subscription.latest_invoice


def test_each_period_is_renewed_at_its_end(driver: Driver) -> None:
    subscription = driver.subscribed()
    _, end = _period(subscription)
    driver.advance(MONTH + 60)
    renewed = _now(driver, subscription)
    assert (_period(renewed)[0], renewed.status) == (end, "active")
    invoice = _invoice(renewed)
    assert (invoice.created, invoice.status, invoice.billing_reason) == (end, "paid", "subscription_cycle")
    updated = [e for e in driver.events(subscription.id) if e["type"] == "customer.subscription.updated"]
    assert [event["created"] for event in updated] == [end]
    assert set(updated[0]["data"]["previous_attributes"]) == {"items", "latest_invoice"}


def test_a_year_of_months_keeps_the_day(driver: Driver) -> None:
    subscription = driver.subscribed()
    driver.advance(366 * DAY)
    invoices = driver.client.v1.invoices.list({"subscription": subscription.id, "limit": 100}).data
    assert len(invoices) == 13
    assert {invoice.status for invoice in invoices} == {"paid"}


def test_a_failing_card_makes_it_past_due_and_then_canceled(driver: Driver) -> None:
    subscription = driver.subscribed(FAILS_LATER)
    driver.advance(MONTH)
    late = _now(driver, subscription)
    assert late.status == "past_due"
    assert (_invoice(late).status, _invoice(late).attempt_count) == ("open", 1)
    assert _invoice(late).next_payment_attempt
    assert "invoice.payment_failed" in driver.types(subscription.id)
    driver.advance(16 * DAY)
    ended = _now(driver, subscription)
    assert (ended.status, _invoice(ended).attempt_count) == ("canceled", 4)
    assert ended.cancellation_details
    assert ended.cancellation_details.reason == "payment_failed"
    assert driver.types(subscription.id)[-1] == "customer.subscription.deleted"


def test_a_subscription_ends_unpaid_where_the_merchant_chose_so(driver: Driver) -> None:
    driver.dev("stripe/settings", {"after_retries": "unpaid"})
    subscription = driver.subscribed(FAILS_LATER)
    driver.advance(MONTH + 16 * DAY)
    assert _now(driver, subscription).status == "unpaid"
    driver.dev("stripe/settings", {"after_retries": "cancel"})


def test_a_new_card_pays_at_the_next_retry(driver: Driver) -> None:
    subscription = driver.subscribed(FAILS_LATER)
    driver.advance(MONTH)
    driver.dev("stripe/cards", {"customer": subscription.customer, "card": PAYS})
    driver.advance(3 * DAY)
    saved = _now(driver, subscription)
    assert (saved.status, _invoice(saved).status) == ("active", "paid")


def test_a_good_card_can_start_to_fail(driver: Driver) -> None:
    subscription = driver.subscribed()
    driver.dev("stripe/cards", {"customer": subscription.customer, "card": FAILS_LATER})
    driver.advance(MONTH)
    assert _now(driver, subscription).status == "past_due"


def test_a_renewal_may_ask_the_buyer_first(driver: Driver) -> None:
    subscription = driver.subscribed()
    driver.dev("stripe/cards", {"customer": subscription.customer, "card": "4000002760003184"})
    driver.advance(MONTH)
    assert _now(driver, subscription).status == "past_due"
    assert "invoice.payment_action_required" in driver.types(subscription.id)


def test_an_open_invoice_is_paid_by_the_merchant_or_declined_again(driver: Driver) -> None:
    subscription = driver.subscribed(FAILS_LATER)
    driver.advance(MONTH)
    invoice = _invoice(_now(driver, subscription)).id
    with pytest.raises(stripe.CardError) as declined:
        driver.client.v1.invoices.pay(str(invoice))
    assert (declined.value.code, declined.value.http_status) == ("card_declined", 402)
    assert driver.client.v1.invoices.retrieve(str(invoice)).attempt_count == 2
    driver.dev("stripe/cards", {"customer": subscription.customer, "card": PAYS})
    assert driver.client.v1.invoices.pay(str(invoice)).status == "paid"
    assert _now(driver, subscription).status == "active"


def test_cancel_at_period_end_can_be_taken_back_and_else_ends_it_then(driver: Driver) -> None:
    subscription = driver.subscribed()
    end = _period(subscription)[1]
    update = driver.client.v1.subscriptions.update
    asked = update(subscription.id, {"cancel_at_period_end": True})
    assert (asked.cancel_at, asked.cancel_at_period_end, asked.status) == (end, True, "active")
    assert asked.canceled_at
    event = driver.events(subscription.id)[-1]
    assert event["data"]["previous_attributes"]["cancel_at_period_end"] is False
    back = update(subscription.id, {"cancel_at_period_end": False})
    assert (back.cancel_at, back.canceled_at) == (None, None)
    update(subscription.id, {"cancel_at_period_end": True})
    driver.advance(MONTH)
    gone = _now(driver, subscription)
    assert (gone.status, gone.ended_at) == ("canceled", end)
    assert driver.events(subscription.id)[-1]["created"] == end
    with pytest.raises(stripe.InvalidRequestError, match="canceled subscription"):
        update(subscription.id, {"cancel_at_period_end": False})


def test_cancelling_ends_it_now_and_only_once(driver: Driver) -> None:
    subscription = driver.subscribed()
    gone = driver.client.v1.subscriptions.cancel(subscription.id, {"cancellation_details": {"comment": "bye"}})
    assert gone.status == "canceled"
    assert gone.cancellation_details
    assert gone.cancellation_details.comment == "bye"
    with pytest.raises(stripe.InvalidRequestError) as refused:
        driver.client.v1.subscriptions.cancel(subscription.id)
    assert (refused.value.http_status, refused.value.code) == (404, "resource_missing")


def test_a_trial_costs_nothing_warns_and_then_is_charged(driver: Driver) -> None:
    session = driver.bought("subscription", subscription_data={"trial_period_days": 7})
    assert (session.payment_status, session.amount_total) == ("no_payment_required", 0)
    subscription = driver.client.v1.subscriptions.retrieve(str(session.subscription))
    assert (subscription.status, _period(subscription)[1]) == ("trialing", subscription.trial_end)
    driver.advance(5 * DAY)
    warned = driver.events(subscription.id, type="customer.subscription.trial_will_end")
    assert [event["created"] for event in warned] == [(subscription.trial_end or 0) - 3 * DAY]
    driver.advance(3 * DAY)
    after = _now(driver, subscription)
    assert (after.status, _invoice(after).amount_paid) == ("active", 1500)
    assert _period(after)[0] == subscription.trial_end


def test_a_declined_card_begins_no_trial(driver: Driver) -> None:
    session = driver.session(driver.customer().id, mode="subscription", subscription_data={"trial_period_days": 7})
    assert driver.pay(session, "4000000000000002").status_code == 402
    assert driver.client.v1.checkout.sessions.retrieve(session.id).status == "open"


def test_a_merchant_makes_one_in_the_dashboard(driver: Driver) -> None:
    price = _price(driver)
    customer = driver.customer(
        payment_method="pm_card_visa", invoice_settings={"default_payment_method": "pm_card_visa"}
    )
    made = driver.client.v1.subscriptions.create({"customer": customer.id, "items": [{"price": price}]})
    assert made.status == "active"
    assert driver.types(made.id)[-1] == "customer.subscription.updated"
    listed = driver.client.v1.subscriptions.list({"customer": customer.id, "price": price})
    assert [one.id for one in listed.data] == [made.id]


def test_a_customer_without_a_card_begins_only_a_trial_or_pays_by_hand(driver: Driver) -> None:
    price, customer = _price(driver), driver.customer().id
    create = driver.client.v1.subscriptions.create
    with pytest.raises(stripe.InvalidRequestError, match="no attached payment source"):
        create({"customer": customer, "items": [{"price": price}]})
    by_hand = create(
        {"customer": customer, "items": [{"price": price}], "collection_method": "send_invoice", "days_until_due": 7}
    )
    assert by_hand.status == "active"
    trial = create({"customer": customer, "items": [{"price": price}], "trial_period_days": 3})
    assert trial.status == "trialing"
    driver.advance(4 * DAY)
    assert _now(driver, trial).status == "past_due"


def test_a_trial_without_a_card_is_paused_and_resumed(driver: Driver) -> None:
    behaviour: Any = {"end_behavior": {"missing_payment_method": "pause"}}
    customer = driver.customer().id
    trial = driver.client.v1.subscriptions.create(
        {
            "customer": customer,
            "items": [{"price": _price(driver)}],
            "trial_period_days": 3,
            "trial_settings": behaviour,
        }
    )
    driver.advance(4 * DAY)
    assert _now(driver, trial).status == "paused"
    assert driver.types(trial.id)[-1] == "customer.subscription.paused"
    driver.dev("stripe/cards", {"customer": customer, "card": PAYS})
    assert driver.client.v1.subscriptions.resume(trial.id).status == "active"
    assert driver.types(trial.id)[-1] == "customer.subscription.resumed"


def test_a_paused_one_does_not_renew(driver: Driver) -> None:
    subscription = driver.subscribed()
    assert driver.client.v1.subscriptions.pause(subscription.id).status == "paused"
    driver.advance(2 * MONTH)
    assert len(driver.client.v1.invoices.list({"subscription": subscription.id}).data) == 1
    resumed = driver.client.v1.subscriptions.resume(subscription.id)
    assert (resumed.status, _period(resumed)[0] >= resumed.created + 2 * MONTH) == ("active", True)


def test_a_declined_first_payment_leaves_it_incomplete_for_23_hours(driver: Driver) -> None:
    customer, price = driver.customer().id, _price(driver)
    driver.dev("stripe/cards", {"customer": customer, "card": FAILS_LATER})
    create = driver.client.v1.subscriptions.create
    made = create({"customer": customer, "items": [{"price": price}]})
    assert made.status == "incomplete"
    driver.advance(DAY)
    assert _now(driver, made).status == "incomplete_expired"
    with pytest.raises(stripe.CardError):
        create({"customer": customer, "items": [{"price": price}], "payment_behavior": "error_if_incomplete"})
    statuses = [one.status for one in driver.client.v1.subscriptions.list({"customer": customer, "status": "all"})]
    assert statuses == ["incomplete_expired"]


def test_another_price_of_the_same_interval_keeps_the_period(driver: Driver) -> None:
    subscription = driver.subscribed()
    item = next(iter(subscription.items.data))
    price = _price(driver, 3000)
    changed = driver.client.v1.subscriptions.update(
        subscription.id, {"items": [{"id": item.id, "price": price}], "proration_behavior": "always_invoice"}
    )
    assert [(one.id, one.price.id) for one in changed.items.data] == [(item.id, price)]
    assert _period(changed) == _period(subscription)
    assert 1400 <= _invoice(_now(driver, subscription)).amount_paid <= 1500


def test_another_interval_begins_a_new_period_and_is_charged(driver: Driver) -> None:
    subscription = driver.subscribed()
    item = next(iter(subscription.items.data))
    driver.advance(DAY)
    items: Any = [{"id": item.id, "price": _price(driver, 9000, "year"), "quantity": 2}]
    changed = driver.client.v1.subscriptions.update(subscription.id, {"items": items})
    start, end = _period(changed)
    assert start >= subscription.created + DAY
    assert end - start in (365 * DAY, 366 * DAY)
    assert [line.amount for line in _invoice(_now(driver, subscription)).lines.data][1:] == [18_000]


def test_metadata_is_merged_and_emptied_key_by_key(driver: Driver) -> None:
    subscription = driver.subscribed(metadata={"a": "1", "b": "2"})
    changed = driver.client.v1.subscriptions.update(subscription.id, {"metadata": {"a": "", "c": "3"}})
    assert changed.metadata.to_dict() == {"b": "2", "c": "3"}


def test_lists_leave_out_what_has_ended_unless_asked(driver: Driver) -> None:
    subscription = driver.subscribed()
    customer = str(subscription.customer)
    driver.client.v1.subscriptions.cancel(subscription.id)
    every = driver.client.v1.subscriptions.list
    assert every({"customer": customer}).data == []
    assert [one.id for one in every({"customer": customer, "status": "all"}).data] == [subscription.id]
    assert [one.id for one in every({"customer": customer, "status": "ended"}).data] == [subscription.id]


def test_deleting_a_customer_ends_what_they_have(driver: Driver) -> None:
    subscription = driver.subscribed()
    assert driver.client.v1.customers.delete(str(subscription.customer)).deleted
    assert _now(driver, subscription).status == "canceled"
    assert driver.client.v1.customers.retrieve(str(subscription.customer)).deleted
