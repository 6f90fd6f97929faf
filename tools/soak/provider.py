"""A payment provider in memory: pages that open, expire, close and are paid, and what it says of them."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from paidup.model.checkout import Checkout
from paidup.model.fact import Entry, Fact, Payment, PaymentStatus, Price, Refund
from paidup.model.passes import Pass
from paidup.model.refusal import ProviderUnavailable
from paidup.outside.stripe_account import Page
from paidup.outside.stripe_http import DeadAnswer


@dataclass(slots=True, kw_only=True)
class Sheet:
    """A page of the provider's, and the money that was paid on it (minor units)."""

    token: str
    checkout: Checkout
    expires_at: int
    status: str = "open"
    payment: PaymentStatus | None = None
    refunded: int = 0

    @property
    def paid(self) -> int:
        """What was taken from the buyer."""
        return self.checkout.cart.amount if self.payment is PaymentStatus.PAID else 0


@dataclass(slots=True)
class MemoryProvider:
    """Stands where `Stripe` stands in a shop. `before` is called with every operation's name, and may raise."""

    now: Callable[[], int]
    before: Callable[[str], Callable[[], None] | None] = lambda _: None
    sheets: dict[str, Sheet] = field(default_factory=dict)
    told: list[list[Fact]] = field(default_factory=list)
    away: bool = False
    ill: bool = False
    _by_key: dict[str, str | None] = field(default_factory=dict)
    _said: int = 0

    # -- what paidup calls

    def customer(self, customer_id: str, _email: str | None, *, attempt: int) -> str:  # noqa: ARG002 - one key is enough here
        """Return the provider's customer."""
        self._asked("customer")
        return f"cus_{customer_id}"

    def open_page(self, checkout: Checkout, _customer: str) -> Page:
        """Return the page for *checkout*; the first answer under a key is replayed, an outage too."""
        after = self._asked("open_page")
        key = checkout.idempotency_key
        if key not in self._by_key:
            if self.ill:
                self._by_key[key] = None
            else:
                token = f"cs_{key}"
                expires_at = self.now() + 86_400
                self.sheets[token] = Sheet(token=token, checkout=checkout, expires_at=expires_at)
                self._by_key[key] = token
        if (token_of_key := self._by_key[key]) is None:
            raise DeadAnswer("memory", "it was asked to open a page (500)")
        if after:
            after()
        return self._page(self.sheets[token_of_key])

    def page(self, token: str) -> Page:
        """Return the page with what it tells."""
        self._asked("page")
        sheet = self._fresh(token)
        return replace(self._page(sheet), facts=tuple(self._facts(sheet, fetched=True)))

    def close_page(self, token: str) -> Page:
        """Close the page unless it was paid."""
        after = self._asked("close_page")
        sheet = self._fresh(token)
        if sheet.status == "open":
            sheet.status = "expired"
        if after:
            after()
        return self.page(token)

    def give_back(self, held: Pass) -> list[Fact]:
        """Give all that was paid back, once."""
        after = self._asked("give_back")
        (sheet,) = [one for one in self.sheets.values() if one.paid and f"pi_{one.token}" == _intent(held)]
        sheet.refunded = sheet.paid
        if after:
            after()
        self.told.append([self._refund(sheet, fetched=False)])
        return [self._refund(sheet, fetched=True)]

    def again(self, fact: Fact) -> Fact:
        """Return what is so now, from a later second."""
        self._asked("again")
        sheet = self.sheets[fact.source]
        found = [one for one in self._facts(sheet, fetched=True) if one.register == fact.register]
        entry = replace(found[0].entry, at=max(found[0].entry.at, fact.entry.at + 1))
        return replace(found[0], entry=entry)

    # -- what buyers and time do

    def pay(self, token: str, *, delayed: bool) -> None:
        """Pay on a page, if it can still be paid; a delayed method decides later."""
        sheet = self._fresh(token)
        if sheet.status != "open":
            return
        sheet.status = "complete"
        sheet.payment = PaymentStatus.PENDING if delayed else PaymentStatus.PAID
        self.told.append(self._facts(sheet, fetched=False))

    def decide(self, token: str, *, succeeds: bool) -> None:
        """Let a delayed payment succeed or fail."""
        sheet = self.sheets[token]
        if sheet.payment is PaymentStatus.PENDING:
            sheet.payment = PaymentStatus.PAID if succeeds else PaymentStatus.FAILED
            self.told.append(self._facts(sheet, fetched=False))

    def _fresh(self, token: str) -> Sheet:
        sheet = self.sheets[token]
        if sheet.status == "open" and self.now() >= sheet.expires_at:
            sheet.status = "expired"
            self.told.append(self._facts(sheet, fetched=False))
        return sheet

    def _asked(self, what: str) -> Callable[[], None] | None:
        if self.away:
            raise ProviderUnavailable("memory", f"it was asked to {what}")
        return self.before(what)

    def _page(self, sheet: Sheet) -> Page:
        return Page(
            token=sheet.token, url=f"https://pay/{sheet.token}", expires_at=sheet.expires_at, status=sheet.status
        )

    def _facts(self, sheet: Sheet, *, fetched: bool) -> list[Fact]:
        status = PaymentStatus.EXPIRED if sheet.status == "expired" else sheet.payment
        if status is None:
            return []
        cart = sheet.checkout.cart
        payment = Payment(
            status=status,
            amount=cart.amount,
            subtotal=cart.amount,
            currency=cart.currency,
            ref=f"pi_{sheet.token}" if sheet.payment else None,
        )
        found = [self._fact(sheet, payment, fetched=fetched)]
        return found + ([self._refund(sheet, fetched=fetched)] if sheet.refunded and fetched else [])

    def _refund(self, sheet: Sheet, *, fetched: bool) -> Fact:
        value = Refund(amount=sheet.paid, refunded=sheet.refunded, currency=sheet.checkout.cart.currency)
        return self._fact(sheet, value, fetched=fetched, about=f"pi_{sheet.token}")

    def _fact(self, sheet: Sheet, value: Payment | Refund, *, fetched: bool, **more: Any) -> Fact:
        self._said += 1
        checkout, cart = sheet.checkout, sheet.checkout.cart
        return Fact(
            fact_id=f"evt_{self._said}",
            provider="stripe",
            customer_id=checkout.customer_id,
            pass_id=checkout.checkout_id,
            offer_id=cart.offer_id,
            kind=cart.kind,
            valid_days=cart.valid_days,
            asked=Price(amount=cart.amount, currency=cart.currency),
            entry=Entry(at=self.now(), fetched=fetched, value=value),
            source=sheet.token,
            provider_ref=f"stripe#pi_{sheet.token}",
            **more,
        )


def _intent(held: Pass) -> str | None:
    return held.payment.ref if held.payment else None
