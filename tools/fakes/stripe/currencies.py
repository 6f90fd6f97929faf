"""What Stripe's table says of currencies: which there are, their minor units, and the least and most of a charge.

See https://docs.stripe.com/currencies. HUF and TWD are whole in payouts alone. They are charged with two digits.
"""

from tools.fakes.stripe.wire import Refusal


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ZERO_DECIMAL = _names("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf")
THREE_DECIMAL = _names("bhd jod kwd omr tnd")
WHOLE = _names("isk ugx")
"""Zero-decimal currencies that the API takes with two digits all the same, which must be 00."""
SUPPORTED = _names(
    "usd aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd cad cdf chf "
    "clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd hnl hrk htg huf idr "
    "ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop mur mvr "
    "mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg qar ron rsd rub rwf sar sbd scr sek sgd "
    "shp sle sos srd std szl thb tjs tnd top try ttd twd tzs uah ugx uyu uzs vnd vuv wst xaf xcd xcg xof xpf yer zar "
    "zmw"
)
LEAST = dict.fromkeys(_names("usd aud brl cad chf eur inr jpy nzd sgd"), 50) | {
    "aed": 200,
    "bgn": 100,
    "czk": 1500,
    "dkk": 250,
    "gbp": 30,
    "hkd": 400,
    "huf": 17_500,
    "mxn": 1000,
    "myr": 200,
    "nok": 300,
    "pln": 200,
    "ron": 200,
    "sek": 300,
    "thb": 1000,
}
"""The least that can be charged, in minor units. For the rest it depends on an exchange rate, which is not modelled."""
MOST = {
    "cop": 9_999_999_999,
    "huf": 9_999_999_999,
    "idr": 999_999_999_999,
    "inr": 999_999_999,
    "jpy": 9_999_999_999,
    "lbp": 999_999_999_999,
}
MOST_ELSEWHERE = 99_999_999


def digits(currency: str) -> int:
    """Return how many digits of an amount in the API are behind the point."""
    return 0 if currency in ZERO_DECIMAL else 3 if currency in THREE_DECIMAL else 2


def shown(minor: int, currency: str) -> str:
    """Return *minor* units of a *currency* for people, as in `1,500.00 EUR`."""
    places = 0 if currency in WHOLE and minor % 100 == 0 else digits(currency)
    return f"{minor / 10 ** digits(currency):,.{places}f} {currency.upper()}"


def read(raw: str, param: str) -> str:
    """Return the currency called *raw* in lower case. Raises Refusal for one that Stripe does not support."""
    currency = raw.lower()
    if currency not in SUPPORTED:
        message = f"Invalid currency: {currency}. Stripe currently supports these currencies: {', '.join(SUPPORTED)}"
        raise Refusal(message, param=param)
    return currency


def check_amount(amount: int, currency: str, param: str) -> None:
    """Refuse an *amount* that a *currency* cannot have."""
    if amount < 0:
        message = "Invalid non-negative integer"
        raise Refusal(message, code="parameter_invalid_integer", param=param)
    most = MOST.get(currency, MOST_ELSEWHERE)
    if amount > most:
        message = f"Amount must be no more than {shown(most, currency)}"
        raise Refusal(message, code="amount_too_large", param=param)
    step = 100 if currency in WHOLE else 10 if currency in THREE_DECIMAL else 1
    if amount % step:
        message = f"Invalid amount: amounts in {currency} must be evenly divisible by {step}."
        raise Refusal(message, code="parameter_invalid_integer", param=param)


def due(rest: int, currency: str) -> int:
    """Return what an invoice charges of the *rest* that is left to pay: nothing of what is too little to be charged.

    Stripe keeps that in the customer's balance, for the next invoice. See `amount_due` in
    https://docs.stripe.com/api/invoices/object.
    """
    return rest if rest >= LEAST.get(currency, 1) else 0


def check_total(total: int, currency: str) -> None:
    """Refuse a page whose *total* is too small or too large to be charged. Nothing at all is fine."""
    if 0 < total < (least := LEAST.get(currency, 1)):
        message = f"The Checkout Session's total amount due must add up to at least {shown(least, currency)}"
        raise Refusal(message, code="amount_too_small")
    if total > (most := MOST.get(currency, MOST_ELSEWHERE)):
        message = f"The Checkout Session's total amount due must be no more than {shown(most, currency)}"
        raise Refusal(message, code="amount_too_large")
