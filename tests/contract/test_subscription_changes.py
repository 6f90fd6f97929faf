"""What a merchant changes about a subscription, and what Stripe makes of it: items, ends, pauses, prorations."""

from typing import Any

import pytest
import stripe

from tests.contract.drive import DAY, FAILS_LATER, PAYS, Driver

HOUR = 3_600
MONTH = 31 * DAY + HOUR
ASKS_ALWAYS = "4000002760003184"
WAITS: Any = {"proration_behavior": "always_invoice", "payment_behavior": "pending_if_incomplete"}


def price(driver: Driver, amount: int = 3_000, interval: str = "month", currency: str = "eur") -> str:
    product = driver.client.v1.products.create({"name": "Club"})
    recurring: Any = {"interval": interval}
    made: Any = {"currency": currency, "unit_amount": amount, "product": product.id, "recurring": recurring}
    return driver.client.v1.prices.create(made).id


def now(driver: Driver, subscription: stripe.Subscription) -> Any:
    return driver.client.v1.subscriptions.retrieve(subscription.id, {"expand": ["latest_invoice"]})


def update(driver: Driver, subscription: stripe.Subscription, **params: Any) -> Any:
    every: Any = params
    return driver.client.v1.subscriptions.update(subscription.id, every)


def item(subscription: Any, index: int = 0) -> Any:
    return subscription.items.data[index]


