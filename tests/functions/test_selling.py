"""What a shop sells: prices of the provider's catalogue, codes, and what the page lets the buyer choose."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import pytest
from paidup.model.offer import Interval, Kind, Offer

from tests.functions.wire import Exchange, Wire
from tests.handlers import request
from tests.world import World

SESSIONS, CODES, PRICES = "POST /v1/checkout/sessions", "GET /v1/promotion_codes", "GET /v1/prices"
PASS = Offer(offer_id="sold", name="Ten classes", kind=Kind.PASS, amount=12_000, currency="eur", valid_days=180)
PLAN = Offer(
    offer_id="sold", name="Monthly", kind=Kind.SUBSCRIPTION, amount=4_900, currency="eur", interval=Interval.MONTH
)


@contextmanager
def on_sale(world: World, offer: Offer) -> Iterator[None]:
    """Sell *offer* while the block runs, and take it from sale after that."""
    table = world.services.table
    table.put_offer(offer)
    try:
        yield
    finally:
        key = {"pk": {"S": "OFFERS"}, "sk": {"S": offer.offer_id}}
        table.client.delete_item(TableName=table.name, Key=key)


def a_price(world: World, *, amount: int = 5_500, currency: str = "eur", interval: str = "month") -> dict[str, Any]:
    """Put a price into Stripe's catalogue."""
    product = world.stripe.v1.products.create({"name": "Monthly"})
    asked: Any = {
        "product": product.id,
        "currency": currency,
        "unit_amount": amount,
        "recurring": {"interval": interval},
    }
    return world.stripe.v1.prices.create(asked).to_dict()


def says(status: int, body: Any) -> Any:
    """Return how a request fares that Stripe answers so."""
    headers = [("Content-Type", "application/json"), ("Date", "Sun, 29 Nov 2026 00:00:00 GMT")]

    def answer(exchange: Exchange) -> None:
        exchange.answer(status, headers, json.dumps(body, default=str).encode())

    return answer


def listed(*things: dict[str, Any]) -> Any:
    """Return how a list fares that holds *things*."""
    return says(200, {"object": "list", "data": list(things), "has_more": False, "url": "/v1/things"})


def session(world: World, token: str) -> dict[str, Any]:
    found = world.stripe.v1.checkout.sessions.retrieve(token, {"expand": ["line_items", "subscription"]})
    return found.to_dict()


class TestAPriceOfTheCatalogue:
    def test_is_charged_and_its_id_rides_in_the_metadata(self, world: World, buyer: str) -> None:
        price = a_price(world)

        with on_sale(world, replace(PLAN, amount=None, price=price["id"])):
            token = world.buy("sold", customer=buyer, quantity=2).json

        page = session(world, token["token"])
        assert (token["amount"], token["currency"], token["digits"]) == (11_000, "eur", 2)
        assert page["amount_total"] == 11_000
        assert [line["price"]["id"] for line in page["line_items"]["data"]] == [price["id"]]
        assert page["metadata"].items() >= {"price": price["id"], "quantity": "2", "asked": "11000 eur"}.items()

    def test_that_is_paid_grants_the_offer(self, world: World, buyer: str) -> None:
        with on_sale(world, replace(PLAN, amount=None, price=a_price(world)["id"])):
            token = world.buy("sold", customer=buyer).json
        world.pay(token["url"])
        world.hear_everything()

        found = world.status(token["checkout_id"], customer=buyer)

        assert (found["state"], found["purchase"]["amount"]) == ("active", 5_500)

    def test_is_found_by_its_lookup_key_and_asked_for_once_a_minute(self, world: World, buyer: str, wire: Wire) -> None:
        price = a_price(world, amount=6_100)
        wire.inject(PRICES, listed(price))

        with on_sale(world, replace(PLAN, amount=None, price="monthly_eur")):
            first = world.buy("sold", customer=buyer)
            second = world.buy("sold", customer=f"{buyer}-2")

        assert [first.json["amount"], second.json["amount"]] == [6_100, 6_100]
        (asked,) = [unquote(one) for one in wire.asked if one.startswith(PRICES)]
        assert "lookup_keys[0]=monthly_eur" in asked
        assert "active=true" in asked

    @pytest.mark.parametrize(
        ("price", "why"),
        [
            ({"currency": "usd"}, "currency: is eur, but the price"),
            ({"interval": "year"}, "interval: is every 1 month, but the price"),
        ],
    )
    def test_that_is_not_as_the_offer_says_is_not_sold(
        self, world: World, buyer: str, price: dict[str, Any], why: str
    ) -> None:
        with on_sale(world, replace(PLAN, amount=None, price=a_price(world, **price)["id"])):
            answer = world.buy("sold", customer=buyer)

        assert answer.status == 502
        assert why in answer.json["detail"]
        assert world.account(customer=buyer).get("checkout") is None

    def test_that_is_archived_is_not_sold(self, world: World, buyer: str) -> None:
        price = a_price(world)
        world.stripe.v1.prices.update(price["id"], {"active": False})

        with on_sale(world, replace(PLAN, amount=None, price=price["id"])):
            answer = world.buy("sold", customer=buyer)

        assert answer.status == 502
        assert "is archived" in answer.json["detail"]


