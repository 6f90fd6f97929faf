"""Offers held against the provider's account: what a sale would fail on, said before."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import stripe
from paidup.model import money
from paidup.model.errors import ProviderRefused
from paidup.model.offer import CatalogPrice, Offer
from paidup.model.provider import Provider
from paidup.outside.stripe.client import translate_errors
from paidup.outside.stripe.provider import Stripe


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """An offer, its price as it is charged, and what does not fit: a field and a clause. Nothing: it can be sold."""

    offer_id: str
    price: str
    field: str = ""
    difference: str = ""


def held_against_stripe(offers: Sequence[Offer], provider: Provider) -> list[Checked]:
    """Return a row for each offer that fits the Stripe account of *provider*, and one for each difference of others.

    Raises ProviderUnavailable and ProviderRefused if the account itself cannot be read.
    """
    if not isinstance(provider, Stripe):
        raise TypeError("only Stripe's account is read here")
    charged = _currencies(provider.api)
    return [row for offer in offers for row in _rows(offer, charged, provider.price)]


def _rows(offer: Offer, charged: frozenset[str], price_of: Callable[[str], CatalogPrice]) -> Iterator[Checked]:
    price = "" if offer.amount is None else money.shown(offer.amount, offer.currency)
    found: list[tuple[str, str]] = []
    if offer.price is not None:
        try:
            listed = price_of(offer.price)
        except ProviderRefused as refusal:
            found.append(("price", str(refusal)))
        else:
            price = money.shown(listed.amount, listed.currency)
            found += [(one.field, one.why) for one in offer.differences(listed)]
    if offer.currency not in charged:
        found.append(("currency", f"{offer.currency} cannot be charged by this account"))
    for field, difference in found or [("", "")]:
        yield Checked(offer_id=offer.offer_id, price=price, field=field, difference=difference)


def _currencies(api: stripe.StripeClient) -> frozenset[str]:
    """Return what accounts of this country can charge (https://docs.stripe.com/api/country_specs)."""
    with translate_errors("for the account's country"):
        country = api.v1.accounts.retrieve_current().country
        return frozenset(api.v1.country_specs.retrieve(country or "").supported_payment_currencies)