def half_way(driver: Driver, subscription: Any) -> None:
    """Let half of the running period pass."""
    one = item(subscription)
    driver.advance((one.current_period_end - one.current_period_start) // 2)


def moved(driver: Driver, subscription: Any, card: str = PAYS, **params: Any) -> Any:
    """Move a subscription of 15.00, half way through its period, to 30.00 and return it as it then is."""
    if card != PAYS:
        driver.dev("stripe/cards", {"customer": subscription.customer, "card": card})
    half_way(driver, subscription)
    items = [{"id": item(subscription).id, "price": price(driver)}]
    update(driver, subscription, items=items, **params)
    return now(driver, subscription)


def lines(invoice: Any) -> list[tuple[int, bool]]:
    return [(one.amount, one.parent.subscription_item_details.proration) for one in invoice.lines.data]


class TestADebitThatTakesItsTime:
    @pytest.fixture(params=["active", "incomplete"])
    def begun(self, driver: Driver, request: pytest.FixtureRequest) -> Any:
        driver.dev("stripe/settings", {"delayed_subscriptions": request.param})
        yield request.param
        driver.dev("stripe/settings", {"delayed_subscriptions": "active"})

    def bought(self, driver: Driver, outcome: str) -> Any:
        session = driver.session(driver.customer().id, mode="subscription")
        assert driver.pay(session, outcome).status_code == 303
        expand: Any = {"expand": ["subscription.latest_invoice.payments"]}
        return driver.client.v1.checkout.sessions.retrieve(session.id, expand)

    def test_leaves_the_session_unpaid_and_the_subscription_there(self, driver: Driver, begun: str) -> None:
        session = self.bought(driver, "delayed_success")

        subscription = session.subscription
        assert (session.status, session.payment_status, subscription.status) == ("complete", "unpaid", begun)
        assert subscription.latest_invoice.status == "open"
        paying = subscription.latest_invoice.payments.data[0].payment.payment_intent
        assert driver.client.v1.payment_intents.retrieve(paying).status == "processing"
        assert driver.types(subscription.id) == [
            "customer.subscription.created",
            "invoice.created",
            "invoice.finalized",
            "checkout.session.completed",
        ]

    def test_pays_the_invoice_when_it_comes(self, driver: Driver, begun: str) -> None:
        session = self.bought(driver, "delayed_success")

        driver.advance(5)

        after = now(driver, session.subscription)
        assert (after.status, after.latest_invoice.status, after.latest_invoice.amount_paid) == ("active", "paid", 1500)
        assert driver.client.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"
        expected = ["invoice.paid", "invoice.payment_succeeded", "checkout.session.async_payment_succeeded"]
        types = [type_ for type_ in driver.types(session.subscription.id) if type_ != "customer.subscription.updated"]
        assert types[-3:] == expected

    def test_that_bounces_leaves_it_owing(self, driver: Driver, begun: str) -> None:
        session = self.bought(driver, "delayed_failure")

        driver.advance(5)

        after = now(driver, session.subscription)
        assert after.latest_invoice.status == "open"
        assert after.status == {"active": "past_due", "incomplete": "incomplete"}[begun]
        assert driver.client.v1.checkout.sessions.retrieve(session.id).payment_status == "unpaid"
        assert driver.types(after.id)[-1] == "checkout.session.async_payment_failed"
        assert "invoice.payment_failed" in driver.types(after.id)

    def test_that_bounces_ends_what_never_began_after_23_hours(self, driver: Driver) -> None:
        driver.dev("stripe/settings", {"delayed_subscriptions": "incomplete"})
        session = self.bought(driver, "delayed_failure")

        driver.advance(DAY)

        after = now(driver, session.subscription)
        assert (after.status, after.latest_invoice.status) == ("incomplete_expired", "void")
        driver.dev("stripe/settings", {"delayed_subscriptions": "active"})

    def test_keeps_a_renewal_active_while_it_is_under_way(self, driver: Driver) -> None:
        subscription = self.bought(driver, "delayed_success").subscription
        driver.advance(5)

        driver.advance(item(subscription).current_period_end + HOUR - driver.dev("clock")["now"])

        under_way = now(driver, subscription)
        assert (under_way.status, under_way.latest_invoice.status) == ("active", "open")
        driver.advance(5)
        assert now(driver, subscription).latest_invoice.status == "paid"


class TestAChangeOfPlan:
    def test_waits_for_the_next_invoice_as_a_credit_and_a_debit(self, driver: Driver) -> None:
        subscription: Any = driver.subscribed()
        first = subscription.latest_invoice
        changed = moved(driver, subscription)

        assert (changed.latest_invoice.id, item(changed).price.unit_amount) == (first, 3_000)
        pending = driver.client.v1.invoice_items.list({"customer": changed.customer, "pending": True}).data
        assert [(one.amount, one.proration) for one in pending] == [(1_500, True), (-750, True)]
        driver.advance(MONTH)
        renewed = now(driver, subscription).latest_invoice
        assert lines(renewed) == [(-750, True), (1_500, True), (3_000, False)]
        assert (renewed.total, renewed.status) == (3_750, "paid")

    def test_can_be_invoiced_at_once(self, driver: Driver) -> None:
        subscription: Any = driver.subscribed()
        first = driver.client.v1.invoices.retrieve(str(subscription.latest_invoice))
        half_way(driver, subscription)
        at = driver.dev("clock")["now"]
        new = price(driver)
        update(
            driver,
            subscription,
            items=[{"id": item(subscription).id, "price": new}],
            proration_behavior="always_invoice",
        )

        changed = now(driver, subscription)
        invoice = changed.latest_invoice
        assert (invoice.status, invoice.billing_reason, invoice.amount_paid) == ("paid", "subscription_update", 750)
        credit, debit = invoice.lines.data
        assert (credit.amount, debit.amount) == (-750, 1_500)
        assert credit.pricing.price_details.price == item(subscription).price.id
        assert debit.pricing.price_details.price == new
        assert credit.period.start == debit.period.start == at
        assert credit.period.end == debit.period.end == item(subscription).current_period_end
        details = credit.parent.subscription_item_details
        assert (details.subscription_item, details.proration) == (item(subscription).id, True)
        assert details.proration_details.credited_items.invoice_line_items == [first.lines.data[0].id]

    def test_can_be_free_of_prorations(self, driver: Driver) -> None:
        changed = moved(driver, driver.subscribed(), proration_behavior="none")

        assert item(changed).price.unit_amount == 3_000
        assert driver.client.v1.invoice_items.list({"customer": changed.customer}).data == []

    def test_to_another_interval_begins_a_new_period_and_is_charged(self, driver: Driver) -> None:
        subscription: Any = driver.subscribed()
        half_way(driver, subscription)
        at = driver.dev("clock")["now"]

        update(driver, subscription, items=[{"id": item(subscription).id, "price": price(driver, 9_000, "year")}])

        changed = now(driver, subscription)
        assert (changed.billing_cycle_anchor, item(changed).current_period_start) == (at, at)
        assert lines(changed.latest_invoice) == [(-750, True), (9_000, False)]
        assert (changed.latest_invoice.status, changed.latest_invoice.amount_paid) == ("paid", 8_250)

    def test_that_gives_back_more_than_it_costs_leaves_a_balance(self, driver: Driver) -> None:
        customer = driver.customer(
            payment_method="pm_card_visa", invoice_settings={"default_payment_method": "pm_card_visa"}
        )
        items: Any = [{"price": price(driver, 12_000, "year")}]
        yearly: Any = driver.client.v1.subscriptions.create({"customer": customer.id, "items": items})
        half_way(driver, yearly)

        update(driver, yearly, items=[{"id": item(yearly).id, "price": price(driver, 1_000)}])

        changed = now(driver, yearly)
        assert (changed.latest_invoice.total, changed.latest_invoice.amount_due) == (-5_000, 0)
        assert (changed.latest_invoice.status, changed.latest_invoice.ending_balance) == ("paid", -5_000)
        assert driver.client.v1.customers.retrieve(customer.id).balance == -5_000
        driver.advance(MONTH)
        assert now(driver, yearly).latest_invoice.amount_due == 0
        assert driver.client.v1.customers.retrieve(customer.id).balance == -4_000

    def test_that_costs_too_little_to_be_charged_is_paid_with_the_next_period(self, driver: Driver) -> None:
        subscription: Any = driver.subscribed()
        half_way(driver, subscription)
        items = [{"id": item(subscription).id, "price": price(driver, 1_540)}]

        update(driver, subscription, items=items, proration_behavior="always_invoice")

        billed = now(driver, subscription).latest_invoice
        assert (billed.status, billed.total, billed.amount_due, billed.ending_balance) == ("paid", 20, 0, 20)
        assert driver.client.v1.customers.retrieve(subscription.customer).balance == 20
        driver.advance(MONTH)
        assert now(driver, subscription).latest_invoice.amount_due == 1_560

    def test_of_seats_is_prorated_too(self, driver: Driver) -> None:
        subscription: Any = driver.subscribed()
        half_way(driver, subscription)
        items = [{"id": item(subscription).id, "quantity": 5}]

        changed = update(driver, subscription, items=items, proration_behavior="always_invoice")

        assert (item(changed).quantity, item(changed).price.id) == (5, item(subscription).price.id)
        assert lines(now(driver, subscription).latest_invoice) == [(-750, True), (3_750, True)]

    def test_adds_and_takes_away_items_and_leaves_the_others(self, driver: Driver) -> None:
        subscription: Any = driver.subscribed()
        extra = price(driver, 500)
        half_way(driver, subscription)
        added = update(driver, subscription, items=[{"price": extra}], proration_behavior="always_invoice")
        assert [one.price.unit_amount for one in added.items.data] == [1_500, 500]
        assert lines(now(driver, subscription).latest_invoice) == [(250, True)]

        removed = update(driver, subscription, items=[{"id": item(added, 0).id, "deleted": True}])

        assert [one.price.id for one in removed.items.data] == [extra]
        with pytest.raises(stripe.InvalidRequestError, match="at least one"):
            update(driver, subscription, items=[{"id": item(removed).id, "deleted": True}])

    def test_credits_a_debit_that_is_still_pending(self, driver: Driver) -> None:
        changed = moved(driver, driver.subscribed())
        update(driver, changed, items=[{"id": item(changed).id, "quantity": 2}])

        pending: Any = driver.client.v1.invoice_items.list({"customer": changed.customer, "pending": True}).data
        assert [one.amount for one in pending] == [3_000, -1_500, 1_500, -750]
        assert pending[1].proration_details.credited_items.invoice_item == pending[2].id

    def test_may_add_an_item_with_a_period_of_its_own(self, driver: Driver) -> None:
        subscription: Any = driver.subscribed()
        mixed = update(driver, subscription, items=[{"price": price(driver, 6_000, "year")}])
        assert item(mixed, 1).current_period_end > item(mixed, 0).current_period_end + 300 * DAY

        driver.advance(MONTH)

        renewed = now(driver, subscription)
        assert item(renewed, 0).current_period_start == item(mixed, 0).current_period_end
        assert item(renewed, 1).current_period_end == item(mixed, 1).current_period_end
        assert lines(renewed.latest_invoice) == [(6_000, True), (1_500, False)]

    def test_refuses_a_plan_that_is_there_and_another_currency(self, driver: Driver) -> None:
        subscription: Any = driver.subscribed()
        kept = price(driver)
        update(driver, subscription, items=[{"price": kept}])

        with pytest.raises(stripe.InvalidRequestError, match="same plan"):
            update(driver, subscription, items=[{"price": kept}])
        with pytest.raises(stripe.InvalidRequestError, match="currency"):
            update(driver, subscription, items=[{"price": price(driver, currency="usd")}])

    def test_refuses_a_proration_outside_of_the_period(self, driver: Driver) -> None:
        subscription: Any = driver.subscribed()
        late = item(subscription).current_period_end + 1

        with pytest.raises(stripe.InvalidRequestError) as refused:
            update(driver, subscription, items=[{"id": item(subscription).id, "quantity": 2}], proration_date=late)

        assert refused.value.param == "proration_date"

    def test_that_is_declined_is_past_due_unless_said_otherwise(self, driver: Driver) -> None:
        changed = moved(driver, driver.subscribed(), FAILS_LATER, proration_behavior="always_invoice")

        assert (changed.status, item(changed).price.unit_amount) == ("past_due", 3_000)
        assert changed.latest_invoice.status == "open"

    def test_that_is_declined_can_be_refused_and_leave_no_trace(self, driver: Driver) -> None:
        subscription: Any = driver.subscribed()
        before = len(driver.types(str(subscription.customer)))
        with pytest.raises(stripe.CardError) as declined:
            moved(
                driver,
                subscription,
                FAILS_LATER,
                proration_behavior="always_invoice",
                payment_behavior="error_if_incomplete",
            )

        assert declined.value.http_status == 402
        after = now(driver, subscription)
        assert (item(after).price.unit_amount, after.latest_invoice.id) == (1_500, subscription.latest_invoice)
        new = driver.types(str(subscription.customer))[before:]
        assert set(new) == {"payment_method.attached", "customer.updated", "customer.subscription.updated"}, (
            "the new card"
        )

    def test_can_wait_for_the_buyers_payment_from_the_start(self, driver: Driver) -> None:
        changed = moved(
            driver, driver.subscribed(), proration_behavior="always_invoice", payment_behavior="default_incomplete"
        )

        assert (changed.status, changed.latest_invoice.status) == ("past_due", "open")
        driver.dev(f"stripe/invoices/{changed.latest_invoice.id}/pay", {})
        assert now(driver, changed).status == "active"


class TestAPendingUpdate:
    def test_is_none_where_it_is_paid_at_once(self, driver: Driver) -> None:
        changed = moved(driver, driver.subscribed(), **WAITS)

        assert (changed.pending_update, item(changed).price.unit_amount) == (None, 3_000)
        assert changed.latest_invoice.status == "paid"

    @pytest.mark.parametrize("card", [FAILS_LATER, ASKS_ALWAYS])
    def test_keeps_the_old_plan_until_it_is_paid(self, driver: Driver, card: str) -> None:
        subscription = driver.subscribed()

        waiting = moved(driver, subscription, card, **WAITS)

        assert (waiting.status, item(waiting).price.unit_amount) == ("active", 1_500)
        assert waiting.pending_update.expires_at == driver.dev("clock")["now"] + 23 * HOUR
        (asked,) = waiting.pending_update.subscription_items
        assert (asked.id, asked.price.unit_amount) == (item(waiting).id, 3_000)
        assert lines(waiting.latest_invoice) == [(-750, True), (1_500, True)]
        assert waiting.latest_invoice.status == "open"
        driver.dev(f"stripe/invoices/{waiting.latest_invoice.id}/pay", {"card": ASKS_ALWAYS})
        after = now(driver, subscription)
        assert (after.pending_update, item(after).price.unit_amount) == (None, 3_000)
        assert driver.types(subscription.id)[-1] == "customer.subscription.pending_update_applied"

    def test_of_which_the_bank_says_no_waits_on(self, driver: Driver) -> None:
        waiting = moved(driver, driver.subscribed(), ASKS_ALWAYS, **WAITS)

        driver.dev(f"stripe/invoices/{waiting.latest_invoice.id}/pay", {"card": ASKS_ALWAYS, "agrees": False})

        after = now(driver, waiting)
        assert (after.status, after.latest_invoice.status) == ("active", "open")
        assert after.pending_update.expires_at == waiting.pending_update.expires_at

    def test_expires_and_voids_its_invoice(self, driver: Driver) -> None:
        subscription = driver.subscribed()
        moved(driver, subscription, FAILS_LATER, **WAITS)

        driver.advance(DAY)

        after = now(driver, subscription)
        assert (after.pending_update, after.status, after.latest_invoice.status) == (None, "active", "void")
        assert item(after).price.unit_amount == 1_500
        types = driver.types(subscription.id)
        assert types[-1] == "customer.subscription.pending_update_expired"
        assert "invoice.voided" in types
        driver.dev("stripe/cards", {"customer": subscription.customer, "card": PAYS})
        driver.advance(MONTH)
        assert lines(now(driver, subscription).latest_invoice) == [(1_500, False)]

    def test_gives_way_to_another_change(self, driver: Driver) -> None:
        subscription: Any = driver.subscribed()
        first = moved(driver, subscription, FAILS_LATER, **WAITS)
        driver.dev("stripe/cards", {"customer": subscription.customer, "card": PAYS})

        update(driver, subscription, items=[{"id": item(subscription).id, "quantity": 2}], **WAITS)

        after = now(driver, subscription)
        assert (after.pending_update, item(after).quantity, item(after).price.unit_amount) == (None, 2, 1_500)
        assert driver.client.v1.invoices.retrieve(first.latest_invoice.id).status == "void"

    @pytest.mark.parametrize(
        ("more", "param"),
        [
            ({"metadata": {"a": "b"}}, "metadata"),
            ({"cancel_at_period_end": True}, "cancel_at_period_end"),
            ({"description": "x"}, "description"),
            ({"items": [{"price": "price_x", "metadata": {"a": "b"}}]}, "items[0][metadata]"),
        ],
        ids=str,
    )
    def test_takes_only_what_can_wait(self, driver: Driver, more: dict[str, Any], param: str) -> None:
        with pytest.raises(stripe.InvalidRequestError) as refused:
            update(driver, driver.subscribed(), **WAITS, **more)

        assert refused.value.param == param


class TestAnEnd:
    def test_at_a_second_of_the_merchants_own(self, driver: Driver) -> None:
        subscription: Any = driver.subscribed()
        at = driver.dev("clock")["now"] + 3 * DAY
        asked = update(driver, subscription, cancel_at=at, cancellation_details={"feedback": "too_expensive"})
        assert (asked.cancel_at, asked.cancel_at_period_end) == (at, False)
        assert (asked.cancellation_details.feedback, asked.cancellation_details.reason) == (
            "too_expensive",
            "cancellation_requested",
        )

        driver.advance(4 * DAY)

        after = now(driver, subscription)
        assert (after.status, after.ended_at) == ("canceled", at)

    @pytest.mark.parametrize(("proration", "balance"), [("create_prorations", -750), ("none", 0)])
    def test_before_the_periods_end_gives_the_rest_back_or_not(
        self, driver: Driver, proration: str, balance: int
    ) -> None:
        subscription: Any = driver.subscribed()
        one = item(subscription)
        middle = (one.current_period_start + one.current_period_end) // 2
        update(driver, subscription, cancel_at=middle, proration_behavior=proration)

        half_way(driver, subscription)

        assert now(driver, subscription).status == "canceled"
        assert driver.client.v1.customers.retrieve(str(subscription.customer)).balance == balance

    def test_can_be_taken_back(self, driver: Driver) -> None:
        subscription: Any = driver.subscribed()
        update(driver, subscription, cancel_at=driver.dev("clock")["now"] + 3 * DAY)

        back = update(driver, subscription, cancel_at="")

        assert (back.cancel_at, back.canceled_at, back.cancellation_details.reason) == (None, None, None)

    def test_can_give_back_what_is_not_used(self, driver: Driver) -> None:
        subscription: Any = driver.subscribed()
        half_way(driver, subscription)

        gone: Any = driver.client.v1.subscriptions.cancel(subscription.id, {"invoice_now": True, "prorate": True})

        invoice = driver.client.v1.invoices.retrieve(gone.latest_invoice)
        assert (gone.status, invoice.status, lines(invoice)) == ("canceled", "paid", [(-750, True)])
        assert driver.client.v1.customers.retrieve(str(subscription.customer)).balance == -750

    def test_collects_what_is_pending_at_the_end_of_the_period(self, driver: Driver) -> None:
        subscription = driver.subscribed()
        moved(driver, subscription)
        update(driver, subscription, cancel_at_period_end=True)

        driver.advance(MONTH)

        after = now(driver, subscription)
        assert after.status == "canceled"
        assert lines(after.latest_invoice) == [(-750, True), (1_500, True)]
        assert after.latest_invoice.amount_paid == 750

    def test_stops_what_was_to_be_collected(self, driver: Driver) -> None:
        subscription: Any = driver.subscribed()
        driver.advance(item(subscription).current_period_end - driver.dev("clock")["now"])

        driver.client.v1.subscriptions.cancel(subscription.id)

        driver.advance(2 * HOUR)
        assert now(driver, subscription).latest_invoice.status == "draft"

    def test_makes_room_for_another_one_of_the_same_metadata(self, driver: Driver) -> None:
        customer = driver.customer(
            payment_method="pm_card_visa", invoice_settings={"default_payment_method": "pm_card_visa"}
        )
        plans: Any = [{"price": price(driver), "quantity": 3}, {"price": price(driver, 500)}]
        asked: Any = {"customer": customer.id, "items": plans, "metadata": {"purchase": "1"}}
        create = driver.client.v1.subscriptions.create
        first = create(asked)
        driver.client.v1.subscriptions.cancel(first.id)

        again: Any = create(asked)

        assert again.id != first.id
        assert (again.status, again.metadata.to_dict()) == ("active", {"purchase": "1"})
        assert [(one.price.unit_amount, one.quantity) for one in again.items.data] == [(3_000, 3), (500, 1)]
        assert driver.client.v1.invoices.retrieve(again.latest_invoice).amount_paid == 9_500

    def test_leaves_the_metadata_to_be_wiped(self, driver: Driver) -> None:
        subscription = driver.subscribed(metadata={"a": "1"})
        driver.client.v1.subscriptions.cancel(subscription.id)

        assert update(driver, subscription, metadata="").metadata.to_dict() == {}


class TestAPausedCollection:
    @pytest.mark.parametrize(
        ("behavior", "status", "event"),
        [
            ("void", "void", "invoice.voided"),
            ("mark_uncollectible", "uncollectible", "invoice.marked_uncollectible"),
            ("keep_as_draft", "draft", "invoice.updated"),
        ],
    )
    def test_collects_nothing_while_the_subscription_runs(
        self, driver: Driver, behavior: str, status: str, event: str
    ) -> None:
        subscription: Any = driver.subscribed()
        paused = update(driver, subscription, pause_collection={"behavior": behavior})
        assert (paused.pause_collection.behavior, paused.pause_collection.resumes_at) == (behavior, None)

        driver.advance(MONTH)

        after = now(driver, subscription)
        assert (after.status, after.latest_invoice.status, after.latest_invoice.auto_advance) == (
            "active",
            status,
            False,
        )
        assert item(after).current_period_start == item(subscription).current_period_end
        assert event in driver.types(subscription.id)
        assert after.latest_invoice.amount_paid == 0

    def test_ends_by_itself(self, driver: Driver) -> None:
        subscription: Any = driver.subscribed()
        resumes_at = driver.dev("clock")["now"] + 5 * DAY
        update(driver, subscription, pause_collection={"behavior": "void", "resumes_at": resumes_at})

        driver.advance(6 * DAY)

        after = now(driver, subscription)
        assert after.pause_collection is None
        updated = driver.events(subscription.id)[-1]
        assert (updated["type"], updated["created"]) == ("customer.subscription.updated", resumes_at)
        driver.advance(MONTH)
        assert now(driver, subscription).latest_invoice.status == "paid"

    def test_ends_when_the_merchant_says_so(self, driver: Driver) -> None:
        subscription: Any = driver.subscribed()
        soon = driver.dev("clock")["now"] + DAY
        update(driver, subscription, pause_collection={"behavior": "void", "resumes_at": soon})

        assert update(driver, subscription, pause_collection="").pause_collection is None

        before = len(driver.events(subscription.id))
        driver.advance(2 * DAY)
        assert len(driver.events(subscription.id)) == before

    def test_cannot_end_in_the_past(self, driver: Driver) -> None:
        past = driver.dev("clock")["now"] - 1
        with pytest.raises(stripe.InvalidRequestError) as refused:
            update(driver, driver.subscribed(), pause_collection={"behavior": "void", "resumes_at": past})

        assert refused.value.param == "pause_collection[resumes_at]"


class TestARenewal:
    @pytest.fixture
    def turned(self, driver: Driver) -> Any:
        """A subscription whose new period has just begun."""
        subscription: Any = driver.subscribed()
        driver.advance(item(subscription).current_period_end - driver.dev("clock")["now"])
        return subscription

    def test_is_there_at_once_and_its_invoice_a_draft_for_an_hour(self, driver: Driver, turned: Any) -> None:
        renewed = now(driver, turned)

        invoice = renewed.latest_invoice
        assert (renewed.status, item(renewed).current_period_start) == ("active", item(turned).current_period_end)
        assert (invoice.status, invoice.auto_advance, invoice.number) == ("draft", True, None)
        assert invoice.automatically_finalizes_at == invoice.created + HOUR
        assert driver.types(turned.id)[-2:] == ["customer.subscription.updated", "invoice.created"]

    def test_is_paid_an_hour_later(self, driver: Driver, turned: Any) -> None:
        driver.advance(HOUR)

        invoice = now(driver, turned).latest_invoice
        assert (invoice.status, invoice.status_transitions.paid_at) == ("paid", invoice.created + HOUR)
        assert driver.types(turned.id)[-3:] == ["invoice.finalized", "invoice.paid", "invoice.payment_succeeded"]

    def test_is_past_due_only_when_it_was_charged(self, driver: Driver, turned: Any) -> None:
        driver.dev("stripe/cards", {"customer": turned.customer, "card": FAILS_LATER})
        driver.advance(HOUR - 1)
        assert now(driver, turned).status == "active"

        driver.advance(1)

        assert now(driver, turned).status == "past_due"
        assert {"invoice.payment_failed"} <= set(driver.types(turned.id))

    def test_can_be_finalized_or_held_back_by_the_merchant(self, driver: Driver, turned: Any) -> None:
        draft = str(now(driver, turned).latest_invoice.id)
        assert driver.client.v1.invoices.update(draft, {"auto_advance": False}).automatically_finalizes_at is None
        driver.advance(2 * HOUR)
        assert now(driver, turned).latest_invoice.status == "draft"

        finalized = driver.client.v1.invoices.finalize_invoice(draft, {"auto_advance": True})

        assert finalized.status == "paid"
        with pytest.raises(stripe.InvalidRequestError, match="already finalized"):
            driver.client.v1.invoices.finalize_invoice(draft)


class TestAnInvoice:
    @pytest.fixture
    def late(self, driver: Driver) -> Any:
        """A subscription whose renewal was declined."""
        subscription = driver.subscribed(FAILS_LATER)
        driver.advance(MONTH)
        return now(driver, subscription)

    @pytest.mark.parametrize("what", ["void_invoice", "mark_uncollectible"])
    def test_that_nobody_will_pay_lets_its_subscription_go_on(self, driver: Driver, late: Any, what: str) -> None:
        done = getattr(driver.client.v1.invoices, what)(late.latest_invoice.id)

        status = {"void_invoice": "void", "mark_uncollectible": "uncollectible"}[what]
        assert (done.status, now(driver, late).status) == (status, "active")

    def test_that_was_written_off_can_still_be_paid(self, driver: Driver, late: Any) -> None:
        driver.client.v1.invoices.mark_uncollectible(late.latest_invoice.id)

        driver.dev(f"stripe/invoices/{late.latest_invoice.id}/pay", {})

        assert now(driver, late).latest_invoice.status == "paid"

    def test_that_is_paid_is_neither_voided_nor_written_off(self, driver: Driver) -> None:
        invoice = str(driver.subscribed().latest_invoice)
        for refused in (driver.client.v1.invoices.void_invoice, driver.client.v1.invoices.mark_uncollectible):
            with pytest.raises(stripe.InvalidRequestError):
                refused(invoice)


class TestAPreview:
    def preview(self, driver: Driver, subscription: Any, **details: Any) -> Any:
        asked: Any = {"subscription": subscription.id, "subscription_details": details}
        return driver.client.v1.invoices.create_preview(asked)

    @pytest.mark.parametrize(
        ("amount", "interval", "proration"),
        [(3_000, "month", "always_invoice"), (500, "month", "always_invoice"), (9_000, "year", "create_prorations")],
    )
    def test_is_what_the_change_will_cost(self, driver: Driver, amount: int, interval: str, proration: str) -> None:
        subscription: Any = driver.subscribed()
        half_way(driver, subscription)
        change: Any = {
            "items": [{"id": item(subscription).id, "price": price(driver, amount, interval)}],
            "proration_behavior": proration,
        }

        preview = self.preview(driver, subscription, **change)

        update(driver, subscription, **change)
        invoice = now(driver, subscription).latest_invoice
        assert (preview.amount_due, preview.total, preview.status) == (invoice.amount_due, invoice.total, "draft")
        assert lines(preview) == lines(invoice)
        assert [line.period.to_dict() for line in preview.lines.data] == [
            line.period.to_dict() for line in invoice.lines.data
        ]

    def test_changes_nothing(self, driver: Driver) -> None:
        subscription: Any = driver.subscribed()
        before = driver.types(str(subscription.customer))
        many = [{"id": item(subscription).id, "quantity": 7}]

        preview = self.preview(driver, subscription, items=many, proration_behavior="always_invoice")

        after = now(driver, subscription)
        assert (item(after).quantity, after.latest_invoice.id) == (1, subscription.latest_invoice)
        assert driver.types(str(subscription.customer)) == before
        assert driver.client.v1.invoice_items.list({"customer": str(subscription.customer)}).data == []
        with pytest.raises(stripe.InvalidRequestError):
            driver.client.v1.invoices.retrieve(preview.id)

    def test_counts_from_the_second_asked_for(self, driver: Driver) -> None:
        subscription: Any = driver.subscribed()
        one = item(subscription)
        at = (one.current_period_start + one.current_period_end) // 2

        preview = self.preview(
            driver,
            subscription,
            items=[{"id": one.id, "price": price(driver)}],
            proration_behavior="always_invoice",
            proration_date=at,
        )

        assert lines(preview) == [(-750, True), (1_500, True)]
        assert {line.period.start for line in preview.lines.data} == {at}

    def test_shows_the_next_renewal_with_what_is_pending(self, driver: Driver) -> None:
        subscription: Any = driver.subscribed()
        half_way(driver, subscription)
        change = [{"id": item(subscription).id, "price": price(driver)}]

        preview = self.preview(driver, subscription, items=change)

        assert lines(preview) == [(-750, True), (1_500, True), (3_000, False)]
        assert preview.amount_due == 3_750
        assert lines(self.preview(driver, subscription)) == [(1_500, False)]

    def test_of_what_ends_is_refused(self, driver: Driver) -> None:
        subscription = driver.subscribed()
        update(driver, subscription, cancel_at_period_end=True)
        for _ in range(2):
            with pytest.raises(stripe.InvalidRequestError) as refused:
                self.preview(driver, subscription)
            assert (refused.value.code, refused.value.http_status) == ("invoice_upcoming_none", 404)
            driver.advance(MONTH)

    def test_tells_what_a_new_one_would_cost(self, driver: Driver) -> None:
        plans: Any = [{"price": price(driver), "quantity": 2}]
        asked: Any = {"customer": driver.customer().id, "subscription_details": {"items": plans}}

        assert driver.client.v1.invoices.create_preview(asked).amount_due == 6_000


class TestTheEventsOf:
    """The order in which Stripe makes them; deliveries may come in any. What is noted of the customer is left out."""

    def after(self, driver: Driver, subscription: Any, second: int) -> list[str]:
        """Return the types of the events of a subscription and its customer from *second* on."""
        types = driver.types(str(subscription.customer), **{"created[gte]": second})
        return [type_ for type_ in types if type_ != "customer.updated"]

    PAID = ("payment_intent.created", "charge.succeeded", "payment_intent.succeeded")
    SETTLED = ("invoice.paid", "invoice.payment_succeeded")
    DECLINED = ("payment_intent.created", "charge.failed", "payment_intent.payment_failed")
    UPDATED = "customer.subscription.updated"

    def test_a_first_sale(self, driver: Driver) -> None:
        subscription = driver.subscribed()

        types = self.after(driver, subscription, subscription.created)
        assert types[types.index("payment_intent.created") :] == [
            *self.PAID,
            "payment_method.attached",
            "customer.subscription.created",
            "invoice.created",
            "invoice.finalized",
            *self.SETTLED,
            "checkout.session.completed",
        ]

    def test_a_renewal(self, driver: Driver) -> None:
        subscription: Any = driver.subscribed()
        turns_at = item(subscription).current_period_end

        driver.advance(turns_at + HOUR - driver.dev("clock")["now"])

        assert self.after(driver, subscription, turns_at) == [
            self.UPDATED,
            "invoice.created",
            "invoice.finalized",
            *self.PAID,
            *self.SETTLED,
        ]

    def test_a_renewal_that_is_declined(self, driver: Driver) -> None:
        subscription: Any = driver.subscribed(FAILS_LATER)
        turns_at = item(subscription).current_period_end

        driver.advance(turns_at + HOUR - driver.dev("clock")["now"])

        assert self.after(driver, subscription, turns_at) == [
            self.UPDATED,
            "invoice.created",
            "invoice.finalized",
            *self.DECLINED,
            "invoice.payment_failed",
            "invoice.updated",
            self.UPDATED,
        ]

    def test_a_change_of_plan(self, driver: Driver) -> None:
        subscription = driver.subscribed()
        half_way(driver, subscription)
        changed_at = driver.dev("clock")["now"]

        items = [{"id": item(subscription).id, "price": price(driver)}]
        update(driver, subscription, items=items, proration_behavior="always_invoice")

        assert self.after(driver, subscription, changed_at) == [
            "invoiceitem.created",
            "invoiceitem.created",
            self.UPDATED,
            "invoice.created",
            "invoice.finalized",
            *self.PAID,
            *self.SETTLED,
        ]
