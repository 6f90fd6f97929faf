"""One Stripe account: opening, looking at and closing pages, and fetching what an event, a tie or a sync asks for."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import stripe

from paidup.model.checkout import Checkout
from paidup.model.fact import Dispute, Fact, Refund, Subscription
from paidup.model.offer import Kind
from paidup.model.passes import Pass
from paidup.model.refusal import NotYetKnown, ProviderRefused
from paidup.outside import stripe_facts as facts
from paidup.outside.stripe_facts import Object, Owner, Said
from paidup.outside.stripe_http import asking, client, stamp
from paidup.outside.stripe_webhook import Event

LONGEST_LIFE_S = 86_400  # Stripe's own default: not sent, nor what comes near it, for its clock and ours may differ
SHORTEST_LIFE_S = 1_800
SKEW_S = 120

Find = Callable[[str], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Stripe's checkout page: `status` is open, complete or expired; `expires_at` is Stripe's epoch second."""

    token: str
    url: str
    expires_at: int
    status: str
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stripe:
    """The account behind one API key. Every method raises ProviderUnavailable or ProviderRefused when Stripe fails."""

    api: stripe.StripeClient

    def customer(self, customer_id: str, email: str | None, *, attempt: int) -> str:
        """Return the Stripe customer (`cus_…`) made for *customer_id*; asked again within a day, it is the same one.

        *attempt* counts dead answers, which are replayed: see `Checkout.attempt`.
        """
        key = "customer-" + sha256(f"{customer_id} {email} {attempt}".encode()).hexdigest()
        params: Any = {"metadata": {"customer_id": customer_id}} | ({"email": email} if email else {})
        with asking("to make a customer"):
            return self.api.v1.customers.create(params, {"idempotency_key": key}).id

    def open_page(self, checkout: Checkout, customer: str) -> Page:
        """Return the page on which *customer* (`cus_…`) pays *checkout*; asked again, it is the same page."""
        with asking("to open a checkout page"):
            session = self.api.v1.checkout.sessions.create(
                _page_params(checkout, customer), {"idempotency_key": checkout.idempotency_key}
            )
            return _page(session.to_dict())

    def page(self, token: str) -> Page:
        """Return the page *token* (`cs_…`) as it stands now, with every fact that it tells."""
        with asking("for a checkout page"):
            session = self.api.v1.checkout.sessions.retrieve(
                token, {"expand": ["payment_intent.latest_charge", "subscription"]}
            )
            thing = session.to_dict()
            return replace(_page(thing), facts=tuple(self._of_session(thing, _fetched(session))))

    def close_page(self, token: str) -> Page:
        """Close the page *token* unless it was paid, and return how it stands: `complete` means paid, never `open`."""
        page = self.page(token)
        if page.status != "open":
            return page
        try:
            with asking("to close a checkout page"):
                self.api.v1.checkout.sessions.expire(token)
        except ProviderRefused:
            page = self.page(token)
            if page.status == "open":
                raise
            return page  # only open ones can be expired: it was paid or expired since we looked
        return self.page(token)

    def facts_of(self, event: Event, find: Find) -> list[Fact]:
        """Return what *event* says, fetching what it does not tell; nothing where it is about nothing of ours.

        *find* returns the customer that one of Stripe's customers (`stripe#cus_…`) is, so that subscriptions made in
        the dashboard find theirs. Raises NotYetKnown where nobody knows the customer so far.
        """
        with asking(f"about {event.type}"):
            thing, said = self._told_or_fetched(event)
            match event.type.split("."):
                case ["checkout", *_, last]:
                    return self._of_session(thing, said, failed=last == "async_payment_failed")
                case ["customer", "subscription", _]:
                    return [facts.of_subscription(thing, said, self._owner_of_plan(thing, find))]
                case ["invoice", _]:
                    return self._of_invoice(thing, find)
                case ["charge", "dispute", _]:
                    owner, _ = self._owner_of_payment(thing, find)
                    return [facts.of_dispute(thing, said, owner)] if owner else []
                case ["charge", _]:
                    return self._of_charge(thing, said, find)
                case ["refund", _] if charge := facts.id_of(thing.get("charge")):
                    answer = self.api.v1.charges.retrieve(charge)
                    return self._of_charge(answer.to_dict(), _fetched(answer), find)
        return []

    def subscription(self, subscription: str, find: Find) -> Fact:
        """Return how the subscription (`sub_…`) stands now."""
        with asking("for a subscription"):
            answer = self.api.v1.subscriptions.retrieve(subscription)
            thing = answer.to_dict()
            return facts.of_subscription(thing, _fetched(answer), self._owner_of_plan(thing, find))

    def again(self, fact: Fact) -> Fact:
        """Return what Stripe says now of *fact*'s register, from a later second, so that the answer is final for
        *fact*'s own second; waits at most 1.5 s for that.
        """
        for wait in (0.0, 0.3, 0.4, 0.4, 0.4):
            time.sleep(wait)
            newer = self._again(fact)
            if newer.entry.at > fact.entry.at:
                break
        return newer

    def give_back(self, held: Pass) -> list[Fact]:
        """Give the buyer of *held* back all that is left of their money, end its subscription, and return how both
        stand now. Asked again, it gives back nothing more.
        """
        owner = Owner(
            customer_id=held.customer_id,
            pass_id=held.pass_id,
            offer_id=held.offer_id,
            kind=held.kind,
            valid_days=held.valid_days,
            asked=held.asked,
        )
        found: list[Fact] = []
        intent, invoice = held.payment.ref if held.payment else None, None
        with asking("to give a payment back"):
            if held.kind is Kind.SUBSCRIPTION and held.provider_ref:
                plan, when = self._ended_plan(held.provider_ref.removeprefix(f"{facts.NAME}#"))
                found.append(facts.of_subscription(plan, when, owner))
                invoice = facts.id_of(plan.get("latest_invoice"))
                intent = self._intent_of(invoice) if invoice else None
            if intent:
                self._refund(intent, held)
                answer = self.api.v1.payment_intents.retrieve(intent, {"expand": ["latest_charge"]})
                charge = answer.to_dict()["latest_charge"]
                found.append(facts.of_charge(charge, _fetched(answer), owner, invoice=invoice))
        return found

    def history(self, customer_id: str, customer: str | None, email: str | None, *, since: int) -> Iterator[list[Fact]]:
        """Yield what Stripe knows of *customer_id*, object by object, every page: checkout sessions made since *since*
        (epoch seconds) and all subscriptions of *customer* (`cus_…`), or the sessions of *email* where none is known.
        """
        by: Any = {"customer": customer} if customer else {"customer_details": {"email": email}}
        sessions: Any = {"created": {"gte": since}, "limit": 100, "expand": ["data.payment_intent.latest_charge"], **by}
        with asking("for a customer's checkout sessions"):
            for session, said in _pages(self.api.v1.checkout.sessions.list(sessions)):
                found = self._of_session(session, said, with_plan=customer is None)  # else listed below
                yield [fact for fact in found if fact.customer_id == customer_id]
        if not customer:
            return
        plans: Any = {"customer": customer, "status": "all", "limit": 100}
        with asking("for a customer's subscriptions"):
            for plan, said in _pages(self.api.v1.subscriptions.list(plans)):
                owner = self._owner_of_plan(plan, lambda _: customer_id)
                yield [facts.of_subscription(plan, said, owner)] if owner.customer_id == customer_id else []

    def _of_session(self, session: Object, said: Said, *, failed: bool = False, with_plan: bool = True) -> list[Fact]:
        """Return the facts of a session: the subscription first, so that access begins with its right end."""
        payment = facts.of_session(session, said, failed=failed)
        owner = facts.owner_in(session.get("metadata"))
        if payment is None or owner is None:
            return []
        found = [payment]
        plan = session.get("subscription")
        if plan and with_plan and isinstance(plan, str):
            found.insert(0, self.subscription(plan, lambda _: owner.customer_id))
        elif plan and with_plan:
            found.insert(0, facts.of_subscription(plan, said, facts.owner_in(plan.get("metadata")) or owner))
        intent = session.get("payment_intent")
        charge = intent.get("latest_charge") if isinstance(intent, dict) else None
        return found + (self._of_expanded_charge(charge, said, owner) if isinstance(charge, dict) else [])

    def _of_expanded_charge(self, charge: Object, said: Said, owner: Owner) -> list[Fact]:
        found = [facts.of_charge(charge, said, owner)] if charge["amount_refunded"] else []
        if charge.get("disputed"):
            disputes = self.api.v1.disputes.list({"charge": charge["id"], "limit": 100})
            found += [facts.of_dispute(one, when, owner) for one, when in _pages(disputes)]
        return found

    def _of_invoice(self, invoice: Object, find: Find) -> list[Fact]:
        details = (invoice.get("parent") or {}).get("subscription_details") or {}
        plan = facts.id_of(details.get("subscription"))
        return [self.subscription(plan, find)] if plan else []

    def _of_charge(self, charge: Object, said: Said, find: Find) -> list[Fact]:
        owner, invoice = self._owner_of_payment(charge, find)
        return [facts.of_charge(charge, said, owner, invoice=invoice)] if owner else []

    def _told_or_fetched(self, event: Event) -> tuple[Object, Said]:
        """Return the object that *event* is about: as told, or, of a thin event, as it stands now."""
        if event.thing is not None:
            return event.thing, Said(at=event.created, fetched=False, by=event.event_id)
        v1 = self.api.v1
        retrieve: dict[str, Callable[[str], Any]] = {
            "cs": lambda a: v1.checkout.sessions.retrieve(a, {"expand": ["payment_intent", "subscription"]}),
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
        return answer.to_dict(), _fetched(answer)

    def _owner_of_plan(self, plan: Object, find: Find) -> Owner:
        if owner := facts.owner_in(plan.get("metadata")):
            return owner
        customer = facts.id_of(plan.get("customer")) or ""
        known = find(f"{facts.NAME}#{customer}")
        if known is None:
            metadata = self.api.v1.customers.retrieve(customer).to_dict().get("metadata") or {}
            known = metadata.get("customer_id")
        if known is None:
            raise NotYetKnown(f"{plan['id']} of {customer}")
        return facts.owner_of_plan(plan, known)

    def _owner_of_payment(self, thing: Object, find: Find) -> tuple[Owner | None, str | None]:
        """Return the owner of a charge or a dispute, and the invoice that it paid, if it paid one.

        A charge of ours has our metadata, a dispute's payment intent too; a subscription's payment has neither, and
        leads by its invoice to the subscription.
        """
        if owner := facts.owner_in(thing.get("metadata")):
            return owner, None
        intent = facts.id_of(thing.get("payment_intent"))
        if intent is None:
            return None, None
        paid: Any = {"payment": {"type": "payment_intent", "payment_intent": intent}, "expand": ["data.invoice"]}
        for payment, _ in _pages(self.api.v1.invoice_payments.list(paid)):
            details = (payment["invoice"].get("parent") or {}).get("subscription_details") or {}
            if plan := facts.id_of(details.get("subscription")):
                found = self.subscription(plan, find)
                owner = Owner(
                    customer_id=found.customer_id, pass_id=found.pass_id, offer_id=found.offer_id, kind=found.kind
                )
                return owner, payment["invoice"]["id"]
        return facts.owner_in(self.api.v1.payment_intents.retrieve(intent).to_dict().get("metadata")), None

    def _ended_plan(self, plan: str) -> tuple[Object, Said]:
        answer = self.api.v1.subscriptions.retrieve(plan)
        if answer.status != "canceled":
            answer = self.api.v1.subscriptions.cancel(plan)
        return answer.to_dict(), _fetched(answer)

    def _intent_of(self, invoice: str) -> str | None:
        for payment, _ in _pages(self.api.v1.invoice_payments.list({"invoice": invoice, "status": "paid"})):
            return facts.id_of(payment["payment"].get("payment_intent"))
        return None

    def _refund(self, intent: str, held: Pass) -> None:
        why: Any = {"payment_intent": intent, "metadata": {"pass_id": held.pass_id}}
        try:
            self.api.v1.refunds.create(why, {"idempotency_key": held.refund_key})
        except stripe.InvalidRequestError as error:
            if error.code != "charge_already_refunded":
                raise

    def _again(self, fact: Fact) -> Fact:
        """Return *fact* with what Stripe says now; a session's payment may have more to tell, and only it is wanted."""
        with asking(f"again for {fact.register}"):
            match fact.entry.value:
                case Subscription():
                    answer: Any = self.api.v1.subscriptions.retrieve(fact.source)
                    value: Any = facts.subscription_value(answer.to_dict())
                case Refund(invoice=invoice):
                    answer = self.api.v1.charges.retrieve(fact.source)
                    value = facts.refund_value(answer.to_dict(), invoice)
                case Dispute():
                    answer = self.api.v1.disputes.retrieve(fact.source)
                    value = facts.dispute_value(answer.to_dict())
                case _:
                    found = [one for one in self.page(fact.source).facts if one.register == fact.register]
                    return found[0] if found else fact
        return facts.restated(fact, value, _fetched(answer))


def connect(api_key: str, base: str) -> Stripe:
    """Return the account behind *api_key*, at Stripe's own address, or at *base* where a stand-in answers."""
    return Stripe(api=client(api_key, base))


def _fetched(answer: stripe.StripeObject) -> Said:
    return Said(at=stamp(answer), fetched=True, by="")


def _pages(page: Any) -> Iterator[tuple[dict[str, Any], Said]]:
    """Yield every object of a list, page after page, with the time of the page that held it."""
    while page.data:
        said = _fetched(page)
        for thing in page.data:
            yield thing.to_dict(), said
        if not page.has_more:
            return
        page = page.next_page()


def _page(session: Object) -> Page:
    return Page(
        token=session["id"],
        url=session.get("url") or "",
        expires_at=session["expires_at"],
        status=session["status"],
    )


def _page_params(checkout: Checkout, customer: str) -> Any:
    cart, metadata = checkout.cart, facts.metadata_of(checkout)
    price: dict[str, Any] = {
        "currency": cart.currency,
        "unit_amount": cart.unit_amount,
        "product_data": {"name": cart.name, "metadata": {"offer_id": cart.offer_id}},
    }
    params: dict[str, Any] = {
        "customer": customer,
        "client_reference_id": checkout.customer_id[:200],
        "success_url": checkout.success_url,
        "cancel_url": checkout.cancel_url,
        "metadata": metadata,
    }
    if cart.kind is Kind.SUBSCRIPTION and cart.interval:
        price["recurring"] = {"interval": cart.interval.value}
        trial = {"trial_period_days": cart.trial_days} if cart.trial_days else {}
        params |= {"mode": "subscription", "subscription_data": {"metadata": metadata, **trial}}
    else:
        params |= {"mode": "payment", "payment_intent_data": {"metadata": metadata}}
    if checkout.lifetime_s <= LONGEST_LIFE_S - SKEW_S:
        params["expires_at"] = checkout.created_at + max(checkout.lifetime_s, SHORTEST_LIFE_S + SKEW_S)
    return params | {"line_items": [{"price_data": price, "quantity": cart.quantity}]}
