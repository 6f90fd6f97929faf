"""A way to the provider's page."""

from dataclasses import dataclass
from typing import Self

from paidup.model.checkout import Checkout
from paidup.model.money import digits_of


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentToken:
    """One way to the provider's page; `token` and `url` are there while it can be paid. `expires_at`: epoch seconds.

    `amount` is before discounts and taxes, in minor units of `currency`, which has `digits`. `trial_days` are free of
    charge first; they are absent if this customer has had the trial already.
    """

    checkout_id: str
    offer_id: str
    quantity: int
    status: str
    provider: str
    amount: int
    currency: str
    digits: int
    expires_at: int
    token: str | None = None
    url: str | None = None
    trial_days: int | None = None
    replaced_checkout_id: str | None = None

    @classmethod
    def of_checkout(cls, checkout: Checkout, *, now: int) -> Self:
        """Return the view of *checkout* at *now*."""
        payable = checkout.holds_slot(now=now)
        return cls(
            checkout_id=checkout.checkout_id,
            offer_id=checkout.cart.offer_id,
            quantity=checkout.cart.quantity,
            status=checkout.seen(now=now),
            provider=checkout.provider,
            amount=checkout.cart.amount,
            currency=checkout.cart.currency,
            digits=digits_of(checkout.cart.currency),
            expires_at=checkout.expires_at,
            token=checkout.token if payable else None,
            url=checkout.url if payable else None,
            trial_days=checkout.cart.trial_days,
            replaced_checkout_id=checkout.replaces,
        )
