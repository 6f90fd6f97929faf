"""Reading from Stripe: it turns events into facts, fetches what they lack, decides ties and lists histories."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import stripe

from paidup.model.account import Owner
from paidup.model.errors import Malformed, NotYetKnown, ObjectMissing
from paidup.model.fact import Dispute, Fact, Payment, Refund, Subscription
from paidup.model.provider import Known, Listing, Report, WebhookEvent
from paidup.model.purchase import Purchase
from paidup.outside.deadline import remaining
from paidup.outside.stripe import facts, webhook
from paidup.outside.stripe.client import Unreadable, client, not_before, stamp, translate_errors
from paidup.outside.stripe.facts import Bill, Observed
from paidup.outside.stripe.metadata import NAME, Object, Sale, id_of, sale_in, sale_of, sale_of_plan

SESSION_WHOLE = ["payment_intent.latest_charge", "subscription"]

Find = Callable[[str], Owner | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """What the Stripe account of one API key says. Every method may raise ProviderUnavailable and ProviderRefused."""

    api_key: Callable[[], str]
    webhook_secrets: Callable[[], Sequence[str]]
    base: str = ""

    @property
    def api(self) -> stripe.StripeClient:
        """The client. It is made on first use, and no secret is read before."""
        return client(self.api_key(), self.base)

    def facts_of(self, event: WebhookEvent, known: Known) -> list[Fact]:
        """See `Provider.facts_of`. *known* finds the owner of a subscription that was made in the dashboard.

        If an event reports a subscription before we know its payment, the page on which it was bought is fetched too.
        Only the payment shows whether the right amount was paid.
        """
        found = self._read_or_fetched(webhook.parse(event.body), known.find_owner)
        plans = [fact for fact in found if isinstance(fact.entry.value, Subscription) and fact.asked]
        if not plans or any(isinstance(fact.entry.value, Payment) for fact in found):
            return found
        purchase = known.purchase(plans[0].customer_id, plans[0].purchase_id)
        if purchase and purchase.payment:
            return found
        paid = [one for plan in plans for one in self._bought_by(plan.source)]
        owner = (plans[0].customer_id, plans[0].purchase_id)
        return found + [one for one in paid if (one.customer_id, one.purchase_id) == owner]

    def _read_or_fetched(self, event: webhook.Event, find: Find) -> list[Fact]:
        """Return what *event* says. If its object cannot be read as it was sent, fetch the object by its id.

        Raises Malformed if there is no such object: the event can never be settled. What Stripe answers and nobody can
        read is an outage, and is tried again.
        """
        try:
            return self._facts_of(event, find)
        except Unreadable:
            if event.thing is None:
                raise
        try:
            return self._facts_of(replace(event, thing=None), find)
        except ObjectMissing as error:
            raise Malformed("data.object", "cannot be read, and cannot be fetched by its id") from error

    def purchase_facts(self, purchase: Purchase) -> list[Fact]:
        """See `Provider.purchase_facts`: the subscription, or else the refunds and disputes of the payment."""
        if plan := purchase.subscription:
            owner = Owner(customer_id=purchase.customer_id, purchase_id=purchase.purchase_id)
            return [self._subscription(plan.ref, lambda _: owner)]
        if purchase.payment is None or purchase.payment.ref is None:
            return []
        with translate_errors("for a payment"):
            answer = self.api.v1.payment_intents.retrieve(purchase.payment.ref, {"expand": ["latest_charge"]})
            charge = answer.to_dict().get("latest_charge")
            return self._of_expanded_charge(charge, fetched(answer), sale_of(purchase)) if charge else []

    def changes(self, cursor: str | None, *, since: int) -> Iterator[WebhookEvent]:
        """See `Provider.changes`. Stripe keeps events for 30 days and lists the newest first."""
        asked: Any = {"types": sorted(webhook.HANDLED), "limit": 100}
        asked |= {"ending_before": cursor} if cursor else {"created": {"gte": since}}
        with translate_errors("for its events"):
            page = self.api.v1.events.list(asked)
            found = page.auto_paging_iter() if cursor else reversed(list(page.auto_paging_iter()))
            for event in found:
                body = json.dumps(event.to_dict(), default=str)  # the library reads decimal texts as Decimal
                yield webhook.read(body, api_key=self.api_key())

    def _facts_of(self, event: webhook.Event, find: Find) -> list[Fact]:
        with translate_errors(f"about {event.type}"), not_before(event.created):
            thing, observed = self._reported_or_fetched(event)
            match event.type.split("."):
                case ["checkout", *_, last]:
                    return self._of_session(thing, observed, failed=last == "async_payment_failed")
                case ["customer", "subscription", _] if facts.past_due(thing) and not observed.fetched:
                    return [self._subscription(thing["id"], find)]
                case ["customer", "subscription", _]:
                    return [self._of_plan(thing, observed, self._sale_of_plan(thing, find))]
                case ["invoice", _]:
                    return self._of_invoice(thing, find)
                case ["charge", "dispute", _]:
                    sale, paid = self._sale_of_payment(thing, find)
                    return [facts.of_dispute(thing, observed, sale, paid=paid)] if sale else []
                case ["charge", _]:
                    return self._of_charge(thing, observed, find)
                case ["refund", _] if charge := id_of(thing.get("charge")):
                    answer = self.api.v1.charges.retrieve(charge)
                    return self._of_charge(answer.to_dict(), fetched(answer), find)
        return []

    def _subscription(self, subscription: str, find: Find, *, of: Sale | None = None) -> Fact:
        """Return what the subscription (`sub_…`) says now. If it has none of our metadata, *of* is its sale."""
        with translate_errors("for a subscription"):
            answer = self.api.v1.subscriptions.retrieve(subscription)
            thing, observed = answer.to_dict(), fetched(answer)
            return self._of_plan(
                thing, observed, sale_in(thing.get("metadata")) or of or self._sale_of_plan(thing, find)
            )

    def _bought_by(self, subscription: str) -> list[Fact]:
        """Return what the page says on which *subscription* (`sub_…`) was bought. Without a page, return nothing."""
        asked: Any = {"subscription": subscription, "limit": 1}
        with translate_errors("for a subscription's checkout session"):
            listed = pages(self.api.v1.checkout.sessions.list(asked))
            return [
                fact for session, observed in listed for fact in self._of_session(session, observed, with_plan=False)
            ]

    def refetch(self, fact: Fact) -> Fact:
        """See `Provider.refetch`. An answer from a later second is final for the second of *fact*.

        Waits at most 2.2 s for a later second. The answer is never stamped earlier than *fact*, because it was asked
        for after *fact*.
        """
        for wait in (0.0, 0.5, 0.5, 0.6, 0.6):
            time.sleep(max(0.0, remaining(wait)))
            with not_before(fact.entry.at):
                newer = self._refetch(fact)
            if newer.entry.at > fact.entry.at:
                break
        return newer

    def history(
        self, customer_refs: Sequence[str], email: str | None, *, since: int, known: Known, customer_id: str
    ) -> Iterator[Listing]:
        """See `Provider.history`. Ended subscriptions are listed too, so that an old payment grants no access.

        Stripe cannot list subscriptions by e-mail address. So a page that is found by *email* fetches its subscription.
        """
        for ref in customer_refs:
            customer = ref.removeprefix(f"{NAME}#")
            yield Listing(name="subscriptions", reports=self._subscriptions_of(customer, known, customer_id))
            by: Any = {"customer": customer}
            yield Listing(name="checkout sessions", reports=self._sessions(by, since=since, with_plan=False))
        if email and not customer_refs:
            by = {"customer_details": {"email": email}}
            yield Listing(name="checkout sessions", reports=self._sessions(by, since=since, with_plan=True))

    def _subscriptions_of(self, customer: str, known: Known, customer_id: str) -> Iterator[Report]:
        asked: Any = {"customer": customer, "status": "all", "limit": 100}

        def find(ref: str) -> Owner:
            return known.find_owner(ref) or Owner(customer_id=customer_id)

        def read(plan: Object, observed: Observed) -> list[Fact]:
            with translate_errors("about a subscription"):
                return [self._of_plan(plan, observed, self._sale_of_plan(plan, find))]

        with translate_errors("for a customer's subscriptions"):
            for plan, observed in pages(self.api.v1.subscriptions.list(asked)):
                yield Report(ref=plan["id"], read=partial(read, plan, observed))

    def _sessions(self, by: Any, *, since: int, with_plan: bool) -> Iterator[Report]:
        asked: Any = {"created": {"gte": since}, "limit": 100, "expand": ["data.payment_intent.latest_charge"], **by}

        def read(session: Object, observed: Observed) -> list[Fact]:
            with translate_errors("about a checkout session"):
                return self._of_session(session, observed, with_plan=with_plan)

        with translate_errors("for a customer's checkout sessions"):
            for session, observed in pages(self.api.v1.checkout.sessions.list(asked)):
                yield Report(ref=session["id"], read=partial(read, session, observed))

    def _of_session(
        self, session: Object, observed: Observed, *, failed: bool = False, with_plan: bool = True
    ) -> list[Fact]:
        """Return the facts of a session. The subscription comes first, so that access gets the right end at once."""
        payment = facts.of_session(session, observed, failed=failed)
        sale = sale_in(session.get("metadata"))
        if payment is None or sale is None:
            return []
        found = [payment]
        plan = session.get("subscription")
        if plan and with_plan and isinstance(plan, str):
            found.insert(0, self._subscription(plan, lambda _: None, of=sale))
        elif plan and with_plan:
            found.insert(0, self._of_plan(plan, observed, sale_in(plan.get("metadata")) or sale))
        intent = session.get("payment_intent")
        charge = intent.get("latest_charge") if isinstance(intent, dict) else None
        return found + (self._of_expanded_charge(charge, observed, sale) if isinstance(charge, dict) else [])

    def _of_expanded_charge(self, charge: Object, observed: Observed, sale: Sale) -> list[Fact]:
        found = [facts.of_charge(charge, observed, sale)]
        if charge.get("disputed"):
            disputes = self.api.v1.disputes.list({"charge": charge["id"], "limit": 100})
            found += [facts.of_dispute(one, when, sale) for one, when in pages(disputes)]
        return found

    def _of_plan(self, plan: Object, observed: Observed, sale: Sale) -> Fact:
        """Return what a subscription says. If it is past due, its oldest open invoice says since when."""
        unpaid_since = None
        if facts.past_due(plan):
            asked: Any = {"subscription": plan["id"], "status": "open", "limit": 100}
            invoices = pages(self.api.v1.invoices.list(asked))
            unpaid_since = min((one.get("due_date") or one["created"] for one, _ in invoices), default=None)
        return facts.of_subscription(plan, observed, sale, unpaid_since=unpaid_since)

    def _of_invoice(self, invoice: Object, find: Find) -> list[Fact]:
        details = (invoice.get("parent") or {}).get("subscription_details") or {}
        plan = id_of(details.get("subscription"))
        return [self._subscription(plan, find)] if plan else []

    def _of_charge(self, charge: Object, observed: Observed, find: Find) -> list[Fact]:
        sale, paid = self._sale_of_payment(charge, find)
        return [facts.of_charge(charge, observed, sale, paid=paid)] if sale else []

    def _reported_or_fetched(self, event: webhook.Event) -> tuple[Object, Observed]:
        """Return the object that *event* is about, as it was reported. If the event is thin, fetch the object."""
        if event.thing is not None:
            return event.thing, Observed(at=event.created, fetched=False, by=event.event_id)
        v1 = self.api.v1
        retrieve: dict[str, Callable[[str], Any]] = {
            "cs": lambda a: v1.checkout.sessions.retrieve(a, {"expand": SESSION_WHOLE}),
            "sub": v1.subscriptions.retrieve,
            "in": v1.invoices.retrieve,
            "ch": v1.charges.retrieve,
            "py": v1.charges.retrieve,
            "du": v1.disputes.retrieve,
            "dp": v1.disputes.retrieve,
            "re": v1.refunds.retrieve,
            "pyr": v1.refunds.retrieve,
        }
        answer = retrieve[event.object_id.partition("_")[0]](event.object_id)
        return answer.to_dict(), fetched(answer)

    def _sale_of_plan(self, plan: Object, find: Find) -> Sale:
        if sale := sale_in(plan.get("metadata")):
            return sale
        if (known := find(f"{NAME}#{plan['id']}")) and known.purchase_id:
            return sale_of_plan(plan, known.customer_id, purchase_id=known.purchase_id)
        customer = id_of(plan.get("customer")) or ""
        if known := find(f"{NAME}#{customer}"):
            return sale_of_plan(plan, known.customer_id)
        metadata = self.api.v1.customers.retrieve(customer).to_dict().get("metadata") or {}
        if "customer_id" not in metadata:
            raise NotYetKnown(f"{plan['id']} of {customer}")
        return sale_of_plan(plan, metadata["customer_id"])

    def _sale_of_payment(self, thing: Object, find: Find) -> tuple[Sale | None, Bill | None]:
        """Return the sale of a charge or a dispute (None: not ours), and the bill that was paid, if any.

        A charge for a single payment has our metadata. A dispute has none, but its payment intent has. A subscription's
        payment has none either: its invoice names the subscription.
        """
        if sale := sale_in(thing.get("metadata")):
            return sale, None
        intent = id_of(thing.get("payment_intent"))
        if intent is None:
            return None, None
        paid: Any = {"payment": {"type": "payment_intent", "payment_intent": intent}, "expand": ["data.invoice"]}
        for payment, _ in pages(self.api.v1.invoice_payments.list(paid)):
            details = (payment["invoice"].get("parent") or {}).get("subscription_details") or {}
            if plan := id_of(details.get("subscription")):
                return sale_of(self._subscription(plan, find)), facts.bill(payment["invoice"])
        return sale_in(self.api.v1.payment_intents.retrieve(intent).to_dict().get("metadata")), None

    def _refetch(self, fact: Fact) -> Fact:
        """Return *fact* with what Stripe says now. A session reports several registers, but only one is wanted."""
        with translate_errors(f"again for {fact.register}"):
            match fact.entry.value:
                case Subscription():
                    return self._subscription(fact.source, lambda _: None, of=sale_of(fact))
                case Refund(invoice=invoice, period=period):
                    answer: Any = self.api.v1.charges.retrieve(fact.source)
                    paid = Bill(invoice=invoice, period=period) if invoice else None
                    value: Any = facts.refund_value(answer.to_dict(), paid)
                case Dispute(invoice=invoice, period=period):
                    answer = self.api.v1.disputes.retrieve(fact.source)
                    paid = Bill(invoice=invoice, period=period) if invoice else None
                    value = facts.dispute_value(answer.to_dict(), paid)
                case _:
                    answer = self.api.v1.checkout.sessions.retrieve(fact.source, {"expand": SESSION_WHOLE})
                    reported = self._of_session(answer.to_dict(), fetched(answer))
                    found = [one for one in reported if one.register == fact.register]
                    return found[0] if found else fact
        return facts.restated(fact, value, fetched(answer))


def fetched(answer: stripe.StripeObject) -> Observed:
    """Return that *answer* was fetched, with the second of `stamp`."""
    return Observed(at=stamp(answer), fetched=True, by="")


def pages(page: Any) -> Iterator[tuple[dict[str, Any], Observed]]:
    """Yield every object of a list, page after page, with the time of the page that held it."""
    while page.data:
        observed = fetched(page)
        for thing in page.data:
            yield thing.to_dict(), observed
        if not page.has_more:
            return
        page = page.next_page()
