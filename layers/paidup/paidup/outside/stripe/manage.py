"""Managing Stripe's subscriptions: change, preview, cancel and resume them, and open the customer portal."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import stripe

from paidup.model.errors import ProviderRefused
from paidup.model.fact import Fact
from paidup.model.offer import Cart
from paidup.model.provider import Changed, ChangeOutcome, ChangePreview
from paidup.model.purchase import Purchase
from paidup.outside.stripe import facts
from paidup.outside.stripe.client import fetched, not_before, translate_errors
from paidup.outside.stripe.facts import Observed
from paidup.outside.stripe.metadata import NAME, Object, id_of, sale_of
from paidup.outside.stripe.objects import Objects

WHOLE = ["latest_invoice"]
NO_CARD = "resource_missing"  # Stripe's code if there is nothing to charge
ENDED = ("canceled", "incomplete_expired")
LATEST_S = 5  # an answer is stamped earlier than it was made, by the duration of the call
WAITS = ("requires_action", "processing")  # of a payment intent: the buyer's bank has not decided yet


class _Refused(Exception):
    """Stripe did not take a change on."""

    def __init__(self, outcome: ChangeOutcome) -> None:
        """Say what became of the change."""
        super().__init__(outcome)
        self.outcome = outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Plans(Objects):
    """The subscriptions of one Stripe account, as their customers manage them."""

    def change_plan(self, purchase: Purchase, cart: Cart, *, key: str | None) -> Changed:
        """See `Provider.change_plan`.

        Stripe charges the proration at once, and changes nothing before it is paid (`pending_if_incomplete`). A change
        that was declined is given up by voiding its invoice: Stripe would try to charge it again for up to 23 hours.
        Source: https://docs.stripe.com/billing/subscriptions/pending-updates
        """
        with translate_errors("to change a subscription"):
            plan, observed = self._current(purchase)
            item = self._item(plan, purchase, cart)
            if plan["status"] in ENDED:
                return self._changed(ChangeOutcome.MADE, plan, observed, purchase, cart)
            if not item:  # a change that waits is not wanted any more
                self._give_up(plan)
                return self._changed(ChangeOutcome.MADE, *self._current(purchase), purchase, cart)
            if not _waits_for(plan, item):
                try:
                    plan, observed = self._update(plan, item, purchase, cart, key)
                except _Refused as refusal:
                    return self._changed(refusal.outcome, *self._current(purchase), purchase, cart)
            return self._outcome(plan, observed, purchase, cart)

    def _update(
        self, plan: Object, item: Any, purchase: Purchase, cart: Cart, key: str | None
    ) -> tuple[Object, Observed]:
        """Ask Stripe for the change of *item*, and return the subscription after that. Raises _Refused."""
        asked: Any = {
            "items": [item],
            "payment_behavior": "pending_if_incomplete",
            "proration_behavior": "always_invoice",
            "expand": WHOLE,
        }
        how: Any = {"idempotency_key": _key(key, plan, cart)} if key else {}
        try:
            answer = self.api.v1.subscriptions.update(plan["id"], asked, how)
        except stripe.CardError as error:
            raise _Refused(ChangeOutcome.DECLINED) from error
        except stripe.InvalidRequestError as error:
            if error.code == NO_CARD and not error.param:
                raise _Refused(ChangeOutcome.DECLINED) from error
            if error.param == "payment_behavior":  # a debit or an invoice, which no change can wait for
                raise _Refused(ChangeOutcome.IMPOSSIBLE) from error
            raise
        return self._current(purchase) if _replayed(answer) else (answer.to_dict(), fetched(answer))

    def preview_change(self, purchase: Purchase, cart: Cart) -> ChangePreview:
        """See `Provider.preview_change`. Stripe is asked twice: with the proration, and without it."""
        with translate_errors("for a preview"):
            plan, _ = self._current(purchase)
            item = self._item(plan, purchase, cart)
            changes: Any = {"items": [item]} if item else {}
            due, at = self._preview(plan, {**changes, "proration_behavior": "always_invoice"} if changes else {})
            later, _ = self._preview(plan, {**changes, "proration_behavior": "none"} if changes else {})
            too_little = max(0, due["total"] + due["starting_balance"]) - due["amount_due"]
            is_now = any(facts.prorated(line) or line["period"]["start"] <= at for line in due["lines"]["data"])
            starts = min(line["period"]["start"] for line in later["lines"]["data"])
            ends = max(line["period"]["end"] for line in later["lines"]["data"])
            return ChangePreview(
                due_now=due["amount_due"] if is_now else 0,
                credited=max(0, -due["total"]) if is_now else 0,
                next_amount=max(0, later["total"]) + (too_little if is_now else 0),
                next_at=starts if starts > at else ends,
                currency=plan["currency"],
            )

    def cancel_plan(self, purchase: Purchase, *, at_once: bool) -> list[Fact]:
        """See `Provider.cancel_plan`."""
        with translate_errors("to cancel a subscription"):
            plan, observed = self._current(purchase)
            answer: Any = None
            if plan["status"] in ENDED:
                pass
            elif at_once:
                answer = self.api.v1.subscriptions.cancel(plan["id"], {"expand": WHOLE})
            elif plan["cancel_at"] is None:
                ending: Any = {"cancel_at_period_end": True, "expand": WHOLE}
                answer = self.api.v1.subscriptions.update(plan["id"], ending)
            if answer is not None:
                with not_before(observed.at):
                    plan, observed = answer.to_dict(), fetched(answer)
            return self._facts(plan, observed, purchase)

    def resume_plan(self, purchase: Purchase) -> list[Fact]:
        """See `Provider.resume_plan`. Stripe takes back an end at a date otherwise than one with the period."""
        with translate_errors("to resume a subscription"):
            plan, observed = self._current(purchase)
            if plan["status"] not in ENDED and plan["cancel_at"] is not None:
                asked: Any = {"cancel_at_period_end": False} if plan["cancel_at_period_end"] else {"cancel_at": ""}
                asked["expand"] = WHOLE
                answer = self.api.v1.subscriptions.update(plan["id"], asked)
                with not_before(observed.at):
                    plan, observed = answer.to_dict(), fetched(answer)
            return self._facts(plan, observed, purchase)

    def open_portal(self, customer_ref: str, *, return_url: str) -> str:
        """See `Provider.open_portal`."""
        asked: Any = {"customer": customer_ref.removeprefix(f"{NAME}#"), "return_url": return_url}
        with translate_errors("to open the customer portal"):
            return self.api.v1.billing_portal.sessions.create(asked).url

    def _current(self, purchase: Purchase) -> tuple[Object, Observed]:
        """Return the purchase's subscription as it is now, at the earliest as of what we know of it already."""
        known = purchase.subscription
        if known is None:
            raise ProviderRefused(NAME, "it has no subscription of this purchase")
        heard_at = max(entry.at for entry in purchase.registers.values() if entry.value == known)
        with not_before(heard_at):
            return self._plan(known.ref)

    def _item(self, plan: Object, purchase: Purchase, cart: Cart) -> Any:
        """Return how the item that sells the plan must change so that it sells *cart*, or None if it does already.

        The same offer in another quantity keeps its price, even if the offer costs something else today.
        """
        items = plan["items"]["data"]
        names = self._names(plan, purchase, cart)
        item = next((one for one in items if names.get(one["price"]["id"]) == cart.offer_id), None)
        if item:
            if item["quantity"] == cart.quantity:
                return None
            return {"id": item["id"], "quantity": cart.quantity}
        sold = (one for one in items if names.get(one["price"]["id"]) == purchase.sells)
        plan_item = next(sold, items[0])
        return {"id": plan_item["id"], "price": self._price_of(cart), "quantity": cart.quantity}

    def _price_of(self, cart: Cart) -> str:
        """Return the catalogue's price that sells one of *cart*. If there is none, it is made, and names the offer."""
        if cart.price:
            return cart.price
        if cart.interval is None:
            raise ValueError("a subscription is sold for an interval")
        cycle = f"{cart.interval_count}{cart.interval}"
        lookup_key = f"paidup:{cart.offer_id}:{cart.unit_amount}{cart.currency}:{cycle}"
        named = {"offer_id": cart.offer_id}
        with translate_errors("for a price"):
            listed = self.api.v1.prices.list({"lookup_keys": [lookup_key], "active": True, "limit": 1})
            if listed.data:
                return listed.data[0].id
            asked: Any = {
                "currency": cart.currency,
                "unit_amount": cart.unit_amount,
                "recurring": {"interval": cart.interval.value, "interval_count": cart.interval_count},
                "lookup_key": lookup_key,
                "transfer_lookup_key": True,
                "metadata": named,
                "product_data": {"name": cart.name, "metadata": named},
            }
            key = "price-" + sha256(f"{lookup_key} {cart.name}".encode()).hexdigest()
            return self.api.v1.prices.create(asked, {"idempotency_key": key}).id

    def _outcome(self, plan: Object, observed: Observed, purchase: Purchase, cart: Cart) -> Changed:
        """Return what became of a change: made, declined, or waiting for the buyer's bank."""
        if not plan.get("pending_update"):
            return self._changed(ChangeOutcome.MADE, plan, observed, purchase, cart)
        with translate_errors("about the payment of a change"):
            asked: Any = {"invoice": id_of(plan["latest_invoice"]), "expand": ["data.payment.payment_intent"]}
            payments = self.api.v1.invoice_payments.list(asked).to_dict()["data"]
            intents = [one["payment"].get("payment_intent") for one in payments]
        if any(intent and intent["status"] in WAITS for intent in intents):
            return self._changed(ChangeOutcome.PENDING, plan, observed, purchase, cart)
        self._give_up(plan)
        plan, observed = self._current(purchase)
        declined = self._item(plan, purchase, cart) is not None  # else it was paid meanwhile
        outcome = ChangeOutcome.DECLINED if declined else ChangeOutcome.MADE
        return self._changed(outcome, plan, observed, purchase, cart)

    def _give_up(self, plan: Object) -> None:
        """Void the invoice of the change that waits, if there is one that is not paid."""
        invoice = plan["latest_invoice"]
        if plan.get("pending_update") and invoice["status"] == "open":
            with translate_errors("to give up a change"), suppress(stripe.InvalidRequestError):  # paid meanwhile
                self.api.v1.invoices.void_invoice(invoice["id"])

    def _changed(
        self, outcome: ChangeOutcome, plan: Object, observed: Observed, purchase: Purchase, cart: Cart
    ) -> Changed:
        return Changed(outcome=outcome, facts=tuple(self._facts(plan, observed, purchase, cart)))

    def _facts(self, plan: Object, observed: Observed, purchase: Purchase, cart: Cart | None = None) -> list[Fact]:
        """Return what *plan* says, and its newest invoice. If it was changed to *cart*, its price sells that offer."""
        return self._of_plan(plan, observed, sale_of(purchase), None, names=self._names(plan, purchase, cart))

    def _names(self, plan: Object, purchase: Purchase, cart: Cart | None) -> Mapping[str, str | None]:
        """Return which offer each price names: as we know, as *cart* says of its own price, or as the price says."""
        known: dict[str, str | None] = {price: named.offer_id for price, named in purchase.names.items()}
        if cart and cart.price:
            known[cart.price] = cart.offer_id
        if all(item["price"]["id"] in known for item in plan["items"]["data"]):
            return known
        with translate_errors("for a price"):
            return {**self.names_of(plan, sale_of(purchase), None), **known}

    def _preview(self, plan: Object, details: Any) -> tuple[Object, int]:
        """Return the invoice that the change in *details* would lead to, and Stripe's second of the answer."""
        asked: Any = {"subscription": plan["id"]} | ({"subscription_details": details} if details else {})
        answer = self.api.v1.invoices.create_preview(asked)
        return answer.to_dict(), fetched(answer).at + LATEST_S


def _key(key: str, plan: Object, cart: Cart) -> str:
    """Return the idempotency key of a change: another change under the caller's *key* is another request."""
    return "change-" + sha256(f"{plan['id']} {cart.offer_id} {cart.quantity} {key}".encode()).hexdigest()


def _replayed(answer: stripe.StripeObject) -> bool:
    """Whether Stripe answered with what it had stored under the idempotency key, which may be old."""
    response = answer.last_response
    return response is not None and response.headers.get("idempotent-replayed") == "true"


def _waits_for(plan: Object, item: Object) -> bool:
    """Whether the subscription waits for the payment of that same change of *item*: its invoice is open."""
    waiting = (plan.get("pending_update") or {}).get("subscription_items") or []
    found = next((one for one in waiting if one["id"] == item["id"]), None)
    if found is None or found["quantity"] != item["quantity"] or plan["latest_invoice"]["status"] != "open":
        return False
    return "price" not in item or id_of(found["price"]) == item["price"]
