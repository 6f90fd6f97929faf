"""What is news of a purchase, and what was only said again."""

from dataclasses import replace
from typing import Any

import pytest
from paidup.model.checkout import Checkout, reserved
from paidup.model.fact import Entry, Fact, Payment, PaymentStatus, Refund, Value
from paidup.model.news import brings_news
from paidup.model.offer import Cart, Kind
from paidup.model.purchase import Purchase

NOON = 1_795_251_600
PAID = Payment(status=PaymentStatus.PAID, amount=12_000, subtotal=12_000, currency="eur", ref="payment_1")


def fact(value: Value, *, at: int = NOON, about: str = "", **more: Any) -> Fact:
    return Fact(
        fact_id=f"fact-{at}",
        provider="memory",
        customer_id="ada",
        purchase_id="co_1",
        offer_id="ten",
        kind=Kind.PASS,
        entry=Entry(at=at, fetched=True, value=value),
        source="page_1",
        about=about,
        paid_at=NOON,
        **more,
    )


def a_checkout() -> Checkout:
    cart = Cart(offer_id="ten", name="Ten", kind=Kind.PASS, unit_amount=12_000, currency="eur", quantity=1)
    return reserved(
        checkout_id="co_1",
        customer_id="ada",
        cart=cart,
        provider="memory",
        success_url="",
        cancel_url="",
        lifetime_s=86_400,
        now=NOON,
    )


BOUGHT = Purchase.of(fact(PAID)).merge(fact(PAID))


def test_a_payment_that_nobody_knew_is_news() -> None:
    assert brings_news([fact(PAID)], None, None)


def test_a_page_that_expired_is_news_only_while_its_checkout_waits() -> None:
    expired = [fact(replace(PAID, status=PaymentStatus.EXPIRED))]

    assert not brings_news(expired, None, None)
    assert brings_news(expired, None, a_checkout())
    assert not brings_news(expired, None, a_checkout().expired(now=NOON))


def test_what_is_said_again_an_hour_later_is_no_news() -> None:
    assert not brings_news([fact(PAID, at=NOON + 3_600)], BOUGHT, None)


def test_an_object_that_was_not_known_is_news() -> None:
    assert brings_news([fact(PAID, provider_ref="memory#another")], BOUGHT, None)


@pytest.mark.parametrize(("refunded", "news"), [(0, False), (5_000, True), (12_000, True)])
def test_a_refund_is_news_if_anything_went_back(refunded: int, *, news: bool) -> None:
    refund = fact(Refund(amount=12_000, refunded=refunded, currency="eur"), at=NOON + 60, about="payment_1")

    assert brings_news([refund], BOUGHT, None) is news


def test_a_refund_that_came_back_to_the_shop_is_news() -> None:
    refund = fact(Refund(amount=12_000, refunded=12_000, currency="eur"), at=NOON + 60, about="payment_1")
    refunded = BOUGHT.merge(refund)

    back = fact(Refund(amount=12_000, refunded=0, currency="eur"), at=NOON + 120, about="payment_1")

    assert brings_news([back], refunded, None)
