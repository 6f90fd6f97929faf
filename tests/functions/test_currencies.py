"""One customer, several currencies: a Stripe customer for each if Stripe wants it, and their address."""

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from paidup.model.offer import Interval, Kind, Offer

from tests.functions.door import pages_of
from tests.functions.story import CARD, Story
from tests.functions.wire import Exchange, Wire, be_down, lose_the_answer, pass_on
from tests.handlers import Answer, request
from tests.world import World

DAY = 86_400
CREATE, CUSTOMER = "POST /v1/checkout/sessions", "POST /v1/customers"
EURO = Offer(
    offer_id="euro",
    name="Euro",
    kind=Kind.SUBSCRIPTION,
    amount=4_900,
    currency="eur",
    interval=Interval.MONTH,
    allow_several=True,
)
OFFERS = (
    EURO,
    replace(EURO, offer_id="dollar", amount=5_500, currency="usd"),
    replace(EURO, offer_id="pound", amount=4_500, currency="gbp"),
    replace(EURO, offer_id="yen", amount=7_000, currency="jpy"),
    Offer(offer_id="dollar_pass", name="Pass", kind=Kind.PASS, amount=1_500, currency="usd"),
)


@pytest.fixture(autouse=True)
def foreign_offers(world: World) -> Iterator[None]:
    """Offers in several currencies."""
    for offer in OFFERS:
        world.services.table.put_offer(offer)
    yield
    boto3.client("sqs").purge_queue(QueueUrl=os.environ["PAIDUP_WEBHOOK_QUEUE_URL"])


def customers(story: Story) -> dict[str, str]:
    """Return the buyer's Stripe customers by slot, as their account knows them."""
    known = story.world.services.table.account(story.buyer).customers
    return {slot.removeprefix("stripe#"): ref.removeprefix("stripe#") for slot, ref in known.items()}


def made_at_stripe(story: Story) -> list[Any]:
    """Return every customer that Stripe has for the buyer, the oldest first."""
    listed = story.world.stripe.v1.customers.list({"limit": 100}).auto_paging_iter()
    found = [one.to_dict() for one in listed]
    return [one for one in found if one["metadata"].get("customer_id") == story.buyer][::-1]


