"""Stripe as a `Provider`: customers, payment pages, refunds and webhooks. `reader` reads what Stripe says."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import stripe

from paidup.model.checkout import Checkout
from paidup.model.errors import ObjectMissing, ProviderRefused
from paidup.model.fact import Fact
from paidup.model.offer import Kind
from paidup.model.provider import Page, PageStatus, WebhookEvent
from paidup.model.purchase import Purchase
from paidup.outside.secrets import BadSecret
from paidup.outside.stripe import facts, webhook
from paidup.outside.stripe.client import translate_errors
from paidup.outside.stripe.facts import Bill, Observed
from paidup.outside.stripe.metadata import NAME, Object, Sale, id_of, metadata_of, sale_of
from paidup.outside.stripe.reader import SESSION_WHOLE, Reader, fetched, pages

LONGEST_LIFE_S = 86_400  # Stripe's limit and default. Not sent if it is nearer than SKEW_S: the clocks may differ
SHORTEST_LIFE_S = 1_800
SKEW_S = 120
SIGNING_SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]{24,}")  # a shorter one is a placeholder
OPENED_WITHIN_S = 180  # a page may be asked for again until the sweep that follows its two minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class Stripe(Reader):
    """The Stripe account of one API key, as a `Provider`."""

    @property
    def name(self) -> str:
        """Stripe's name in checkouts, purchases and routes."""
        return NAME

    def open_page(self, checkout: Checkout, *, customer_ref: str | None, email: str | None) -> Page:
        """See `Provider.open_page`. Stripe replays its first answer to an idempotency key for 24 h, even a 500.

        Source: https://docs.stripe.com/api/idempotent_requests
        """
        if customer_ref is None:
            return self._opened(checkout, self._customer(checkout, email))
        customer = customer_ref.removeprefix(f"{NAME}#")
        try:
            return self._opened(checkout, customer)
        except ObjectMissing:  # the customer was deleted, or belongs to another Stripe account
            another = self._customer(checkout, email, instead_of=customer)
            return self._opened(checkout.retried(), another)

    def _customer(self, checkout: Checkout, email: str | None, *, instead_of: str = "") -> str:
        """Create a Stripe customer for the buyer, and return the id (`cus_…`).

        Within 24 h, a second call returns the same customer, because its idempotency key is the same.
        """
        who = f"{checkout.customer_id} {email} {checkout.attempt} {instead_of}"
        key = "customer-" + sha256(who.encode()).hexdigest()
        params: Any = {"metadata": {"customer_id": checkout.customer_id}} | ({"email": email} if email else {})
        try:
            with translate_errors("to make a customer"):
                return self.api.v1.customers.create(params, {"idempotency_key": key}).id
        except ProviderRefused:
            if not email:
                raise
        return self._customer(checkout, None, instead_of=instead_of)  # a refused e-mail address must not stop the sale

    def _opened(self, checkout: Checkout, customer: str) -> Page:
        with translate_errors("to open a checkout page"):
            session = self.api.v1.checkout.sessions.create(
                _page_params(checkout, customer), {"idempotency_key": checkout.idempotency_key}
            )
            return _page(session.to_dict())

    def page(self, token: str) -> Page:
        """See `Provider.page`. *token* is a checkout session's id."""
        with translate_errors("for a checkout page"):
            session = self.api.v1.checkout.sessions.retrieve(token, {"expand": SESSION_WHOLE})
            thing = session.to_dict()
            return replace(_page(thing), facts=tuple(self._of_session(thing, fetched(session))))

    def verify(self, body: bytes, headers: Mapping[str, str], *, now: int) -> WebhookEvent:
        """See `Provider.verify`."""
        webhook.verify(body, headers.get("stripe-signature"), self.webhook_secrets(), now=now)
        return webhook.read(body.decode(), api_key=self.api_key(), now=now)

    def read_event(self, body: str) -> WebhookEvent:
        """See `Provider.read_event`."""
        return webhook.read(body, api_key=self.api_key())

    def close_page(self, token: str) -> Page:
        """See `Provider.close_page`."""
        page = self.page(token)
        if page.status is not PageStatus.OPEN:
            return page
        try:
            with translate_errors("to close a checkout page"):
                self.api.v1.checkout.sessions.expire(token)
        except ProviderRefused:
            page = self.page(token)
            if page.status is PageStatus.OPEN:
                raise
            return page  # only open pages can be closed: since our read it was paid or expired
        return self.page(token)

    def refund(self, purchase: Purchase) -> list[Fact]:
        """See `Provider.refund`. For a subscription, the payments for its present period go back."""
        sale = sale_of(purchase)
        found: list[Fact] = []
        with translate_errors("to give a payment back"):
            if purchase.kind is Kind.SUBSCRIPTION and purchase.provider_ref:
                plan, when = self._ended_plan(purchase.provider_ref.removeprefix(f"{NAME}#"))
                found.append(facts.of_subscription(plan, when, sale))
                paid = list(self._paid_for_now(plan))
                found += [self._refunded(intent, purchase, sale, bill) for intent, bill in paid]
                if not paid:
                    found.append(facts.nothing_to_refund(plan, when, sale))
            elif purchase.payment and purchase.payment.ref:
                found.append(self._refunded(purchase.payment.ref, purchase, sale, None))
        return found

    def _ended_plan(self, plan: str) -> tuple[Object, Observed]:
        answer = self.api.v1.subscriptions.retrieve(plan)
        if answer.status != "canceled":
            answer = self.api.v1.subscriptions.cancel(plan)
        return answer.to_dict(), fetched(answer)

    def _paid_for_now(self, plan: Object) -> Iterator[tuple[str, Bill]]:
        """Yield the payments for the present period of the subscription *plan*: payment intent's id, and bill.

        Payments for changes within the period come first. The period's own payment comes last, because its refund means
        that all is refunded.
        """
        began = plan["items"]["data"][0]["current_period_start"]
        listed = pages(self.api.v1.invoices.list({"subscription": plan["id"], "status": "paid", "limit": 100}))
        invoices = [one for one, _ in listed if any(line["period"]["start"] >= began for line in one["lines"]["data"])]
        for invoice in sorted(invoices, key=lambda one: -one["created"]):
            for payment, _ in pages(self.api.v1.invoice_payments.list({"invoice": invoice["id"], "status": "paid"})):
                if intent := id_of(payment["payment"].get("payment_intent")):
                    yield intent, facts.bill(invoice)

    def _refunded(self, intent: str, purchase: Purchase, sale: Sale, paid: Bill | None) -> Fact:
        """Refund all that is left of one payment, and return the fact about its refunds."""
        self._refund(intent, purchase)
        answer = self.api.v1.payment_intents.retrieve(intent, {"expand": ["latest_charge"]})
        return facts.of_charge(answer.to_dict()["latest_charge"], fetched(answer), sale, paid=paid)

    def _refund(self, intent: str, purchase: Purchase) -> None:
        why: Any = {"payment_intent": intent, "metadata": {"purchase_id": purchase.purchase_id}}
        try:
            self.api.v1.refunds.create(why, {"idempotency_key": f"{purchase.refund_key}-{intent}"})
        except stripe.InvalidRequestError as error:
            if error.code != "charge_already_refunded":
                raise