def a_code(world: World, buyer: str, **coupon: Any) -> Any:
    """Make a promotion code at Stripe that takes a fifth off, unless *coupon* says otherwise."""
    asked: Any = {"duration": "once", **(coupon or {"percent_off": 20})}
    made = world.stripe.v1.coupons.create(asked)
    name = f"CODE{buyer}".replace("-", "")
    return world.stripe.v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": made.id}, "code": name})


class TestACode:
    def test_in_the_request_lowers_what_is_paid_and_grants_what_was_asked_for(self, world: World, buyer: str) -> None:
        code = a_code(world, buyer).code.lower()

        with on_sale(world, replace(PASS, promotion_codes=True)):
            token = world.buy("sold", customer=buyer, promotion_code=code).json
        world.pay(token["url"])
        world.hear_everything()

        found = world.status(token["checkout_id"], customer=buyer)
        assert token["amount"] == 12_000
        assert (found["state"], found["purchase"]["amount"]) == ("active", 9_600)

    def test_typed_on_the_page_does_the_same(self, world: World, buyer: str) -> None:
        code = a_code(world, buyer).code

        with on_sale(world, replace(PASS, promotion_codes=True)):
            token = world.buy("sold", customer=buyer).json
        world.http.post(token["url"], data={"card": "4242424242424242", "promotion_code": code})
        world.hear_everything()

        found = world.status(token["checkout_id"], customer=buyer)
        assert (found["state"], found["purchase"]["amount"]) == ("active", 9_600)

    def test_that_has_ended_is_refused_by_its_field(self, world: World, buyer: str) -> None:
        code = a_code(world, buyer)
        world.stripe.v1.promotion_codes.update(code.id, {"active": False})

        with on_sale(world, replace(PASS, promotion_codes=True)):
            answer = world.buy("sold", customer=buyer, promotion_code=code.code)

        assert answer.status == 422
        assert answer.json["detail"].startswith("promotion_code: ")

    def test_in_another_currency_is_refused_by_its_field(self, world: World, buyer: str) -> None:
        code = a_code(world, buyer, amount_off=500, currency="usd").code

        with on_sale(world, replace(PASS, promotion_codes=True)):
            answer = world.buy("sold", customer=buyer, promotion_code=code)

        assert answer.status == 422
        assert answer.json["detail"].startswith("promotion_code: ")

    def test_that_nobody_knows_is_refused_by_its_field_and_leaves_the_open_checkout(
        self, world: World, buyer: str, wire: Wire
    ) -> None:
        before = world.buy("day_pass", customer=buyer).json
        wire.inject(CODES, listed())

        with on_sale(world, replace(PASS, promotion_codes=True)):
            answer = world.buy("sold", customer=buyer, promotion_code="SPRING")

        assert answer.status == 422
        assert answer.json["detail"] == "promotion_code: there is no code 'SPRING' that can be used now"
        assert world.account(customer=buyer)["checkout"]["checkout_id"] == before["checkout_id"]

    def test_of_another_customer_is_nobodys(self, world: World, buyer: str, wire: Wire) -> None:
        wire.inject(CODES, listed({"object": "promotion_code", "id": "promo_1", "customer": "cus_somebody_else"}))

        with on_sale(world, replace(PASS, promotion_codes=True)):
            answer = world.buy("sold", customer=buyer, promotion_code="SPRING")

        assert answer.status == 422

    def test_that_is_not_for_this_cart_is_refused_by_its_field(self, world: World, buyer: str, wire: Wire) -> None:
        wire.inject(CODES, listed({"object": "promotion_code", "id": "promo_1", "customer": None}))
        error = {"type": "invalid_request_error", "message": "No.", "param": "discounts[0][promotion_code]"}
        wire.inject(SESSIONS, says(400, {"error": error}))

        with on_sale(world, replace(PASS, promotion_codes=True)):
            answer = world.buy("sold", customer=buyer, promotion_code="SPRING")

        assert answer.status == 422
        assert answer.json["detail"] == "promotion_code: 'SPRING' cannot be used for this"

    def test_is_refused_for_an_offer_that_takes_none_without_asking_stripe(
        self, world: World, buyer: str, wire: Wire
    ) -> None:
        answer = world.buy("day_pass", customer=buyer, promotion_code="SPRING")

        assert answer.status == 422
        assert answer.json["detail"] == "promotion_code: day_pass is sold without codes"
        assert wire.asked == []

    def test_that_changes_under_an_idempotency_key_is_another_cart(self, world: World, buyer: str) -> None:
        key = {"Idempotency-Key": f"click-{buyer}"}
        assert world.buy("day_pass", customer=buyer, headers=key).status == 201

        answer = world.buy("day_pass", customer=buyer, headers=key, promotion_code="SPRING")

        assert answer.status == 422
        assert answer.json["detail"].startswith("Idempotency-Key: ")


