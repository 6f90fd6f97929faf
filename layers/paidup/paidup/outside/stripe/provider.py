"""Stripe as a `Provider`: customers, payment pages, refunds and webhooks. `reader` reads what Stripe says."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import stripe

from paidup.model.checkout import Checkout
from paidup.model.errors import Malformed, ObjectMissing, ProviderRefused
from paidup.model.fact import Fact
from paidup.model.offer import Cart, CatalogPrice
from paidup.model.provider import Known, Page, PageStatus, WebhookEvent
from paidup.model.purchase import Purchase
from paidup.outside.secrets import BadSecret
from paidup.outside.stripe import catalog, facts, payment_page, webhook
from paidup.outside.stripe.client import fetched, pages, translate_errors
from paidup.outside.stripe.facts import Bill, Observed
from paidup.outside.stripe.finding import Finder
from paidup.outside.stripe.metadata import NAME, Object, Sale, id_of, sale_of, sale_of_checkout
from paidup.outside.stripe.retrieval import SESSION_WHOLE

SIGNING_SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]{24,}")  # a shorter one is a placeholder


@dataclass(frozen=True, slots=True, kw_only=True)
class Stripe(Finder):
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
        except ObjectMissing as missing:  # the customer was deleted, or belongs to another Stripe account
            if _named_by(missing)[0] not in ("", "customer"):
                raise
            another = self._customer(checkout, email, instead_of=customer)
            return self._opened(checkout.retried(), another)
        except ProviderRefused as refusal:
            if not _combines_currencies(refusal):
                raise
            another = self._customer(checkout, email, instead_of=f"{customer} {checkout.cart.currency}")
            return replace(self._opened(checkout.retried(), another), one_currency=True)

    def change_email(self, customer_ref: str, email: str) -> None:
        """See `Provider.change_email`."""
        with translate_errors("to change a customer's e-mail address"):
            self.api.v1.customers.update(customer_ref.removeprefix(f"{NAME}#"), {"email": email})

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
        with _promotion_refused(checkout.cart), translate_errors("to open a checkout page"):
            session = self.api.v1.checkout.sessions.create(
                payment_page.params(checkout, customer), {"idempotency_key": checkout.idempotency_key}
            )
            return payment_page.read(session.to_dict())

    def price(self, ref: str) -> CatalogPrice:
        """See `Provider.price`."""
        return catalog.price(self.api, ref)

    def promotion(self, code: str, *, customer_ref: str | None) -> str:
        """See `Provider.promotion`."""
        return catalog.promotion(self.api, code, customer=customer_ref and customer_ref.removeprefix(f"{NAME}#"))

    def page(self, checkout: Checkout) -> Page:
        """See `Provider.page`. The checkout says what was sold: the session's metadata can be edited."""
        with translate_errors("for a checkout page"):
            session = self.api.v1.checkout.sessions.retrieve(checkout.token or "", {"expand": SESSION_WHOLE})
            thing, sale = session.to_dict(), sale_of_checkout(checkout)
            return replace(payment_page.read(thing), facts=tuple(self._of_session(thing, fetched(session), sale)))

    def verify(self, body: bytes, headers: Mapping[str, str], *, now: int) -> WebhookEvent:
        """See `Provider.verify`."""
        webhook.verify(body, headers.get("stripe-signature"), self.webhook_secrets(), now=now)
        return webhook.read(body.decode(), api_key=self.api_key(), now=now)

    def read_event(self, body: str) -> WebhookEvent:
        """See `Provider.read_event`."""
        return webhook.read(body, api_key=self.api_key())

    def close_page(self, checkout: Checkout) -> Page:
        """See `Provider.close_page`."""
        page = self.page(checkout)
        if page.status is not PageStatus.OPEN:
            return page
        try:
            with translate_errors("to close a checkout page"):
                self.api.v1.checkout.sessions.expire(page.token)
        except ProviderRefused:
            page = self.page(checkout)
            if page.status is PageStatus.OPEN:
                raise
            return page  # only open pages can be closed: since our read it was paid or expired
        return self.page(checkout)

    def refund(self, purchase: Purchase) -> list[Fact]:
        """See `Provider.refund`. For a subscription, the payments for its present period go back.

        All subscriptions end first, and a payment that Stripe does not give back hinders no other. Raises
        ProviderRefused for it in the end.
        """
        sale = sale_of(purchase)
        found: list[Fact] = []
        with translate_errors("to give a payment back"):
            refs = [ref.removeprefix(f"{NAME}#") for ref in purchase.refs if ref.startswith(f"{NAME}#sub_")]
            ended = [self._ended_plan(ref) for ref in refs]
            payments: list[tuple[str, Bill | None]] = []
            for plan, when in ended:
                found += self._of_plan(plan, when, sale, None)
                paid = list(self._paid_for_now(plan))
                payments += paid
                found += [] if paid else [facts.nothing_to_refund(plan, when, sale)]
            if not ended and purchase.payment and purchase.payment.ref:
                payments = [(purchase.payment.ref, None)]
            refused: stripe.InvalidRequestError | None = None
            for intent, bill in payments:
                try:
                    found.append(self._refunded(intent, purchase, sale, bill))
                except stripe.InvalidRequestError as error:
                    refused = error
            if refused:
                raise refused
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
        began = max(item["current_period_start"] for item in plan["items"]["data"])
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


def connect(read_secret: Callable[[str], Mapping[str, Any]], base: str, known: Known | None = None) -> Stripe:
    """Return Stripe at the address *base* (empty: Stripe's own).

    *read_secret* takes the name of a field, and returns the JSON secret with that field. It is called on first use.
    *known* knows the offers on sale.
    """
    return Stripe(
        api_key=lambda: str(read_secret("api_key")["api_key"]),
        webhook_secrets=lambda: _signing_secrets(read_secret("webhook_secrets")["webhook_secrets"]),
        base=base,
        shop=known,
    )


def _signing_secrets(found: Any) -> list[str]:
    """Return every active signing secret: two while a secret is rolled over. Raises BadSecret."""
    if not isinstance(found, list) or not all(isinstance(one, str) and SIGNING_SECRET.fullmatch(one) for one in found):
        raise BadSecret("The Stripe secret's 'webhook_secrets' must be a list of signing secrets as Stripe shows them.")
    return found


@contextmanager
def _promotion_refused(cart: Cart) -> Iterator[None]:
    """Refuse the cart's code if Stripe does not give the discount for this cart or to this customer."""
    try:
        yield
    except ProviderRefused as refusal:
        param, code = _named_by(refusal)
        if cart.promotion and (param.startswith("discounts") or code == "amount_too_small"):
            raise Malformed("promotion_code", f"{cart.promotion_code!r} cannot be used for this") from refusal
        raise


def _combines_currencies(refusal: ProviderRefused) -> bool:
    """Whether Stripe refused because the customer has something that runs, or an open page, in another currency.

    Stripe has no code for it (https://docs.stripe.com/billing/customer#multiple-currencies).
    """
    why = refusal.__cause__
    return isinstance(why, stripe.InvalidRequestError) and "combine currencies" in (why.user_message or str(why))


def _named_by(refusal: ProviderRefused) -> tuple[str, str]:
    """Return the parameter and the code by which Stripe refused."""
    why = refusal.__cause__
    return (why.param or "", why.code or "") if isinstance(why, stripe.InvalidRequestError) else ("", "")