def connect(read_secret: Callable[[str], Mapping[str, Any]], base: str) -> Stripe:
    """Return Stripe at the address *base* (empty: Stripe's own).

    *read_secret* takes the name of a field, and returns the JSON secret with that field. It is called on first use.
    """
    return Stripe(
        api_key=lambda: str(read_secret("api_key")["api_key"]),
        webhook_secrets=lambda: _signing_secrets(read_secret("webhook_secrets")["webhook_secrets"]),
        base=base,
    )


def _signing_secrets(found: Any) -> list[str]:
    """Return every active signing secret: two while a secret is rolled over. Raises BadSecret."""
    if not isinstance(found, list) or not all(isinstance(one, str) and SIGNING_SECRET.fullmatch(one) for one in found):
        raise BadSecret("The Stripe secret's 'webhook_secrets' must be a list of signing secrets as Stripe shows them.")
    return found


def _page(session: Object) -> Page:
    customer = id_of(session.get("customer"))
    return Page(
        token=session["id"],
        url=session.get("url") or "",
        expires_at=session["expires_at"],
        status=PageStatus(session["status"]),
        customer_ref=f"{NAME}#{customer}" if customer else None,
    )


def _page_params(checkout: Checkout, customer: str) -> Any:
    cart, metadata = checkout.cart, metadata_of(checkout)
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
        params["expires_at"] = checkout.created_at + max(
            checkout.lifetime_s, SHORTEST_LIFE_S + SKEW_S + OPENED_WITHIN_S
        )
    return params | {"line_items": [{"price_data": price, "quantity": cart.quantity}]}