class TestASecondCurrency:
    @pytest.mark.parametrize(("offer_id", "currency"), [("dollar", "usd"), ("pound", "gbp"), ("yen", "jpy")])
    def test_beside_a_running_subscription_is_paid_by_a_second_customer(
        self, story: Story, offer_id: str, currency: str
    ) -> None:
        story.buys("euro")
        story.hear()
        first = story.customer()
        story.buys(offer_id)
        story.hear()

        assert customers(story) == {"-": first, currency: story.customer()}
        assert {one["offer_id"] for one in story.account["access"]} == {"euro", offer_id}

    def test_is_paid_by_the_same_customer_the_next_time(self, story: Story, wire: Wire) -> None:
        story.buys("euro")
        story.hear()
        euro = story.customer()
        story.buys("dollar")
        story.hear()
        dollar, made = story.customer(), len(made_at_stripe(story))

        story.opens("dollar")
        again = story.customer()
        story.opens("euro")

        assert (again, story.customer()) == (dollar, euro)
        assert len(made_at_stripe(story)) == made == 2

    def test_of_a_third_makes_a_third_customer(self, story: Story) -> None:
        for offer_id in ("euro", "dollar", "pound"):
            story.buys(offer_id)
            story.hear()

        assert set(customers(story)) == {"-", "usd", "gbp"}
        assert len(made_at_stripe(story)) == 3

    def test_after_the_first_has_ended_needs_no_second_customer(self, story: Story) -> None:
        story.buys("euro")
        story.hear()
        story.cancel()
        story.hear()
        story.buys("dollar")
        story.hear()

        assert list(customers(story)) == ["-"]

    def test_of_a_single_payment_needs_no_second_customer(self, story: Story) -> None:
        story.buys("euro")
        story.hear()
        story.buys("dollar_pass")

        assert list(customers(story)) == ["-"]

    def test_is_found_by_a_sync(self, story: Story) -> None:
        story.buys("euro")
        story.hear()
        story.buys("dollar")
        story.news()

        answer = story.world.sync(customer=story.buyer)

        assert answer.json["granted"] == [story.token["checkout_id"]]

    def test_renews_though_nothing_says_whose_it_is_but_the_customer(self, story: Story) -> None:
        """A subscription was made in the dashboard for the second customer."""
        story.buys("euro")
        story.hear()
        story.buys("dollar")
        story.hear()
        product = story.post("products", name="Pound", **{"metadata[offer_id]": "dollar"})
        price = story.post(
            "prices", product=product["id"], unit_amount=900, currency="usd", **{"recurring[interval]": "month"}
        )
        item = {"items[0][price]": price["id"]}
        made = story.post("subscriptions", customer=story.customer(), default_payment_method="pm_card_visa", **item)
        story.hear()

        assert made["id"] in {one["purchase_id"] for one in story.account["purchases"]}

    @pytest.mark.parametrize("lost", [CUSTOMER, CREATE])
    def test_makes_one_customer_and_one_page_though_an_answer_is_lost(
        self, story: Story, wire: Wire, lost: str
    ) -> None:
        story.buys("euro")
        story.hear()
        lost_once = iter([lose_the_answer])
        refused = iter([pass_on])

        def once(exchange: Exchange) -> None:
            if lost == CREATE and next(refused, None):  # the first is what Stripe refuses
                return pass_on(exchange)
            return next(lost_once, pass_on)(exchange)

        wire.inject(lost, once)
        first = story.world.buy("dollar", customer=story.buyer)
        wire.mend()
        story.world.pass_time(3)
        story.opens("dollar")

        assert first.status in (201, 503)
        assert len(made_at_stripe(story)) == 2
        opened = [one.id for one in pages_of(story.world, story.buyer) if one.currency == "usd"]
        assert opened == [story.token["token"]]

    def test_is_refused_for_another_reason_as_before(self, story: Story, wire: Wire) -> None:
        story.buys("euro")
        story.hear()
        made = len(made_at_stripe(story))
        wire.inject(CREATE, forbid)

        assert story.world.buy("dollar", customer=story.buyer).status == 502
        assert len(made_at_stripe(story)) == made


def forbid(exchange: Exchange) -> None:
    """Refuse a parameter, as Stripe does."""
    body = b'{"error": {"type": "invalid_request_error", "param": "line_items", "message": "Invalid line items."}}'
    exchange.answer(400, [], body)


class TestAnOpenPage:
    def test_in_another_currency_is_closed_before_the_new_one_is_asked_for(self, story: Story, wire: Wire) -> None:
        story.opens("euro")
        old = story.token["token"]
        story.opens("dollar")

        assert story.world.stripe.v1.checkout.sessions.retrieve(old).status == "expired"
        assert list(customers(story)) == ["-"]
        asked = [one for one in wire.asked if one == CREATE or one.endswith("/expire")]
        assert asked[-2:] == [f"POST /v1/checkout/sessions/{old}/expire", CREATE]

    def test_in_the_same_currency_is_left_to_the_sweep(self, story: Story, wire: Wire) -> None:
        story.opens("euro")
        old = story.token["token"]
        story.opens("monthly")

        assert story.world.stripe.v1.checkout.sessions.retrieve(old).status == "open"
        story.world.sweep()
        assert story.world.stripe.v1.checkout.sessions.retrieve(old).status == "expired"

    def test_that_cannot_be_closed_now_stops_no_sale(self, story: Story, wire: Wire) -> None:
        story.opens("euro")
        old = story.token["token"]
        wire.inject(f"POST /v1/checkout/sessions/{old}/expire", be_down)
        answer = story.world.buy("dollar", customer=story.buyer)
        wire.mend()

        assert answer.status == 201
        assert set(customers(story)) == {"-", "usd"}
        story.world.sweep()
        assert story.world.stripe.v1.checkout.sessions.retrieve(old).status == "expired"

    def test_that_was_paid_at_the_last_moment_is_what_was_bought(self, story: Story) -> None:
        story.opens("euro")
        first = story.token
        story.world.pay(first["url"], CARD)

        answer = story.world.buy("dollar", customer=story.buyer)

        assert (answer.status, answer.json["type"]) == (409, "urn:paidup:problem:replaced")
        assert first["checkout_id"] in answer.json["detail"]
        assert story.purchase["status"] == "active"
        assert story.purchase["purchase_id"] == first["checkout_id"]


