"""Stripe's test cards: which number pays, which is declined and why, and what it does later on."""

from dataclasses import dataclass
from typing import Any

from tools.fakes.store import Obj
from tools.fakes.stripe.objects import made
from tools.fakes.stripe.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """How a test card behaves. `asks`: never, once (on the first payment) or always."""

    number: str
    brand: str = "visa"
    does: str
    alias: str = ""
    declined: str | None = None
    later: str | None = None  # the decline code once it is on file
    asks: str = "never"
    refund: str = "succeeded"
    disputed: str | None = None

    @property
    def last4(self) -> str:
        """Return the last four digits, which tell the test cards apart."""
        return self.number[-4:]


CARDS = (
    Card(number="4242424242424242", does="pays", alias="pm_card_visa"),
    Card(number="5555555555554444", brand="mastercard", does="pays", alias="pm_card_mastercard"),
    Card(number="4000000000000002", does="is declined", declined="generic_decline"),
    Card(number="4000000000009995", does="has insufficient funds", declined="insufficient_funds"),
    Card(number="4000000000000069", does="has expired", declined="expired_card"),
    Card(number="4000002500003155", does="asks first, then pays", asks="once", alias="pm_card_authenticationRequired"),
    Card(
        number="4000002760003184",
        does="asks every time, on renewals too",
        asks="always",
        alias="pm_card_authenticationRequiredAlways",
    ),
    Card(
        number="4000000000000341",
        does="pays now, is declined on renewal",
        later="generic_decline",
        alias="pm_card_chargeCustomerFail",
    ),
    Card(
        number="4000000000000259", does="pays, then is disputed", disputed="fraudulent", alias="pm_card_createDispute"
    ),
    Card(
        number="4000000000007726", does="pays; refunds succeed later", refund="pending", alias="pm_card_pendingRefund"
    ),
    Card(number="4000000000005126", does="pays; refunds fail later", refund="failed", alias="pm_card_refundFail"),
)
BY_NUMBER = {card.number: card for card in CARDS}
BY_LAST4 = {card.last4: card for card in CARDS}
BY_ALIAS = {card.alias: card for card in CARDS if card.alias}
MESSAGES = {
    "generic_decline": ("card_declined", "Your card was declined."),
    "insufficient_funds": ("card_declined", "Your card has insufficient funds."),
    "expired_card": ("expired_card", "Your card has expired."),
    "incorrect_number": ("incorrect_number", "Your card number is incorrect."),
    "test_mode_live_card": (
        "card_declined",
        "Your card was declined. Your request was in test mode, but used a non test (live) card. For a list of "
        "valid test cards, visit: https://stripe.com/docs/testing.",
    ),
    "authentication_required": (
        "authentication_required",
        "Your card was declined. This transaction requires authentication.",
    ),
    "debit_failed": ("payment_intent_payment_attempt_failed", "The bank refused the debit."),
}
DELAYED = {"delayed_success": "6789", "delayed_failure": "1116"}
TAKES_TIME = ("sepa_debit",)


def read(number: str) -> Card:
    """Return the test card with that *number*. Any other is declined, as Stripe's test mode does."""
    digits = "".join(filter(str.isdigit, number))
    if card := BY_NUMBER.get(digits):
        return card
    why = "test_mode_live_card" if len(digits) >= 12 and _luhn(digits) else "incorrect_number"
    return Card(number=digits.zfill(4), brand="unknown", does="is declined", declined=why)


def of(payment_method: Obj | None) -> Card | None:
    """Return the test card behind a *payment_method*, or None if there is none."""
    details = (payment_method or {}).get("card")
    return BY_LAST4.get(details["last4"]) if details else None


def outcome_of(method: Obj) -> str:
    """Return how a debit with *method*, which takes its time, will end: a key of `DELAYED`."""
    last4 = method[method["type"]]["last4"]
    return next(outcome for outcome, digits in DELAYED.items() if digits == last4)


def save(world: World, card: Card, *, email: str | None = None, customer: str | None = None) -> Obj:
    """Write the payment method of a *card*, attached to *customer* if there is one."""
    details = made(
        "payment_method.card",
        brand=card.brand,
        display_brand=card.brand,
        fingerprint="FingerprintOf" + card.last4,
        last4=card.last4,
        networks={"available": [card.brand]},
    )
    return _payment_method(world, "card", details, email, customer)


def save_debit(world: World, outcome: str, *, email: str | None, customer: str | None) -> Obj:
    """Write the payment method of a bank debit that takes its time (*outcome* is a key of `DELAYED`)."""
    last4 = DELAYED[outcome]
    details = made("payment_method.sepa_debit", fingerprint="FingerprintOf" + last4, last4=last4)
    return _payment_method(world, "sepa_debit", details, email, customer)


def _payment_method(world: World, type_: str, details: dict[str, Any], email: str | None, customer: str | None) -> Obj:
    fields = {"billing_details": {"email": email}, "customer": customer, "type": type_, type_: details}
    method = world.make("payment_method", "pm_1", **fields)
    if customer:
        world.emit("payment_method.attached", method)
    return method


def _luhn(digits: str) -> bool:
    total = sum(int(d) if i % 2 == 0 else sum(divmod(2 * int(d), 10)) for i, d in enumerate(digits[::-1]))
    return total % 10 == 0
