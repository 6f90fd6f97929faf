"""Whose a Stripe object is, and what it sells: by the ids that our table knows, and only then by metadata."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import stripe

from paidup.model.errors import NotYetKnown
from paidup.model.fact import Price
from paidup.model.offer import Kind, Offer
from paidup.model.provider import Known
from paidup.outside.stripe import facts
from paidup.outside.stripe.client import client, pages
from paidup.outside.stripe.facts import Bill
from paidup.outside.stripe.metadata import (
    NAME,
    Object,
    Sale,
    id_of,
    offer_of_price,
    sale_in,
    sale_of,
    sale_of_checkout,
    sale_of_offer,
)

# What a price's product was found to name, by API base and price. A price never changes its product.
_named: dict[tuple[str, str], str] = {}
# Until when (monotonic seconds) a price that named nothing is not asked for again on behalf of a stranger.
_nameless: dict[tuple[str, str], float] = {}
NAMELESS_FOR_S = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Owners:
    """Finds the sale of an object of Stripe. Methods take *known*, which is what our table knows.

    `shop` knows the offers on sale.
    """

    api_key: Callable[[], str]
    webhook_secrets: Callable[[], Sequence[str]]
    base: str = ""
    shop: Known | None = None

    @property
    def api(self) -> stripe.StripeClient:
        """The client. It is made on first use, and no secret is read before."""
        return client(self.api_key(), self.base)

    def sale_by_id(self, an_id: str, metadata: Mapping[str, str] | None, known: Known) -> Sale | None:
        """Return the sale of *an_id* (`sub_…`, `pi_…`, `cs_…`): the one that we know, else the metadata's.

        The metadata may name a customer from whom support moved it.
        """
        said = sale_in(metadata)
        owner = known.find_owner(f"{NAME}#{an_id}")
        if owner is None or owner.purchase_id is None:
            return said
        if said and said.purchase_id == owner.purchase_id:
            return replace(said, customer_id=owner.customer_id)
        if purchase := known.purchase(owner.customer_id, owner.purchase_id):
            return sale_of(purchase)
        checkout = known.checkout(owner.customer_id, owner.purchase_id)
        return sale_of_checkout(checkout) if checkout else said

    def sale_of_plan(self, plan: Object, known: Known) -> Sale | None:
        """Return the sale of a subscription, or None if it has nothing to do with us.

        A subscription that paidup opened no page for belongs to a customer whom we know, or to the one whom its session
        names. Raises NotYetKnown if it sells an offer of ours to nobody we know.
        """
        if sale := self.sale_by_id(plan["id"], plan.get("metadata"), known):
            return sale
        customer = known.find_owner(f"{NAME}#{id_of(plan.get('customer'))}")
        if customer:
            return self.sale_of_foreign_plan(plan, customer.customer_id, known)
        prices = [item["price"] for item in plan["items"]["data"]]
        if not self.sells_ours({price["id"]: offer_of_price(price) for price in prices}, known):
            return None
        asked: Any = {"subscription": plan["id"], "limit": 1}
        sessions = pages(self.api.v1.checkout.sessions.list(asked))
        buyers = [buyer for session, _ in sessions if (buyer := session.get("client_reference_id"))]
        buyers += [] if buyers else self._named_by_customer(plan, known)
        if not buyers:
            raise NotYetKnown(f"{plan['id']} of {id_of(plan.get('customer'))}")
        return self.sale_of_foreign_plan(plan, buyers[0], known)

    def _named_by_customer(self, plan: Object, known: Known) -> list[str]:
        """Return the customer whom the metadata of Stripe's customer names, if there is an account of that name."""
        answer = self.api.v1.customers.retrieve(id_of(plan.get("customer")) or "")
        named = (answer.to_dict().get("metadata") or {}).get("customer_id")
        return [named] if named and known.account(named).version else []

    def sale_of_foreign_plan(self, plan: Object, customer_id: str, known: Known) -> Sale:
        """Return the sale of a subscription that paidup opened no page for, to *customer_id*."""
        names = [name for name in self.names_of(plan, None, known).values() if name]
        offers = filter(None, (known.offer(name) for name in names))
        name = next((offer.offer_id for offer in offers), names[0] if names else "")
        return Sale(customer_id=customer_id, purchase_id=plan["id"], offer_id=name, kind=Kind.SUBSCRIPTION)

    def names_of(self, plan: Object, sale: Sale | None, known: Known | None) -> dict[str, str | None]:
        """Return which offer each price of the subscription *plan* names, by the price's id.

        A price that the checkout page made itself (inactive, and at the price of *sale*) sells the sale's offer. A
        product is fetched only if nothing that we have says its name. An offer that names the price is looked for only
        if the price's metadata names none.
        """
        found: dict[str, str | None] = {}
        prices = [item["price"] for item in plan["items"]["data"]]
        for price in prices:
            of_sale = sale.offer_id if sale and _is_asked(price, sale) else None
            found[price["id"]] = of_sale or offer_of_price(price)
        missing = [price for price in prices if found[price["id"]] is None]
        if missing and sale and known and (purchase := known.purchase(sale.customer_id, sale.purchase_id)):
            known_names = {price: named.offer_id for price, named in purchase.names.items()}
            found |= {price["id"]: known_names.get(price["id"]) for price in missing}
        for price in missing:
            found[price["id"]] = found[price["id"]] or self.name_of(price["id"])
        for price in prices:
            said_outright = (sale and _is_asked(price, sale)) or (price.get("metadata") or {}).get("offer_id")
            if not said_outright and (shop := known or self.shop):
                offer = offer_sold_at(price["id"], found[price["id"]], shop)
                found[price["id"]] = offer.offer_id if offer else found[price["id"]]
        return found

    def sells_ours(self, prices: Mapping[str, str | None], known: Known) -> bool:
        """Whether one of *prices* (id to name, if that is said) names an offer of ours.

        Another product on the same account sells its own prices again and again. So a price that names nothing is asked
        for once in ten minutes and process.
        """
        for price, said in prices.items():
            place = (self.base, price)
            if said is None and time.monotonic() >= _nameless.get(place, 0.0):
                said = self.name_of(price)
                if said is None:
                    _nameless[place] = time.monotonic() + NAMELESS_FOR_S
            if offer_sold_at(price, said, known):
                return True
        return False

    def name_of(self, price: str) -> str | None:
        """Return the offer that the price (`price_…`) or its product names, fetched once in a process."""
        place = (self.base, price)
        if place not in _named:
            answer = self.api.v1.prices.retrieve(price, {"expand": ["product"]})
            name = offer_of_price(answer.to_dict())
            if name is None:  # somebody may name it yet
                return None
            _named[place] = name
        return _named[place]

    def sale_of_session(self, session: Object, known: Known) -> Sale | None:
        """Return the sale of a checkout session.

        One that paidup did not open (a payment link, a pricing table, one made in the dashboard) is sold to the
        customer whom we know, or whom it names, if its price names an offer of ours.
        """
        if sale := self.sale_by_id(session["id"], session.get("metadata"), known):
            return sale
        if session["status"] != "complete":
            return None
        bought = id_of(session.get("subscription")) or id_of(session.get("payment_intent"))
        if bought and (sale := self.sale_by_id(bought, None, known)):
            return sale  # support assigned it
        buyer, is_known = self._buyer_of(session, known)
        if buyer is None:
            return None
        thing = bought or session["id"]
        offer, quantity = self._sold_in(session, known)
        if offer is None and not is_known:
            return None
        kind = Kind.SUBSCRIPTION if session.get("subscription") else Kind.PASS
        return sale_of_offer(offer, kind, buyer, thing, quantity=quantity)

    def _buyer_of(self, session: Object, known: Known) -> tuple[str | None, bool]:
        """Return the customer whom *session* is sold to, and whether they are known here already."""
        customer = id_of(session.get("customer"))
        owner = known.find_owner(f"{NAME}#{customer}") if customer else None
        if owner:
            return owner.customer_id, True
        named: str | None = session.get("client_reference_id")
        return named, named is not None and known.account(named).version > 0

    def _sold_in(self, session: Object, known: Known) -> tuple[Offer | None, int]:
        """Return the offer that the session's first line of ours sells, and how many."""
        asked: Any = {"expand": ["data.price.product"], "limit": 100}
        for line, _ in pages(self.api.v1.checkout.sessions.line_items.list(session["id"], asked)):
            if offer := offer_sold_at(line["price"]["id"], offer_of_price(line["price"]), known):
                return offer, line.get("quantity") or 1
        return None, 1

    def sale_of_invoice(self, invoice: Object, known: Known) -> Sale | None:
        """Return the sale of an invoice without a subscription that was made for a customer whom we know."""
        owner = known.find_owner(f"{NAME}#{id_of(invoice.get('customer'))}")
        if owner is None:
            return None
        offer: Offer | None = None
        for price in prices_in(invoice):
            offer = offer or offer_sold_at(price, self.name_of(price), known)
        return sale_of_offer(offer, Kind.PASS, owner.customer_id, invoice["id"])

    def sale_of_payment(self, thing: Object, known: Known) -> tuple[Sale | None, Bill | None]:
        """Return the sale of a charge or a dispute (None: not ours), and the bill that was paid, if any.

        A single payment is known by its payment intent, or has our metadata. A dispute has none, but its payment intent
        has. A subscription's payment has none either: its invoice names the subscription.
        """
        intent = id_of(thing.get("payment_intent"))
        if intent is None:
            return sale_in(thing.get("metadata")), None
        if sale := self.sale_by_id(intent, thing.get("metadata"), known):
            return sale, None
        for payment in self.payments_of(payment={"type": "payment_intent", "payment_intent": intent}):
            invoice = payment["invoice"]
            if plan := subscription_of(invoice):
                answer = self.api.v1.subscriptions.retrieve(plan)
                return self.sale_of_plan(answer.to_dict(), known), facts.bill(invoice)
            if sale := self.sale_by_id(invoice["id"], None, known):
                return sale, None
        return sale_in(self.api.v1.payment_intents.retrieve(intent).to_dict().get("metadata")), None

    def payments_of(self, **asked: Any) -> Iterator[Object]:
        """Yield the payments of invoices that match *asked*, each with its invoice."""
        params: Any = {**asked, "expand": ["data.invoice"]}
        for payment, _ in pages(self.api.v1.invoice_payments.list(params)):
            yield payment


