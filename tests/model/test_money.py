"""Money: shown as it is charged, and refused as an amount that nobody can be charged."""

import pytest
from paidup.model import money
from paidup.model.errors import Malformed


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (150_000, "huf", "1,500 HUF"),
        (150_050, "huf", "1,500.50 HUF"),
        (200_000, "isk", "2,000 ISK"),
        (500, "ugx", "5 UGX"),
        (1_000, "jpy", "1,000 JPY"),
        (5_000, "kwd", "5 KWD"),
        (5_120, "kwd", "5.120 KWD"),
        (15_000_000, "idr", "150,000 IDR"),
        (1_000, "cop", "10 COP"),
        (123_456, "pkr", "1,234.56 PKR"),
        (900, "mga", "900 MGA"),
        (1_205, "eur", "12.05 EUR"),
        (0, "eur", "0 EUR"),
        (1_205, "xyz", "12.05 XYZ"),
    ],
)
def test_an_amount_is_shown_as_it_is_charged(amount: int, currency: str, text: str) -> None:
    assert money.shown(amount, currency) == text


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        (0, "eur"),
        (50, "eur"),
        (30, "gbp"),
        (17_500, "huf"),
        (99_999_999, "usd"),
        (999_999_999_999, "idr"),
        (5_120, "kwd"),
        (100, "isk"),
        (500, "ugx"),
        (1, "xaf"),
    ],
)
def test_an_amount_that_can_be_charged_is_taken(amount: int, currency: str) -> None:
    money.check("amount", amount, currency)


@pytest.mark.parametrize(
    ("amount", "currency", "why"),
    [
        (-1, "eur", "amount: must not be negative (minor units)"),
        (49, "eur", "amount: must be 0 or at least 0.50 EUR, not 0.49 EUR"),
        (17_499, "huf", "amount: must be 0 or at least 175 HUF, not 174.99 HUF"),
        (49, "jpy", "amount: must be 0 or at least 50 JPY, not 49 JPY"),
        (100_000_000, "usd", "amount: must be at most 999,999.99 USD, not 1,000,000 USD"),
        (5_124, "kwd", "amount: must be a multiple of 10 minor units of kwd, not 5124"),
        (550, "ugx", "amount: must be a multiple of 100 minor units of ugx, not 550"),
        (150, "isk", "amount: must be a multiple of 100 minor units of isk, not 150"),
        (100, "xyz", "currency: must be a currency that can be charged, in lower case, not 'xyz'"),
        (100, "EUR", "currency: must be a currency that can be charged, in lower case, not 'EUR'"),
    ],
)
def test_an_amount_that_nobody_can_be_charged_is_refused(amount: int, currency: str, why: str) -> None:
    with pytest.raises(Malformed) as refused:
        money.check("amount", amount, currency)

    assert str(refused.value) == why