def test_a_subscription_renews_every_so_many_intervals(world: World, buyer: str) -> None:
    with on_sale(world, replace(PLAN, interval_count=3, trial_days=730)):
        token = world.buy("sold", customer=buyer).json
    world.pay(token["url"])

    page = session(world, token["token"])

    recurring = page["line_items"]["data"][0]["price"]["recurring"]
    trial = page["subscription"]["trial_end"] - page["subscription"]["trial_start"]
    assert (recurring["interval"], recurring["interval_count"], trial) == ("month", 3, 730 * 86_400)


def test_the_page_offers_what_the_offer_says(world: World, buyer: str) -> None:
    options = replace(PASS, promotion_codes=True, automatic_tax=True, tax_id_collection=True)

    with on_sale(world, replace(options, adjustable_quantity=True, max_quantity=5)):
        token = world.buy("sold", customer=buyer, quantity=2).json

    page = session(world, token["token"])
    limits = page["line_items"]["data"][0]["adjustable_quantity"]
    assert (page["allow_promotion_codes"], page["automatic_tax"]["enabled"]) == (True, True)
    assert page["tax_id_collection"]["enabled"] is True
    assert (limits["enabled"], limits["minimum"], limits["maximum"]) == (True, 1, 5)
    assert page["metadata"].items() >= {"quantity": "2", "max_quantity": "5", "asked": "24000 eur"}.items()