class TestAChangedAddress:
    def buy(self, story: Story, email: str, offer_id: str = "day_pass", *, pays: bool = True) -> Answer:
        """Buy with another *email* than before."""
        caller = {"customer_id": story.buyer, "email": email, "roles": []}
        answer = request("POST /payment-tokens", caller=caller, body={"offer_id": offer_id})
        if pays:
            story.token = answer.json
            story.pays()
            story.hear()
        return answer

    def emails(self, story: Story) -> list[str]:
        return [one["email"] for one in made_at_stripe(story)]

    @pytest.mark.parametrize("email", ["new@example.com", "ADA.NEW@example.com", "ada+new@example.org"])
    def test_reaches_stripe_once(self, story: Story, wire: Wire, email: str) -> None:
        self.buy(story, "old@example.com")
        change = f"POST /v1/customers/{story.customer()}"
        self.buy(story, email)
        self.buy(story, email)

        assert self.emails(story) == [email]
        assert wire.count(change) == 1

    def test_is_the_only_reason_to_tell_stripe(self, story: Story, wire: Wire) -> None:
        self.buy(story, "old@example.com")
        self.buy(story, "old@example.com")
        self.buy(story, "")

        assert wire.count(f"POST /v1/customers/{story.customer()}") == 0
        assert self.emails(story) == ["old@example.com"]

    def test_and_changed_back_reaches_stripe_twice(self, story: Story, wire: Wire) -> None:
        for email in ("old@example.com", "new@example.com", "old@example.com"):
            self.buy(story, email)

        assert self.emails(story) == ["old@example.com"]
        assert wire.count(f"POST /v1/customers/{story.customer()}") == 2

    def test_reaches_the_customers_of_every_currency(self, story: Story) -> None:
        self.buy(story, "old@example.com", "euro")
        self.buy(story, "old@example.com", "dollar")
        self.buy(story, "new@example.com")

        assert self.emails(story) == ["new@example.com", "new@example.com"]

    def test_is_told_the_next_time_if_stripe_does_not_answer(self, story: Story, wire: Wire) -> None:
        self.buy(story, "old@example.com")
        wire.inject(f"POST /v1/customers/{story.customer()}", be_down)
        assert self.buy(story, "new@example.com", pays=False).status == 201
        assert self.emails(story) == ["old@example.com"]
        wire.mend()
        self.buy(story, "new@example.com", "ten_class_pass")

        assert self.emails(story) == ["new@example.com"]

    def test_that_stripe_refuses_stops_no_sale_and_is_not_told_again(self, story: Story, wire: Wire) -> None:
        self.buy(story, "old@example.com")
        for offer_id in ("day_pass", "ten_class_pass"):
            assert self.buy(story, "no address", offer_id).status == 201

        assert self.emails(story) == ["old@example.com"]
        assert wire.count(f"POST /v1/customers/{story.customer()}") == 1

    def test_lies_nowhere_in_the_account(self, story: Story) -> None:
        self.buy(story, "old@example.com")

        assert "example.com" not in repr(story.world.services.table.account(story.buyer).emails)
