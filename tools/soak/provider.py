"""A payment provider in memory: what it is asked to do, and what buyers, the shop's people and banks do there."""

from dataclasses import dataclass, field

from paidup.model.checkout import Checkout
from paidup.model.fact import DisputeStatus, Fact, PaymentStatus, Refund, SubscriptionStatus
from paidup.model.offer import Kind
from paidup.model.purchase import Purchase
from paidup.outside.stripe.client import IdempotencyKeySpent
from paidup.outside.stripe.provider import Page

from tools.soak.charges import TAKEN, Charge
from tools.soak.events import ProviderEvents, Sheet
from tools.soak.plans import Plan, begun

__all__ = ["MemoryProvider", "Sheet"]

PAGE_LASTS_S = 86_400


@dataclass(slots=True)
class MemoryProvider(ProviderEvents):
    """Stands where `Stripe` stands in a shop. While it is *ill* it answers 500 to whoever asks for a page."""

    ill: bool = False
    _by_key: dict[str, str | None] = field(default_factory=dict)

    # -- what paidup asks it to do

    def customer(self, customer_id: str, _email: str | None, *, attempt: int) -> str:  # noqa: ARG002 - one key is enough here
        """Return the provider's customer."""
        self._asked("customer")
        return f"cus_{customer_id}"

    def open_page(self, checkout: Checkout, _customer: str) -> Page:
        """Return the page for *checkout*; the first answer under a key is replayed, an outage too."""
        after = self._asked("open_page")
        key, now = checkout.idempotency_key, self.now()
        if key not in self._by_key:
            self._by_key[key] = None if self.ill else f"cs_{key}"
            if token := self._by_key[key]:
                expires_at = now + PAGE_LASTS_S
                self.sheets[token] = Sheet(token=token, checkout=checkout, created_at=now, expires_at=expires_at)
        if (token := self._by_key[key]) is None:
            self.failed = True
            raise IdempotencyKeySpent("memory", "it was asked to open a page (500)")
        if after:
            after()
        return self._page(self.sheets[token])

    def close_page(self, token: str) -> Page:
        """Close the page unless it was paid."""
        after = self._asked("close_page")
        sheet = self.sheets[token]
        if sheet.status == "open":
            sheet.status = "expired"
        if after:
            after()
        return self.page(token)

    def refund(self, purchase: Purchase) -> list[Fact]:
        """Give all that is left of the newest payment back, once for each key, and end the subscription that it was
        for; raises ProviderRefused while a bank has the money.
        """
        after = self._asked("give_back")
        found: list[Fact] = []
        if purchase.kind is Kind.SUBSCRIPTION:
            plan = self.plans[(purchase.provider_ref or "").removeprefix("stripe#sub_")]
            if plan.status is not SubscriptionStatus.CANCELED:
                self.cancel(plan)
            found.append(self._of_plan(plan))
            charge = plan.newest_charge
            if charge is None:
                currency = plan.checkout.cart.currency
                nothing = Refund(
                    amount=0, refunded=0, currency=currency, invoice=plan.invoice, period=plan.period_start
                )
                found.append(self._fact(plan.checkout, nothing, plan.ref, None, about=plan.ref))
        else:
            charge = self._charge(purchase.payment.ref or "") if purchase.payment else None
        if charge:
            self.failed = self.failed or charge.dispute in TAKEN
            if charge.refund(purchase.refund_key):
                self._tell_charge(charge, charge.refund_value())
            found.append(self._of_charge(charge, charge.refund_value()))
        if after:
            after()
        return found

    # -- what buyers do

    def pay(self, token: str, *, delayed: bool) -> None:
        """Pay on a page, if it can still be paid; a delayed method decides later. Subscriptions are paid by card."""
        self.tick()
        sheet = self.sheets[token]
        if sheet.status != "open":
            return
        sheet.status = "complete"
        if sheet.checkout.cart.kind is Kind.SUBSCRIPTION:
            sheet.payment = PaymentStatus.PAID
            plan = self.plans[token] = begun(f"sub_{token}", token, sheet.checkout, self.now())
            self._tell_plan(plan)
            self._tell_page(sheet)
            return
        sheet.payment, sheet.delayed = (PaymentStatus.PENDING if delayed else PaymentStatus.PAID), delayed
        self._take(sheet)
        self._tell_page(sheet)

    def decide(self, token: str, *, succeeds: bool) -> None:
        """Let a delayed payment succeed or fail."""
        sheet = self.sheets[token]
        if sheet.payment is PaymentStatus.PENDING:
            sheet.payment = PaymentStatus.PAID if succeeds else PaymentStatus.FAILED
            self._take(sheet)
            self._tell_page(sheet)

    def cancel(self, plan: Plan) -> None:
        """End a subscription at once."""
        plan.end(SubscriptionStatus.CANCELED, self.now())
        self._tell_plan(plan)

    def cancel_at_period_end(self, plan: Plan, *, cancels: bool) -> None:
        """Let a subscription end with its period, or go on after all."""
        plan.cancel_at = plan.period_end if cancels else None
        self._tell_plan(plan)

    def settle_debt(self, plan: Plan, outcome: SubscriptionStatus) -> None:
        """Let a subscription that is past due be paid after all (active), or given up (unpaid, or canceled)."""
        if outcome is SubscriptionStatus.ACTIVE:
            plan.pay(self.now())
        else:
            plan.end(outcome, self.now())
        self._tell_plan(plan)

    # -- what the shop's people and banks do

    def refund_by_hand(self, charge: Charge, amount: int | None) -> None:
        """Give *amount*, or all that is left, back by hand, unless a bank has it."""
        self._said += 1
        if charge.dispute not in TAKEN and charge.refund(f"re_{self._said}", amount):
            self._tell_charge(charge, charge.refund_value())

    def fail_a_refund(self, charge: Charge) -> bool:
        """Let the newest refund come back to the shop, and return whether there was one."""
        failed = charge.fail_last_refund()
        if failed:
            self.failed = True
            self._tell_charge(charge, None)
        return failed

    def dispute(self, charge: Charge, status: DisputeStatus) -> None:
        """Let a bank take what is left of a payment, and keep it, or give it back."""
        if status is DisputeStatus.OPEN:
            charge.disputed = charge.amount - charge.refunded
        charge.dispute = status
        self._tell_charge(charge, charge.dispute_value())

    def _take(self, sheet: Sheet) -> None:
        if sheet.payment is PaymentStatus.PAID:
            cart, ref = sheet.checkout.cart, f"pi_{sheet.token}"
            sheet.charge = Charge(ref=ref, amount=cart.amount, currency=cart.currency, at=self.now())
