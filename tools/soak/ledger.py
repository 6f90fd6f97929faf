"""What a life must come to: where the money is, and what its customer may use, reckoned from the provider's side."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from paidup.model.booking import Booking, BookingStatus
from paidup.model.checkout import Checkout, CheckoutStatus
from paidup.model.fact import PaymentStatus, SubscriptionStatus
from paidup.model.offer import Kind
from paidup.model.provider import PageStatus
from paidup.model.purchase import Purchase, end_of_day

from tools.fakes.memory.charges import TAKEN, Charge
from tools.fakes.memory.plans import DAY_S, Plan
from tools.fakes.memory.provider import MemoryProvider, Sheet


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The provider's side and ours, at *now*, when nothing is left to do; *credit*: a booking that fell through is
    credited for the next one.
    """

    provider: MemoryProvider
    purchases: Mapping[str, Purchase]
    checkouts: list[Checkout]
    bookings: list[Booking]
    credit: bool
    grace_s: int
    now: int

    def balances(self) -> None:
        """All money that was taken is kept for what was granted, or has gone back, or a bank took it."""
        for sheet in self.provider.sheets.values():
            purchase = self.purchases.get(sheet.checkout.checkout_id)
            plan = self.provider.plans.get(sheet.token)
            if purchase is None:
                assert sheet.charge is None, sheet
                assert plan is None, plan
            elif plan:
                self._of_plan_balances(plan, purchase)
            elif sheet.charge and not self._keeps(purchase, sheet.charge):
                assert sheet.charge.kept == 0 or sheet.charge.dispute in TAKEN, (sheet, purchase)

    def _keeps(self, purchase: Purchase, charge: Charge) -> bool:
        return purchase.is_effective and purchase.payment is not None and purchase.payment.ref == charge.ref

    def _of_plan_balances(self, plan: Plan, purchase: Purchase) -> None:
        """What an earlier period was paid with stays; the newest goes back with the pass, and none follows."""
        if purchase.refund_decision:
            assert plan.status is SubscriptionStatus.CANCELED, (plan, purchase)
        for charge in plan.charges if not purchase.is_effective else ():
            assert charge.kept == 0 or charge.dispute in TAKEN or not self._owed(charge, plan), (plan, purchase)

    def _owed(self, charge: Charge, plan: Plan) -> bool:
        """Whether a payment must not have been kept: the newest period's, of a pass that grants nothing for it."""
        return charge is plan.newest_charge

    def one_payment_of_each_purchase_is_kept(self) -> None:
        """One payment of what was meant as one purchase stays; others go back for that, or for a booking's end."""
        for family in self._families():
            kept = [an_id for an_id in family if an_id in self.purchases and self.purchases[an_id].is_effective]
            assert len(kept) <= 1, kept
        for purchase in self.purchases.values():
            if purchase.refund_decision and purchase.kind is not Kind.LIVE_SESSION:
                earlier = purchase.refund_decision.paid_before
                assert earlier, purchase
                assert self.purchases[earlier].paid_at is not None, purchase

    def nobody_waits_for_ever(self) -> None:
        """No booking is open past its time or for nothing; the money of one that did not take place is back, or the
        pass is kept for the next one.
        """
        for booking in self.bookings:
            purchase = self.purchases[booking.purchase_id]
            sheet = next(
                one for one in self.provider.sheets.values() if one.checkout.checkout_id == booking.purchase_id
            )
            if booking.open:
                until = booking.accept_by if booking.accepted_at is None else booking.accepted_at + DAY_S
                assert self.now < until, booking
                assert purchase.is_effective, (booking, purchase)
                assert self._page_grants(sheet), (booking, sheet)
            elif booking.status is not BookingStatus.FINISHED and purchase.used_at is None:
                if not self.credit:
                    assert sheet.charge, (booking, sheet)
                    assert sheet.charge.kept == 0 or sheet.charge.dispute in TAKEN, (booking, purchase, sheet)
                elif booking.status is BookingStatus.EXPIRED:
                    assert purchase.refund_decision is None or purchase.refund_decision.paid_before, (booking, purchase)

    def no_page_is_left_open(self) -> None:
        """No checkout is being opened any more, each was given one page at most, and that of an ended one is closed."""
        pages = Counter(sheet.checkout.checkout_id for sheet in self.provider.sheets.values())
        assert not pages or max(pages.values()) == 1, pages
        for checkout in self.checkouts:
            assert checkout.status is not CheckoutStatus.OPENING, checkout
            if checkout.ended and checkout.token:
                assert self.provider.sheets[checkout.token].status is not PageStatus.OPEN, checkout

    def _families(self) -> list[set[str]]:
        """Return the checkouts that replaced or recovered one another, together."""
        groups: list[set[str]] = []
        for checkout in self.checkouts:
            named = (checkout.checkout_id, checkout.replaces, checkout.recovers, checkout.replaced_by)
            links = {an_id for an_id in named if an_id}
            touching = [group for group in groups if group & links]
            groups = [group for group in groups if not group & links]
            groups.append(links.union(*touching))
        return groups

    def usable(self) -> Iterator[str]:
        """Yield the passes that their customer should be able to use, by what the provider would say now."""
        for sheet in self.provider.sheets.values():
            purchase = self.purchases.get(sheet.checkout.checkout_id)
            decided = purchase is not None and (purchase.refund_decision or purchase.used_at)
            plan = self.provider.plans.get(sheet.token)
            if not decided and (self._plan_grants(plan) if plan else self._page_grants(sheet)):
                yield sheet.checkout.checkout_id

    def _page_grants(self, sheet: Sheet) -> bool:
        charge, days = sheet.charge, sheet.checkout.cart.valid_days
        if sheet.payment is not PaymentStatus.PAID or charge is None or charge.dispute in TAKEN:
            return False
        return charge.refunded < charge.amount and (days is None or self.now < end_of_day(charge.at + days * DAY_S))

    def _plan_grants(self, plan: Plan) -> bool:
        newest = plan.newest_charge
        if newest and (newest.dispute in TAKEN or newest.refunded >= newest.amount):
            return False
        if plan.status is SubscriptionStatus.PAST_DUE:
            return self.now < plan.period_start + self.grace_s
        return plan.running
