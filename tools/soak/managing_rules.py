"""What a customer does with a subscription in the shop itself: change it, cancel it, resume it."""

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from paidup.flows import manage
from paidup.model.fact import SubscriptionStatus
from paidup.model.purchase import Purchase

from tools.fakes.memory.bills import Reason
from tools.fakes.memory.plans import Plan
from tools.soak.customer_rules import SUBSCRIPTIONS, picks
from tools.soak.subscription_rules import SubscriptionRules


class ManagingRules(SubscriptionRules):
    """A customer who needs nobody to change or cancel what they subscribed to."""

    @precondition(lambda self: self.subscribed())
    @rule(
        pick=picks,
        to=st.sampled_from([one.offer_id for one in SUBSCRIPTIONS]),
        quantity=st.sampled_from([None, None, 1, 2, 3]),
        declines=st.booleans(),
    )
    def change_to(self, pick: int, to: str, quantity: int | None, *, declines: bool) -> None:
        """Change to another offer or quantity: made and paid once, or not made at all."""
        purchase = self.picked(self.subscribed(), pick)
        plan, wanted = self._managed(purchase), manage.Wanted(offer_id=to, quantity=quantity)
        plan.declines, bills, changes = declines, len(plan.bills), 0
        for _ in range(2):  # the second time, it is there already
            before = self._sold(plan)
            made = self.attempt(
                lambda: manage.change(self.who, purchase.purchase_id, wanted, self.services, key=None, now=self.now)
            )
            if self._runs_instead(purchase, plan):
                self.meet("changed in the shop: another of its subscriptions")
                return
            assert not made or any(one.offer_id == to and quantity in (None, one.quantity) for one in plan.items), plan
            assert made or self.interrupted or self._sold(plan) == before, plan
            changes += self._sold(plan) != before
        billed = [bill for bill in plan.bills[bills:] if bill.reason is Reason.CHANGE]
        # Without a quantity, it stays as it is known here. While a change of seats is not paid, the provider may have
        # another, so that the second call may change it once more.
        assert len(billed) <= min(changes, 1), billed
        assert changes <= (2 if quantity is None else 1), plan
        self.meet("plan changed in the shop" if changes else "change in the shop refused or not needed")

    @precondition(lambda self: self.subscribed())
    @rule(pick=picks, at_once=st.booleans())
    def cancel_a_subscription(self, pick: int, *, at_once: bool) -> None:
        """Cancel: with the period, or now if the shop allows that."""
        purchase = self.picked(self.subscribed(), pick)
        plan = self._managed(purchase)
        done = self.attempt(
            lambda: manage.cancel(self.who, purchase.purchase_id, self.services, at_once=at_once, now=self.now)
        )
        if done:
            ended = plan.status is SubscriptionStatus.CANCELED
            assert ended or (plan.cancels and not at_once), plan
            assert not at_once or self.services.policy.cancel_now, "ended against the shop's policy"
            self.meet(f"cancelled in the shop, {'now' if at_once else 'with the period'}")

    @precondition(lambda self: self.subscribed())
    @rule(pick=picks)
    def resume_a_subscription(self, pick: int) -> None:
        """Take a cancellation back."""
        purchase = self.picked(self.subscribed(), pick)
        plan = self._managed(purchase)
        cancelled = plan.cancels
        if self.attempt(lambda: manage.resume(self.who, purchase.purchase_id, self.services, now=self.now)):
            assert not plan.cancels or plan.status is SubscriptionStatus.CANCELED, plan  # then another one runs
            self.meet("cancellation taken back in the shop" if cancelled else "resumed, though nothing was cancelled")

    # -- how it is done

    def subscribed(self) -> list[Purchase]:
        """Return the customer's purchases whose subscription the shop knows."""
        return [one for one in self.all_of(Purchase, self.who) if one.subscription]

    def _managed(self, purchase: Purchase) -> Plan:
        """Return the subscription that a change of *purchase* is about."""
        known = purchase.subscription
        assert known, purchase
        return self.provider.plans[known.ref]

    def _runs_instead(self, purchase: Purchase, plan: Plan) -> bool:
        """Whether *plan* has ended, and the shop knows of another one of *purchase* that it acts on now."""
        known = self.services.table.purchase(self.who, purchase.purchase_id)
        runs = known.subscription if known else None
        return plan.status is SubscriptionStatus.CANCELED and runs is not None and runs.ref != plan.ref

    @staticmethod
    def _sold(plan: Plan) -> list[tuple[str, int]]:
        return [(one.price, one.quantity) for one in plan.items]