def offer_sold_at(price: str, said: str | None, known: Known) -> Offer | None:
    """Return the offer on sale at the price (`price_…`): the one that it names (*said*), or the one that names it.

    A lookup key is one or the other: the offer's id, or what the offer has as its own price.
    """
    named = known.offer(said) if said else None
    return named or known.offer_at(price, *([said] if said else ()))


def subscription_of(invoice: Object) -> str | None:
    """Return the subscription (`sub_…`) that *invoice* is about, or None."""
    parent = invoice.get("parent") or {}
    return id_of((parent.get("subscription_details") or {}).get("subscription"))


def prices_in(invoice: Object) -> list[str]:
    """Return the prices (`price_…`) that the lines of *invoice* are about."""
    details = [(line.get("pricing") or {}).get("price_details") or {} for line in invoice["lines"]["data"]]
    return [price for one in details if (price := id_of(one.get("price")))]


def _is_asked(price: Object, sale: Sale) -> bool:
    """Whether *sale* was sold by *price*: by that of the catalogue, or by one that its page made.

    Stripe keeps a price that a page made inactive, so that nothing else sells it.
    """
    if sale.price is not None:
        return bool(price["id"] == sale.price)
    unit = sale.unit
    inline = not price["active"] and not offer_of_price(price)
    return inline and unit == Price(amount=price.get("unit_amount") or 0, currency=price["currency"])