class TestWhatTheBuyerChoosesOnThePage:
    """What is paid differs from what was asked for, and is right all the same: it is granted, and no case opens."""

    def bought(self, world: World, buyer: str, offer: Offer, asked: int = 1, **choice: str) -> tuple[str, int]:
        """Let the buyer pay for *offer* with their *choice* on the page. Return the poll's state, and what was paid."""
        with on_sale(world, offer):
            token = world.buy("sold", customer=buyer, quantity=asked).json
            page = world.http.post(token["url"], data={"card": "4242424242424242", **choice})
            assert page.status_code == 303, page.text
            world.hear_everything()
        state: str = world.status(token["checkout_id"], customer=buyer)["state"]
        return state, session(world, token["token"])["amount_total"]

    def held(self, world: World, buyer: str) -> list[tuple[str, int]]:
        return [(one["offer_id"], one["quantity"]) for one in world.account(customer=buyer)["access"]]

    @pytest.mark.parametrize("offer", [PASS, PLAN], ids=["pass", "subscription"])
    @pytest.mark.parametrize(("asked", "chosen"), [(2, 4), (3, 1), (2, 2)], ids=["more", "fewer", "as asked"])
    def test_a_quantity_is_granted_as_it_was_paid(
        self, world: World, buyer: str, offer: Offer, asked: int, chosen: int
    ) -> None:
        adjustable = replace(offer, adjustable_quantity=True, max_quantity=5)

        found = self.bought(world, buyer, adjustable, asked, quantity=str(chosen))

        assert found == ("active", chosen * (offer.amount or 0))
        assert self.held(world, buyer) == [("sold", chosen)]
        assert world.services.table.open_cases() == []

    @pytest.mark.parametrize("offer", [PASS, PLAN], ids=["pass", "subscription"])
    @pytest.mark.parametrize(("country", "percent"), [("DE", 19), ("IE", 23), ("US", 0)])
    def test_tax_is_paid_beside_the_price(
        self, world: World, buyer: str, offer: Offer, country: str, percent: int
    ) -> None:
        found = self.bought(world, buyer, replace(offer, automatic_tax=True), country=country)

        assert found == ("active", (offer.amount or 0) * (100 + percent) // 100)
        assert self.held(world, buyer) == [("sold", 1)]
        assert world.services.table.open_cases() == []

    @pytest.mark.parametrize("offer", [PASS, PLAN], ids=["pass", "subscription"])
    def test_a_code_a_quantity_and_tax_go_together(self, world: World, buyer: str, offer: Offer) -> None:
        both = replace(offer, promotion_codes=True, automatic_tax=True, adjustable_quantity=True, max_quantity=5)
        code = a_code(world, buyer).code

        found = self.bought(world, buyer, both, 2, quantity="3", country="DE", promotion_code=code)

        assert found == ("active", round(3 * (offer.amount or 0) * 0.8 * 1.19))
        assert self.held(world, buyer) == [("sold", 3)]
        assert world.services.table.open_cases() == []

    @pytest.mark.parametrize("tax_id", ["DE123456789", "IE1234567FA", "ATU12345678"])
    def test_a_tax_id_changes_nothing_of_what_is_granted(self, world: World, buyer: str, tax_id: str) -> None:
        offer = replace(PASS, tax_id_collection=True)

        found = self.bought(world, buyer, offer, tax_id=tax_id, business_name="Ada's Club")

        assert found == ("active", 12_000)
        assert self.held(world, buyer) == [("sold", 1)]


def test_the_page_offers_nothing_that_the_offer_does_not_say(world: World, buyer: str) -> None:
    page = session(world, world.buy("day_pass", customer=buyer).json["token"])

    assert not page["allow_promotion_codes"]
    assert not page["automatic_tax"]["enabled"]


def test_the_shop_lists_what_a_front_end_needs(world: World) -> None:
    offer = replace(PLAN, amount=None, price="monthly_eur", catalog_amount=6_100, interval_count=3, uses=None)

    with on_sale(world, replace(offer, adjustable_quantity=True, max_quantity=5, promotion_codes=True)):
        offers = request("GET /offers").json["offers"]

    (found,) = [one for one in offers if one["offer_id"] == "sold"]
    wanted = {"amount": 6_100, "currency": "eur", "digits": 2, "interval": "month", "interval_count": 3}
    assert found == found | wanted | {"max_quantity": 5, "promotion_codes": True, "group": "subscriptions"}
    (live,) = [one for one in offers if one["offer_id"] == "live_session"]
    assert (live["max_quantity"], live.get("group")) == (1, None)
