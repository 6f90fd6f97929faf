"""What buyers, the shop's people and banks do at the provider in memory."""

from collections.abc import Sequence
from dataclasses import dataclass

from paidup.model.fact import DisputeStatus, PaymentStatus, SubscriptionStatus
from paidup.model.offer import Kind
from paidup.model.provider import PageStatus

from tools.fakes.memory.bills import DAY_S, Tariff
from tools.fakes.memory.charges import TAKEN, Charge
from tools.fakes.memory.events import ProviderEvents
from tools.fakes.memory.facts import Sheet
from tools.fakes.memory.plans import Plan, begun

DEBIT_LASTS_S = 5 * DAY_S


@dataclass(slots=True)
class Buyers(ProviderEvents):
    """What people do there. A subscription's page begins one at once, even if its first payment takes days."""

    # -- on pages

    def tick(self) -> None:
        """Let happen what time has brought about. A delayed payment arrives within five days."""
        for sheet in self.sheets.values():
            if sheet.payment is PaymentStatus.PENDING and self.now() >= (sheet.paid_on or 0) + DEBIT_LASTS_S:
                self.decide(sheet.token, succeeds=True)
        ProviderEvents.tick(self)

    def pay(self, token: str, *, delayed: bool, incomplete: bool = False) -> None:
        """Pay on a page, if it can still be paid. A *delayed* method decides later. A subscription is `active`
        meanwhile, or *incomplete*.
        """
        self.tick()
        sheet = self.sheets[token]
        if sheet.status is not PageStatus.OPEN:
            return
        sheet.status, sheet.paid_on = PageStatus.COMPLETE, self.now()
        sheet.delayed = delayed and not sheet.checkout.cart.trial_days
        sheet.payment = PaymentStatus.PENDING if sheet.delayed else PaymentStatus.PAID
        if sheet.checkout.cart.kind is Kind.SUBSCRIPTION:
            plan = begun(f"sub_{token}", sheet.checkout, self.now(), debit=sheet.delayed)
            if plan.debit and incomplete:
                plan.status = SubscriptionStatus.INCOMPLETE
            sheet.plan = self.plans[plan.ref] = plan
            self._tell_plan(plan)
        self._take(sheet)
        self._tell_page(sheet)

    def decide(self, token: str, *, succeeds: bool) -> None:
        """Let a delayed payment succeed or fail."""
        sheet = self.sheets[token]
        if sheet.payment is not PaymentStatus.PENDING:
            return
        if sheet.plan and not sheet.plan.debit:  # somebody ended the subscription: the bank takes nothing any more
            succeeds = False
        sheet.payment = PaymentStatus.PAID if succeeds else PaymentStatus.FAILED
        if sheet.plan and sheet.plan.debit:
            if succeeds:
                sheet.plan.pay(self.now())
            else:
                sheet.plan.bounce()
            self._tell_plan(sheet.plan)
        self._take(sheet)
        self._tell_page(sheet)

    def _take(self, sheet: Sheet) -> None:
        if sheet.payment is PaymentStatus.PAID and sheet.plan is None:
            cart, ref = sheet.checkout.cart, f"pi_{sheet.token}"
            sheet.charge = Charge(ref=ref, amount=cart.amount, currency=cart.currency, at=self.now())

    # -- with subscriptions

    def make_anew(self, plan: Plan) -> Plan:
        """Begin a subscription for what *plan* was sold for, under the same metadata, and let it be paid at once."""
        sold = [one for one in self.plans.values() if one.checkout is plan.checkout]
        another = begun(f"{sold[0].ref}_{len(sold)}", plan.checkout, self.now())
        self.plans[another.ref] = another
        self._tell_plan(another)
        return another

    def change(self, plan: Plan, wanted: Sequence[tuple[Tariff, int]], *, declines: bool) -> None:
        """Change what a subscription has: paid at once, or, if the card *declines*, billed for it and past due."""
        plan.declines = declines
        plan.change(wanted, self.now())
        self._tell_plan(plan)

    def pause(self, plan: Plan, *, paused: bool) -> None:
        """Pause or resume the collection for a subscription."""
        plan.paused = paused
        self._tell_plan(plan)

    def cancel(self, plan: Plan) -> None:
        """End a subscription at once."""
        plan.end(SubscriptionStatus.CANCELED, self.now())
        self._tell_plan(plan)

    def cancel_at_period_end(self, plan: Plan, *, cancels: bool) -> None:
        """Let a subscription end with its period, or go on after all."""
        plan.cancels = cancels
        self._tell_plan(plan)

    def settle_debt(self, plan: Plan, outcome: str) -> None:
        """Let a subscription that is past due be paid after all, given up (unpaid, or canceled), or let nobody ask for
        the money any more (void).
        """
        if outcome == "paid":
            plan.pay(self.now())
        elif outcome == "void":
            plan.void()
        else:
            plan.end(SubscriptionStatus(outcome), self.now(), lapsed=True)
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

    def dispute(self, charge: Charge, status: DisputeStatus, *, part: bool = False) -> None:
        """Let a bank take what is left of a payment, or a *part* of it, and keep that, or give it back."""
        if status is DisputeStatus.OPEN:
            left = charge.amount - charge.refunded
            charge.disputed = left - left // 3 if part else left
        charge.dispute = status
        self._tell_charge(charge, charge.dispute_value())
