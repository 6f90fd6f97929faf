"""Reading from Stripe: it turns events into facts, fetches what they lack, decides ties and lists histories."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from paidup.model.endpoint import Endpoint
from paidup.model.errors import Malformed, ObjectMissing
from paidup.model.fact import Dispute, Fact, Invoice, Payment, PaymentStatus, Refund, Subscription
from paidup.model.provider import Known, Listing, Report, WebhookEvent
from paidup.model.purchase import Purchase
from paidup.outside.stripe import facts, retrieval, webhook
from paidup.outside.stripe.client import Unreadable, fetched, not_before, pages, translate_errors
from paidup.outside.stripe.facts import Bill, Observed
from paidup.outside.stripe.metadata import NAME, Object, Sale, id_of, sale_of
from paidup.outside.stripe.owners import Owners, prices_in, subscription_of
from paidup.outside.stripe.retrieval import SESSION_WHOLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader(Owners):
    """What the Stripe account of one API key says. Every method may raise ProviderUnavailable and ProviderRefused."""

    def facts_of(self, event: WebhookEvent, known: Known) -> list[Fact]:
        """See `Provider.facts_of`. If the object cannot be read as it was sent, it is fetched by its id.

        Raises Malformed if there is no such object: the event can never be settled. What Stripe answers and nobody can
        read is an outage, and is tried again.
        """
        found = webhook.parse(event.body)
        try:
            return self._facts_of(found, known)
        except Unreadable:
            if found.thing is None:
                raise
        try:
            return self._facts_of(replace(found, thing=None), known)
        except ObjectMissing as error:
            raise Malformed("data.object", "cannot be read, and cannot be fetched by its id") from error

    def _facts_of(self, event: webhook.Event, known: Known) -> list[Fact]:
        with translate_errors(f"about {event.type}"), not_before(event.created):
            thing, observed = self._reported_or_fetched(event)
            match event.type.split("."):
                case ["checkout", *_, last]:
                    sale = self.sale_of_session(thing, known)
                    return self._of_session(thing, observed, sale, failed=last == "async_payment_failed")
                case ["customer", "subscription", _]:
                    sale = self.sale_of_plan(thing, known)
                    return self._of_plan(thing, observed, sale, known) if sale else []
                case ["invoice", _]:
                    return self._of_invoice(thing, observed, known)
                case ["charge", "dispute", _]:
                    sale, paid = self.sale_of_payment(thing, known)
                    return [facts.of_dispute(thing, observed, sale, paid=paid)] if sale else []
                case ["charge", "refunded"]:
                    sale, paid = self.sale_of_payment(thing, known)
                    return [facts.of_charge(thing, observed, sale, paid=paid)] if sale else []
                case ["refund", _] | ["charge", "refund", _] if charge := id_of(thing.get("charge")):
                    return self._of_refunded(charge, known)
        return []

    def _reported_or_fetched(self, event: webhook.Event) -> tuple[Object, Observed]:
        """Return the object that *event* is about, as it was reported. If the event is thin, fetch the object."""
        if event.thing is not None:
            return event.thing, Observed(at=event.created, fetched=False, by=event.event_id)
        answer = retrieval.retrieve(self.api, event.object_id)
        return answer.to_dict(), fetched(answer)

    def _of_session(
        self, session: Object, observed: Observed, sale: Sale | None, *, failed: bool = False
    ) -> list[Fact]:
        """Return the facts of a session. What it holds expanded comes first: access then has the right end at once."""
        payment = facts.of_session(session, observed, sale, failed=failed)
        if payment is None or sale is None:
            return []
        found: list[Fact] = []
        if isinstance(plan := session.get("subscription"), dict):
            found += self._of_plan(plan, observed, sale, None)
        if isinstance(invoice := session.get("invoice"), dict) and (ref := id_of(session.get("subscription"))):
            found.append(facts.of_invoice(invoice, observed, sale, ref))
        found.append(payment)
        intent = session.get("payment_intent")
        charge = intent.get("latest_charge") if isinstance(intent, dict) else None
        return found + (self._of_expanded_charge(charge, observed, sale) if isinstance(charge, dict) else [])

    def _of_plan(
        self,
        plan: Object,
        observed: Observed,
        sale: Sale,
        known: Known | None,
        *,
        names: Mapping[str, str | None] | None = None,
    ) -> list[Fact]:
        """Return what a subscription says, and its newest invoice if that is expanded.

        *names* say which offer each price sells, if that need not be found out.
        """
        found = [facts.of_subscription(plan, observed, sale, names or self.names_of(plan, sale, known))]
        if isinstance(invoice := plan.get("latest_invoice"), dict):
            found.insert(0, facts.of_invoice(self._whole(invoice), observed, sale, plan["id"]))
        return found

    def _paid_before(self, plan: Object, sale: Sale) -> list[Fact]:
        """Return the earlier invoices of *plan* that reach up to its present period, if its newest one is not paid.

        They say what holds meanwhile, even if no event of them ever came.
        """
        newest = plan.get("latest_invoice")
        if not isinstance(newest, dict) or newest["status"] == "paid":
            return []
        began = max(item["current_period_start"] for item in plan["items"]["data"])
        listed = pages(self.api.v1.invoices.list({"subscription": plan["id"], "limit": 100}))
        return [
            facts.of_invoice(self._whole(invoice), observed, sale, plan["id"])
            for invoice, observed in listed
            if invoice["id"] != newest["id"]
            and any(line["period"]["end"] >= began for line in invoice["lines"]["data"])
        ]

    def _of_invoice(self, invoice: Object, observed: Observed, known: Known) -> list[Fact]:
        """Return what an invoice says. Without a subscription, it is a payment for what its price names."""
        plan = subscription_of(invoice)
        if plan is None:
            return self._of_single_invoice(invoice, observed, known)
        details = invoice["parent"]["subscription_details"]
        sale = self.sale_by_id(plan, details.get("metadata"), known)
        if sale:
            return [facts.of_invoice(self._whole(invoice), observed, sale, plan)]
        customer = known.find_owner(f"{NAME}#{id_of(invoice.get('customer'))}")
        if customer is None and not self.sells_ours(dict.fromkeys(prices_in(invoice)), known):
            return []
        thing, when = self._plan(plan)  # not heard of before
        sale = self.sale_of_plan(thing, known)
        whole = self._whole(invoice)
        return [*self._of_plan(thing, when, sale, known), facts.of_invoice(whole, observed, sale, plan)] if sale else []

    def _of_single_invoice(self, invoice: Object, observed: Observed, known: Known) -> list[Fact]:
        """Return what an invoice without a subscription says. One that a page made is of the page's payment: that is
        another purchase's already, if the page was heard of first.
        """
        sale = self.sale_of_invoice(invoice, known) if invoice.get("status") == "paid" else None
        if sale is None:
            return []
        intent = self._intent_of(invoice)
        sold = self.sale_by_id(intent, None, known) if intent else None
        if sold and sold.purchase_id != sale.purchase_id:
            return []
        return [facts.of_single_invoice(invoice, observed, sale, intent)]

    def _whole(self, invoice: Object) -> Object:
        """Return *invoice* with all of its lines. Stripe sends the first ten."""
        if not invoice["lines"].get("has_more"):
            return invoice
        asked: Any = {"limit": 100}
        lines = [line for line, _ in pages(self.api.v1.invoices.line_items.list(invoice["id"], asked))]
        return {**invoice, "lines": {**invoice["lines"], "data": lines}}

    def _intent_of(self, invoice: Object) -> str | None:
        paid = (one["payment"] for one in self.payments_of(invoice=invoice["id"], status="paid"))
        return next((intent for one in paid if (intent := id_of(one.get("payment_intent")))), None)

    def _of_refunded(self, charge: str, known: Known) -> list[Fact]:
        answer = self.api.v1.charges.retrieve(charge)
        thing = answer.to_dict()
        sale, paid = self.sale_of_payment(thing, known)
        return [facts.of_charge(thing, fetched(answer), sale, paid=paid)] if sale else []

    def _of_expanded_charge(
        self, charge: Object, observed: Observed, sale: Sale, *, paid: Bill | None = None
    ) -> list[Fact]:
        found = [facts.of_charge(charge, observed, sale, paid=paid)]
        if charge.get("disputed"):
            disputes = self.api.v1.disputes.list({"charge": charge["id"], "limit": 100})
            found += [facts.of_dispute(one, when, sale, paid=paid) for one, when in pages(disputes)]
        return found

    def _plan(self, subscription: str) -> tuple[Object, Observed]:
        """Return the subscription (`sub_…`) with its newest invoice, as it is now."""
        with translate_errors("for a subscription"):
            answer = self.api.v1.subscriptions.retrieve(subscription, {"expand": ["latest_invoice"]})
            return answer.to_dict(), fetched(answer)

    def purchase_facts(self, purchase: Purchase) -> list[Fact]:
        """See `Provider.purchase_facts`: the subscriptions with their newest invoices and the invoice of the first
        payment, or else the refunds and disputes of the payment.
        """
        sale, payment = sale_of(purchase), purchase.payment
        plans = [ref for ref in purchase.refs if ref.startswith(f"{NAME}#sub_")]
        found: list[Fact] = []
        for ref in plans:
            with translate_errors("for a subscription and its invoices"):
                plan, observed = self._plan(ref.removeprefix(f"{NAME}#"))
                found += self._of_plan(plan, observed, sale, None)
                found += self._paid_before(plan, sale)
        known = {fact.about for fact in found} | set(purchase.invoices)
        with translate_errors("for a payment"):
            if plans and payment and payment.invoice and payment.invoice not in known:
                answer: Any = self.api.v1.invoices.retrieve(payment.invoice)
                invoice = self._whole(answer.to_dict())
                found.append(facts.of_invoice(invoice, fetched(answer), sale, subscription_of(invoice) or ""))
            if not plans and payment and payment.ref:
                answer = self.api.v1.payment_intents.retrieve(payment.ref, {"expand": ["latest_charge"]})
                charge = answer.to_dict().get("latest_charge")
                found += self._of_expanded_charge(charge, fetched(answer), sale) if charge else []
        return found

    def changes(self, cursor: str | None, *, since: int) -> Iterator[WebhookEvent]:
        """See `Provider.changes`. Stripe keeps events for 30 days and lists the newest first."""
        asked: Any = {"limit": 100}  # there are more relevant types than Stripe lets name
        asked |= {"ending_before": cursor} if cursor else {"created": {"gte": since}}
        with translate_errors("for its events"):
            page = self.api.v1.events.list(asked)
            found = page.auto_paging_iter() if cursor else reversed(list(page.auto_paging_iter()))
            yield from self._relevant(found)

    def undelivered(self, *, since: int) -> Iterator[WebhookEvent]:
        """See `Provider.undelivered`."""
        asked: Any = {"limit": 100, "created": {"gte": since}, "delivery_success": False}
        with translate_errors("for events that were not delivered"):
            yield from self._relevant(reversed(list(self.api.v1.events.list(asked).auto_paging_iter())))

    def _relevant(self, events: Iterable[Any]) -> Iterator[WebhookEvent]:
        for event in events:
            if event.type in webhook.HANDLED:
                body = json.dumps(event.to_dict(), default=str)  # the library reads decimal texts as Decimal
                yield webhook.read(body, api_key=self.api_key())

    def endpoints(self) -> list[Endpoint]:
        """See `Provider.endpoints`. An endpoint that is told of `*` is told of everything."""
        with translate_errors("for its webhook endpoints"):
            listed = pages(self.api.v1.webhook_endpoints.list({"limit": 100}))
            return [
                Endpoint(
                    url=one["url"],
                    enabled=one["status"] == "enabled",
                    missing=() if "*" in (told := one["enabled_events"]) else tuple(sorted(webhook.HANDLED - {*told})),
                )
                for one, _ in listed
            ]

    def refetch(self, fact: Fact) -> Fact:
        """See `Provider.refetch`. The answer is never stamped earlier than *fact*: it was asked for after *fact*."""
        with not_before(fact.entry.at):
            return self._refetch(fact)

    def _refetch(self, fact: Fact) -> Fact:
        """Return *fact* with what Stripe says now. A session reports several registers, but only one is wanted."""
        sale = sale_of(fact)
        with translate_errors(f"again for {fact.register}"):
            match fact.entry.value:
                case Subscription():
                    plan, observed = self._plan(fact.source)
                    return self._of_plan(plan, observed, sale, None)[-1]
                case Invoice(subscription=plan_ref):
                    answer: Any = self.api.v1.invoices.retrieve(fact.source)
                    return facts.of_invoice(self._whole(answer.to_dict()), fetched(answer), sale, plan_ref)
                case Refund(invoice=invoice, period=period):
                    answer = self.api.v1.charges.retrieve(fact.source)
                    paid = Bill(invoice=invoice, period=period) if invoice else None
                    value: Any = facts.refund_value(answer.to_dict(), paid)
                case Dispute(invoice=invoice, period=period):
                    answer = self.api.v1.disputes.retrieve(fact.source)
                    paid = Bill(invoice=invoice, period=period) if invoice else None
                    value = facts.dispute_value(answer.to_dict(), paid)
                case Payment() if fact.source.startswith("pi_"):
                    answer = self.api.v1.payment_intents.retrieve(fact.source, {"expand": ["latest_charge"]})
                    return facts.of_intent(answer.to_dict(), fetched(answer), sale) or fact
                case Payment(status=was):
                    answer = self.api.v1.checkout.sessions.retrieve(fact.source, {"expand": SESSION_WHOLE})
                    reported = self._of_session(
                        answer.to_dict(), fetched(answer), sale, failed=was is PaymentStatus.FAILED
                    )
                    found = [one for one in reported if one.register == fact.register]
                    return found[0] if found else fact
        return facts.restated(fact, value, fetched(answer))

    def history(
        self, customer_refs: Sequence[str], email: str | None, *, since: int, known: Known, customer_id: str
    ) -> Iterator[Listing]:
        """See `Provider.history`. Ended subscriptions are listed too, so that an old payment grants no access.

        So are charges of which something went back: a subscription does not say that. Stripe cannot list subscriptions
        by e-mail address. So a page that is found by *email* fetches its subscription.
        """
        for ref in customer_refs:
            customer = ref.removeprefix(f"{NAME}#")
            yield Listing(name="subscriptions", reports=self._subscriptions_of(customer, known, customer_id))
            by: Any = {"customer": customer}
            yield Listing(name="checkout sessions", reports=self._sessions(by, known, since=since))
            yield Listing(name="invoices", reports=self._invoices_of(customer, known, since=since))
            yield Listing(name="charges", reports=self._charges_of(customer, known))
        if email and not customer_refs:
            by = {"customer_details": {"email": email}}
            yield Listing(name="checkout sessions", reports=self._sessions(by, known, since=since, with_plan=True))

    def _subscriptions_of(self, customer: str, known: Known, customer_id: str) -> Iterator[Report]:
        expand = ["data.latest_invoice"]
        asked: Any = {"customer": customer, "status": "all", "limit": 100, "expand": expand}

        def read(plan: Object, observed: Observed) -> list[Fact]:
            with translate_errors("about a subscription"):
                sale = self.sale_by_id(plan["id"], plan.get("metadata"), known)
                sale = sale or self.sale_of_foreign_plan(plan, customer_id, known)
                return [*self._paid_before(plan, sale), *self._of_plan(plan, observed, sale, known)]

        with translate_errors("for a customer's subscriptions"):
            for plan, observed in pages(self.api.v1.subscriptions.list(asked)):
                yield Report(ref=plan["id"], read=partial(read, plan, observed))

    def _invoices_of(self, customer: str, known: Known, *, since: int) -> Iterator[Report]:
        """Yield the paid invoices that the merchant wrote by hand. A subscription brings its own."""
        asked: Any = {"customer": customer, "status": "paid", "created": {"gte": since}, "limit": 100}

        def read(invoice: Object, observed: Observed) -> list[Fact]:
            with translate_errors("about an invoice"):
                return self._of_invoice(invoice, observed, known)

        with translate_errors("for a customer's invoices"):
            for invoice, observed in pages(self.api.v1.invoices.list(asked)):
                if subscription_of(invoice) is None:
                    yield Report(ref=invoice["id"], read=partial(read, invoice, observed))

    def _charges_of(self, customer: str, known: Known) -> Iterator[Report]:
        """Yield the charges of which something went back, or that are disputed. All others say nothing new."""
        asked: Any = {"customer": customer, "limit": 100}

        def read(charge: Object, observed: Observed) -> list[Fact]:
            with translate_errors("about a charge"):
                sale, paid = self.sale_of_payment(charge, known)
                return self._of_expanded_charge(charge, observed, sale, paid=paid) if sale else []

        with translate_errors("for a customer's charges"):
            for charge, observed in pages(self.api.v1.charges.list(asked)):
                if charge["amount_refunded"] or charge.get("disputed"):
                    yield Report(ref=charge["id"], read=partial(read, charge, observed))

    def _sessions(self, by: Any, known: Known, *, since: int, with_plan: bool = False) -> Iterator[Report]:
        expand = ["data.payment_intent.latest_charge"]
        asked: Any = {"created": {"gte": since}, "limit": 100, "expand": expand, **by}

        def read(session: Object, observed: Observed) -> list[Fact]:
            with translate_errors("about a checkout session"):
                sale = self.sale_of_session(session, known)
                found = self._of_session(session, observed, sale)
                plan = session.get("subscription")
                if found and sale and with_plan and isinstance(plan, str):
                    found = self._of_plan(*self._plan(plan), sale, known) + found
                return found

        with translate_errors("for a customer's checkout sessions"):
            for session, observed in pages(self.api.v1.checkout.sessions.list(asked)):
                yield Report(ref=session["id"], read=partial(read, session, observed))
