"""Offers: what no provider could sell is refused when it is loaded, and a cart holds what was chosen."""

from dataclasses import replace
from typing import Any

import pytest
from paidup.model.errors import Malformed
from paidup.model.offer import CatalogPrice, Interval, Kind, Offer

PASS = Offer(offer_id="ten", name="Ten classes", kind=Kind.PASS, amount=12_000, currency="eur", valid_days=180)
MONTHLY = Offer(
    offer_id="monthly",
    name="Monthly",
    kind=Kind.SUBSCRIPTION,
    amount=4_900,
    currency="eur",
    interval=Interval.MONTH,
    trial_days=14,
)
LIVE = Offer(offer_id="live", name="Live", kind=Kind.LIVE_SESSION, amount=6_500, currency="eur")
LISTED = replace(MONTHLY, amount=None, price="monthly_eur")
PRICE = CatalogPrice(ref="price_1", amount=5_500, currency="eur", interval=Interval.MONTH)


class TestAnOffer:
    @pytest.mark.parametrize(
        ("offer", "changes", "field"),
        [
            (PASS, {"offer_id": ""}, "offer_id"),
            (PASS, {"offer_id": "x" * 101}, "offer_id"),
            (PASS, {"name": " "}, "name"),
            (PASS, {"name": "x" * 251}, "name"),
            (PASS, {"description": "x" * 1_001}, "description"),
            (PASS, {"currency": "eu"}, "currency"),
            (PASS, {"currency": "EUR"}, "currency"),
            (PASS, {"currency": "xyz"}, "currency"),
            (PASS, {"amount": -1}, "amount"),
            (PASS, {"amount": 49}, "amount"),
            (PASS, {"amount": 5_124, "currency": "kwd"}, "amount"),
            (PASS, {"amount": 550, "currency": "ugx"}, "amount"),
            (PASS, {"amount": None}, "amount"),
            (PASS, {"price": "ten_eur"}, "amount"),
            (PASS, {"amount": None, "price": ""}, "price"),
            (PASS, {"amount": None, "price": "x" * 201}, "price"),
            (PASS, {"catalog_amount": 100}, "catalog_amount"),
            (PASS, {"interval": Interval.MONTH}, "interval"),
            (PASS, {"interval_count": 2}, "interval_count"),
            (PASS, {"trial_days": 7}, "trial_days"),
            (PASS, {"valid_days": 0}, "valid_days"),
            (PASS, {"uses": 0}, "uses"),
            (PASS, {"uses": 201}, "uses"),
            (PASS, {"group": ""}, "group"),
            (PASS, {"max_quantity": 5}, "max_quantity"),
            (PASS, {"adjustable_quantity": True}, "max_quantity"),
            (PASS, {"adjustable_quantity": True, "max_quantity": 1}, "max_quantity"),
            (PASS, {"adjustable_quantity": True, "max_quantity": 10_000}, "max_quantity"),  # 1.2 million euros
            (PASS, {"adjustable_quantity": True, "max_quantity": 5, "amount": 0}, "adjustable_quantity"),
            (LIVE, {"adjustable_quantity": True, "max_quantity": 5}, "adjustable_quantity"),
            (LIVE, {"valid_days": 10}, "valid_days"),
            (MONTHLY, {"interval": None}, "interval"),
            (MONTHLY, {"interval_count": 0}, "interval_count"),
            (MONTHLY, {"interval_count": 37}, "interval_count"),
            (MONTHLY, {"interval": Interval.YEAR, "interval_count": 4}, "interval_count"),
            (MONTHLY, {"interval": Interval.WEEK, "interval_count": 157}, "interval_count"),
            (MONTHLY, {"interval": Interval.DAY, "interval_count": 1_096}, "interval_count"),
            (MONTHLY, {"trial_days": 0}, "trial_days"),
            (MONTHLY, {"trial_days": 731}, "trial_days"),
            (MONTHLY, {"uses": 10}, "uses"),
        ],
    )
    def test_that_could_not_be_sold_is_refused_by_the_field(
        self, offer: Offer, changes: dict[str, Any], field: str
    ) -> None:
        with pytest.raises(Malformed) as refused:
            replace(offer, **changes)

        assert refused.value.field == field

    @pytest.mark.parametrize(
        "offer",
        [
            replace(MONTHLY, interval_count=36),
            replace(MONTHLY, interval=Interval.DAY, interval_count=1_095),
            replace(MONTHLY, interval=Interval.WEEK, interval_count=156, trial_days=730),
            replace(PASS, uses=200, name="x" * 250),
            replace(PASS, amount=0),
            replace(PASS, adjustable_quantity=True, max_quantity=100),
        ],
    )
    def test_at_its_limits_is_sold(self, offer: Offer) -> None:
        assert offer.cart(1).amount == offer.amount

    @pytest.mark.parametrize(
        ("offer", "group"),
        [
            (MONTHLY, "subscriptions"),
            (replace(MONTHLY, group="studio"), "studio"),
            (PASS, None),
            (replace(PASS, group="studio"), "studio"),
            (LIVE, None),
        ],
    )
    def test_is_one_of_a_group_if_it_renews_or_says_so(self, offer: Offer, group: str | None) -> None:
        assert offer.cart(1).group == offer.effective_group == group


