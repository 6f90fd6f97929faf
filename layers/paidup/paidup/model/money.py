"""Money: the one table of currencies, with their digits and the amounts that can be charged.

Amounts are whole minor units beside a lower-case ISO 4217 currency. How many digits a currency has is what the payment
providers charge by. ISO 4217 and a browser's Intl differ from it: 150000 huf are 1,500 HUF, and 500 ugx are 5 UGX.

The table is plain data of the model, since an offer is checked before any provider is asked, and since the API, the
command line and the shop show money by it. The decision 0027 names its source.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from paidup.model.errors import Malformed

USUAL_DIGITS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Currency:
    """What can be charged in a currency: multiples of `step` from `least` to `most`, in minor units.

    `digits` of an amount stand behind the point.
    """

    digits: int
    least: int
    most: int
    step: int


WITHOUT_DIGITS = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf"
THREE_DIGITS = "bhd jod kwd omr tnd"  # the last one is always 0
WHOLE = "isk ugx"  # charged with two digits, and both are always 0
TWO_DIGITS = """
    aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd bwp byn bzd cad cdf chf cny cop crc cve
    czk dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd hkd hnl htg huf idr ils inr jmd kes kgs khr kyd kzt lak
    lbp lkr lrd lsl mad mdl mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd pab pen pgk php pkr pln qar
    ron rsd rub sar sbd scr sek sgd shp sle sos srd std szl thb tjs top try ttd twd tzs uah usd uyu uzs wst xcd xcg yer
    zar zmw
"""
LEAST_IS_50 = "ars aud brl cad chf cop eur idr ils inr jpy krw nzd php rub sgd usd zar"
LEAST = dict.fromkeys(LEAST_IS_50.split(), 50) | {
    "aed": 200,
    "czk": 1_500,
    "dkk": 250,
    "gbp": 30,
    "hkd": 400,
    "huf": 17_500,
    "mxn": 1_000,
    "myr": 200,
    "nok": 300,
    "pln": 200,
    "ron": 200,
    "sek": 300,
    "thb": 1_000,
}
MOST = {
    "cop": 9_999_999_999,
    "huf": 9_999_999_999,
    "idr": 999_999_999_999,
    "inr": 999_999_999,
    "jpy": 9_999_999_999,
    "lbp": 999_999_999_999,
}
MOST_ELSEWHERE = 99_999_999


def _table() -> Mapping[str, Currency]:
    kinds = ((WITHOUT_DIGITS, 0, 1), (TWO_DIGITS, 2, 1), (THREE_DIGITS, 3, 10), (WHOLE, 2, 100))
    return {
        code: Currency(digits=digits, step=step, least=LEAST.get(code, 1), most=MOST.get(code, MOST_ELSEWHERE))
        for codes, digits, step in kinds
        for code in codes.split()
    }


CURRENCIES = _table()


def digits_of(currency: str) -> int:
    """Return how many digits of an amount of *currency* stand behind the point. If nobody charges in it, 2."""
    found = CURRENCIES.get(currency)
    return found.digits if found else USUAL_DIGITS


def check(field: str, amount: int, currency: str) -> None:
    """Check that *amount* of *currency* can be charged; 0 is free of charge. Raises Malformed for *field*."""
    if (charged := CURRENCIES.get(currency)) is None:
        raise Malformed("currency", f"must be a currency that can be charged, in lower case, not {currency!r}")
    if amount < 0:
        raise Malformed(field, "must not be negative (minor units)")
    if amount % charged.step:
        raise Malformed(field, f"must be a multiple of {charged.step} minor units of {currency}, not {amount}")
    if 0 < amount < charged.least:
        raise Malformed(field, f"must be 0 or at least {shown(charged.least, currency)}, not {shown(amount, currency)}")
    if amount > charged.most:
        raise Malformed(field, f"must be at most {shown(charged.most, currency)}, not {shown(amount, currency)}")


def shown(amount: int, currency: str) -> str:
    """Return *amount* minor units of *currency* for people: `1,500 HUF`, `12.90 EUR`. It is not below zero."""
    digits = digits_of(currency)
    whole, rest = divmod(amount, 10**digits)
    return f"{whole:,}{f'.{rest:0{digits}}' if rest else ''} {currency.upper()}"
