"""A payment provider in memory: what it is asked to do, and what buyers, the shop's people and banks do there."""

import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from paidup.model.checkout import Checkout
from paidup.model.errors import BadSignature, BrokenJson, IdempotencyKeySpent
from paidup.model.fact import DisputeStatus, Fact, PaymentStatus, Refund, SubscriptionStatus
from paidup.model.offer import Kind
from paidup.model.provider import Known, Page, PageStatus, WebhookEvent
from paidup.model.purchase import Purchase

from tools.fakes.memory.charges import TAKEN, Charge
from tools.fakes.memory.events import NAME, ProviderEvents, Sheet
from tools.fakes.memory.plans import Plan, begun

__all__ = ["MemoryProvider", "Sheet"]

PAGE_LASTS_S = 86_400
SECRET = b"memory"


@dataclass(slots=True)
class MemoryProvider(ProviderEvents):
    """A `Provider` like any other. While it is *ill* it answers 500 to whoever asks for a page."""

    ill: bool = False
    _by_key: dict[str, str | None] = field(default_factory=dict)

    # -- what paidup asks it to do

    @property
    def name(self) -> str:
        """The provider's name."""
        return NAME

    def open_page(self, checkout: Checkout, *, customer_ref: str | None, email: str | None) -> Page:  # noqa: ARG002 - one customer
        """See `Provider.open_page`: the first answer under a key is replayed, an outage too."""
        if customer_ref is None:
            self._asked("customer")
        after = self._asked("open_page")
        key, now = checkout.idempotency_key, self.now()
        if key not in self._by_key:
            self._by_key[key] = None if self.ill else f"page_{key}"
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
        """See `Provider.close_page`."""
        after = self._asked("close_page")
        sheet = self._sheet(token)
        if sheet.status is PageStatus.OPEN:
            sheet.status = PageStatus.EXPIRED
        if after:
            after()
        return self.page(token)

    def refund(self, purchase: Purchase) -> list[Fact]:
        """See `Provider.refund`. Raises ProviderRefused while a bank has the money."""
        after = self._asked("give_back")
        found: list[Fact] = []
        if purchase.kind is Kind.SUBSCRIPTION:
            plan = self.plans[(purchase.provider_ref or "").removeprefix(f"{NAME}#sub_")]
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

    # -- its events

    def verify(self, body: bytes, headers: Mapping[str, str], *, now: int) -> WebhookEvent:  # noqa: ARG002 - no time stamps
        """See `Provider.verify`: the header `memory-signature` holds the HMAC-SHA256 of the body."""
        if not hmac.compare_digest(headers.get("memory-signature", ""), signature(body)):
            raise BadSignature("The memory-signature header does not match the body.")
        return self.read_event(body.decode())

    def read_event(self, body: str) -> WebhookEvent:
        """See `Provider.read_event`."""
        try:
            return self.event(int(json.loads(body)["event"]))
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise BrokenJson("The body is no event.") from error

    def facts_of(self, event: WebhookEvent, known: Known) -> list[Fact]:  # noqa: ARG002 - it knows whose everything is
        """See `Provider.facts_of`."""
        return self.told[int(json.loads(event.body)["event"])].facts()

    def changes(self, cursor: str | None, *, since: int) -> Iterator[WebhookEvent]:
        """See `Provider.changes`."""
        self._asked("changes")
        first = int(cursor.removeprefix("evt_")) + 1 if cursor else 0
        for n in range(first, len(self.told)):
            if cursor or self.told[n].at >= since:
                yield self.event(n)

    def event(self, n: int) -> WebhookEvent:
        """Return the *n*th event."""
        told = self.told[n]
        body = json.dumps({"event": n})
        return WebhookEvent(
            provider=NAME, event_id=f"evt_{n}", type=told.type, urgent=told.type == "page", relevant=True, body=body
        )

    # -- what buyers do

    def pay(self, token: str, *, delayed: bool) -> None:
        """Pay on a page, if it can still be paid; a delayed method decides later. Subscriptions are paid by card."""
        self.tick()
        sheet = self.sheets[token]
        if sheet.status is not PageStatus.OPEN:
            return
        sheet.status = PageStatus.COMPLETE
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


def signature(body: bytes) -> str:
    """Return what the provider sends as `memory-signature` with *body*."""
    return hmac.new(SECRET, body, "sha256").hexdigest()