class TestAPriceOfTheCatalogue:
    def test_is_what_its_cart_costs(self) -> None:
        cart = LISTED.cart(2, PRICE)

        assert (cart.unit_amount, cart.amount, cart.currency, cart.price) == (5_500, 11_000, "eur", "price_1")

    def test_is_listed_with_the_amount_of_the_day_on_which_it_was_loaded(self) -> None:
        loaded = replace(LISTED, catalog_amount=5_400)

        assert (LISTED.shown_amount, loaded.shown_amount, PASS.shown_amount) == (None, 5_400, 12_000)
        assert loaded.cart(1, PRICE).amount == 5_500

    def test_that_was_not_asked_for_can_not_be_sold(self) -> None:
        with pytest.raises(ValueError, match="sold at that price"):
            LISTED.cart(1)

    @pytest.mark.parametrize(
        ("changes", "fields"),
        [
            ({}, []),
            ({"amount": 1}, ["price"]),
            ({"currency": "usd"}, ["currency"]),
            ({"interval": Interval.YEAR}, ["interval"]),
            ({"interval_count": 2}, ["interval"]),
            ({"interval": None}, ["interval"]),
            ({"currency": "usd", "interval": None}, ["currency", "interval"]),
        ],
    )
    def test_differs_from_its_offer_by_fields(self, changes: dict[str, Any], fields: list[str]) -> None:
        found = LISTED.differences(replace(PRICE, **changes))

        assert [one.field for one in found] == fields


class TestACart:
    @pytest.mark.parametrize(
        ("offer", "quantity"),
        [
            (PASS, 0),
            (PASS, 10_001),
            (PASS, 8_334),  # a million euros
            (replace(PASS, adjustable_quantity=True, max_quantity=5), 6),
            (LIVE, 2),
        ],
    )
    def test_holds_no_quantity_that_cannot_be_paid(self, offer: Offer, quantity: int) -> None:
        with pytest.raises(Malformed) as refused:
            offer.cart(quantity)

        assert refused.value.field == "quantity"

    def test_is_adjustable_up_to_the_quantity_that_its_offer_says(self) -> None:
        cart = replace(PASS, adjustable_quantity=True, max_quantity=5).cart(2)

        assert (cart.adjustable, cart.max_quantity, cart.amount) == (True, 5, 24_000)
        assert not PASS.cart(2).adjustable

    def test_of_an_offer_with_another_option_is_another_cart(self) -> None:
        assert PASS.cart(1) != replace(PASS, promotion_codes=True).cart(1)
        assert PASS.cart(1).same_choice(replace(PASS, promotion_codes=True).cart(1))
