"""Finding what support asks for at Stripe: an event, customers by e-mail address, and whose payment an id is about."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from paidup.model.errors import ObjectMissing
from paidup.model.fact import Fact
from paidup.model.offer import Kind, Offer
from paidup.model.provider import FoundCustomer, FoundPayment, WebhookEvent
from paidup.outside.stripe import facts, retrieval, webhook
from paidup.outside.stripe.client import fetched, translate_errors
from paidup.outside.stripe.facts import Observed
from paidup.outside.stripe.manage import Plans
from paidup.outside.stripe.metadata import NAME, Object, Sale, id_of, sale_in
from paidup.outside.stripe.owners import subscription_of

MOST = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Finder(Plans):
    """The Stripe account of one API key, as support searches it."""

    def event(self, event_id: str) -> WebhookEvent:
        """See `Provider.event`. Stripe keeps events for 30 days."""
        with translate_errors("for an event"):
            found = self.api.v1.events.retrieve(event_id)
            body = json.dumps(found.to_dict(), default=str)  # the library reads decimal texts as Decimal
        return webhook.read(body, api_key=self.api_key())

    def find_customers(self, email: str) -> list[FoundCustomer]:
        """See `Provider.find_customers`. Stripe's filter tells upper case from lower case, so both are asked for."""
        found: dict[str, FoundCustomer] = {}
        with translate_errors("for customers by e-mail address"):
            for spelling in dict.fromkeys((email, email.lower())):
                for one in self.api.v1.customers.list({"email": spelling, "limit": MOST}).data:
                    named = (one.to_dict().get("metadata") or {}).get("customer_id")
                    found[one.id] = FoundCustomer(ref=f"{NAME}#{one.id}", customer_id=named or None)
        return list(found.values())

    def find_payment(self, an_id: str) -> FoundPayment:
        """See `Provider.find_payment`."""
        with translate_errors("whose payment an id is about"):
            passed = list(self._way(an_id))
        ids = dict.fromkeys(thing["id"] for thing, _ in reversed(passed))
        customers = dict.fromkeys(filter(None, (id_of(thing.get("customer")) for thing, _ in reversed(passed))))
        sales = filter(None, (sale_in(thing.get("metadata")) for thing, _ in reversed(passed)))
        sale = next(sales, None)
        last, _ = passed[-1]
        return FoundPayment(
            ref=f"{NAME}#{last['id']}",
            refs=tuple(f"{NAME}#{one}" for one in (*ids, *customers)),
            customer_id=sale.customer_id if sale else None,
            renews=last["object"] == "subscription",
        )

    def assigned(self, an_id: str, offer: Offer, *, customer_id: str) -> list[Fact]:
        """See `Provider.assigned`."""
        with translate_errors("about a payment that is to be assigned"):
            *_, (thing, observed) = self._way(an_id)
            sale = Sale(
                customer_id=customer_id,
                purchase_id=thing["id"],
                offer_id=offer.offer_id,
                kind=offer.kind,
                valid_days=offer.valid_days,
                uses_each=offer.uses,
            )
            if offer.kind is Kind.SUBSCRIPTION and thing["object"] == "subscription":
                return self._of_assigned_plan(thing["id"], sale)
            if thing["object"] == "payment_intent":
                return self._of_intent(thing, observed, sale)
            if thing["object"] == "invoice" and thing["status"] == "paid":
                return [facts.of_single_invoice(thing, observed, sale, None)]
            return self._of_session(thing, observed, sale) if thing["object"] == "checkout.session" else []

    def _of_assigned_plan(self, subscription: str, sale: Sale) -> list[Fact]:
        """Return what a subscription says, all of whose prices sell the offer of *sale*."""
        plan, observed = self._plan(subscription)
        names = {item["price"]["id"]: sale.offer_id for item in plan["items"]["data"]}
        return [*self._paid_before(plan, sale), *self._of_plan(plan, observed, sale, None, names=names)]

    def _of_intent(self, intent: Object, observed: Observed, sale: Sale) -> list[Fact]:
        """Return what a payment intent says of its payment, and of its refunds and disputes."""
        charge = intent.get("latest_charge")
        payment = facts.of_intent(intent, observed, sale)
        if payment is None or not isinstance(charge, dict):
            return []
        return [payment, *self._of_expanded_charge(charge, observed, sale)]

    def _way(self, an_id: str) -> Iterator[tuple[Object, Observed]]:
        """Yield the object *an_id*, and those that it leads to. The last is the subscription, or what was paid once."""
        following: str | None = an_id
        while following is not None:
            if not retrieval.is_known(following):
                raise ObjectMissing(NAME, f"nothing is paid by {following[:40]!r}")
            answer: Any = retrieval.retrieve(self.api, following)
            thing = answer.to_dict()
            yield thing, fetched(answer)
            following = self._next(thing)

    def _next(self, thing: Object) -> str | None:
        """Return the id of the object for which *thing* is, or None if it is the last."""
        match thing["object"]:
            case "checkout.session":
                return id_of(thing.get("subscription")) or id_of(thing.get("payment_intent"))
            case "charge" | "refund" | "dispute":
                return id_of(thing.get("payment_intent"))
            case "invoice":
                return subscription_of(thing)
            case "payment_intent":
                asked = {"type": "payment_intent", "payment_intent": thing["id"]}
                invoices = (payment["invoice"] for payment in self.payments_of(payment=asked))
                return next((subscription_of(invoice) or invoice["id"] for invoice in invoices), None)
        return None
