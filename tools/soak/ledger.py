"""What a life must come to: where the money is, and what its customer may use, reckoned from the provider's side."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from paidup.model.booking import Booking, BookingStatus
from paidup.model.checkout import Checkout, CheckoutStatus
from paidup.model.fact import InvoiceStatus, Line, PaymentStatus, Subscription, SubscriptionStatus
from paidup.model.offer import Kind
from paidup.model.policy import Policy
from paidup.model.provider import PageStatus
from paidup.model.purchase import Purchase, end_of_day
from paidup.model.settlement import NEVER_PAID

from tools.fakes.memory.bills import DAY_S, Bill, Reason
from tools.fakes.memory.charges import TAKEN, Charge
from tools.fakes.memory.plans import Plan
from tools.fakes.memory.provider import MemoryProvider, Sheet

Item = tuple[str, int, int]  # offer, quantity, until when (epoch seconds)
Granted = tuple[str, str, int | None, int]  # purchase, offer, until when, quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The provider's side and ours, at `now`, when nothing is left to do. `names` says which offer a price sells, and
    `used` how many uses hosts took of each purchase that counts them.
    """

    provider: MemoryProvider
    purchases: Mapping[str, Purchase]
    checkouts: list[Checkout]
    bookings: list[Booking]
    names: Mapping[str, str]
    used: Mapping[str, int]
    policy: Policy
    now: int

    # -- money

    def balances(self) -> None:
        """All money that was taken is kept for what was granted, or has gone back, or a bank took it, or a person is
        asked about it.
        """
        for sheet in self.provider.sheets.values():
            purchase = self.purchases.get(sheet.checkout.checkout_id)
            plans = self._plans(sheet)
            if purchase is None:
                assert sheet.charge is None, sheet
                assert not plans, plans
            elif plans:
                for plan in plans:
                    self._of_plan_balances(plan, purchase)
            elif sheet.charge and not self._keeps(purchase, sheet.charge):
                assert self._accounted_for(sheet.charge, purchase), (sheet, purchase)

    def _keeps(self, purchase: Purchase, charge: Charge) -> bool:
        return purchase.is_effective and purchase.payment is not None and purchase.payment.ref == charge.ref

    def _of_plan_balances(self, plan: Plan, purchase: Purchase) -> None:
        """What earlier periods were paid with stays. If the purchase was given back, so is the present period, and
        no payment follows. What went back in parts is before a person.
        """
        if purchase.refund_decision:
            assert plan.status is SubscriptionStatus.CANCELED, (plan, purchase)
            for bill in plan.bills:
                lately = any(line.start >= plan.period_start for line in bill.lines)
                assert not (lately and bill.charge) or self._accounted_for(bill.charge, purchase), (plan, purchase)
        for charge in plan.charges:
            of_now = charge.period is None or charge.period == plan.period_start
            in_part = charge.kept > 0 and charge.refunded + charge.taken > 0
            if of_now and in_part and not purchase.refund_decision and self._is_granted(plan):
                assert purchase.open_cases, (charge, purchase)

    def _is_granted(self, plan: Plan) -> bool:
        return plan.running and not self._is_taken_back(plan)

    def _accounted_for(self, charge: Charge, purchase: Purchase) -> bool:
        return charge.kept == 0 or charge.dispute in TAKEN or bool(purchase.open_cases)

    def one_payment_of_each_purchase_is_kept(self) -> None:
        """One payment of what was meant as one purchase stays; others go back for that, or for a booking's end, or
        because the first payment of a subscription failed.
        """
        for family in self._families():
            kept = [an_id for an_id in family if an_id in self.purchases and self.purchases[an_id].is_effective]
            assert len(kept) <= 1, kept
        for purchase in self.purchases.values():
            decision = purchase.refund_decision
            if decision and purchase.kind is not Kind.LIVE_SESSION and decision.why != NEVER_PAID:
                assert decision.paid_before, purchase
                assert self.purchases[decision.paid_before].paid_at is not None, purchase

    # -- bookings and pages

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
                if not self.policy.credit_unaccepted_bookings:
                    assert sheet.charge, (booking, sheet)
                    assert self._accounted_for(sheet.charge, purchase), (booking, purchase, sheet)
                elif booking.status is BookingStatus.EXPIRED:
                    assert purchase.refund_decision is None or purchase.refund_decision.paid_before, (booking, purchase)

    def no_page_is_left_open(self) -> None:
        """No checkout is being opened any more, each was given one page at most, and that of an ended one is closed."""
        pages = Counter(sheet.checkout.checkout_id for sheet in self.provider.sheets.values())
        assert not pages or max(pages.values()) == 1, pages
        for checkout in self.checkouts:
            assert checkout.seen(now=self.now) is not CheckoutStatus.OPENING, checkout
            if checkout.ended and checkout.token:
                assert self.provider.sheets[checkout.token].status is not PageStatus.OPEN, checkout

    def nobody_asks_for_ever(self) -> None:
        """No purchase is due at once, again and again."""
        for purchase in self.purchases.values():
            due_at = purchase.due_at(now=self.now, policy=self.policy)
            waits = purchase.refund_decision or due_at is None or due_at > self.now
            assert waits, (purchase, due_at, self.now)

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

    # -- access

    def uses_are_counted(self) -> None:
        """What hosts took, and nothing else, is taken."""
        for an_id, used in self.used.items():
            assert self.purchases[an_id].used == used, (self.purchases[an_id], used)

    def usable(self) -> set[Granted]:
        """Return what the customer should be able to use, by what the provider would say now: item by item."""
        found: dict[tuple[str, str, int | None], int] = defaultdict(int)
        for sheet in self.provider.sheets.values():
            an_id, plans = sheet.checkout.checkout_id, self._plans(sheet)
            purchase = self.purchases.get(an_id)
            if purchase and (purchase.refund_decision or purchase.used_at):
                continue
            if not plans and self._page_grants(sheet):
                cart = sheet.checkout.cart
                found[an_id, cart.offer_id, self._page_grants_until(sheet)] += cart.quantity
            for plan in plans:
                for offer_id, quantity, until in self._plan_grants(plan, sheet):
                    if self.now < until:
                        found[an_id, offer_id, until] += quantity
        return {(*what, quantity) for what, quantity in found.items()}

    def _plans(self, sheet: Sheet) -> list[Plan]:
        return [one for one in self.provider.plans.values() if one.checkout is sheet.checkout]

    def _page_grants(self, sheet: Sheet) -> bool:
        charge, cart, until = sheet.charge, sheet.checkout.cart, self._page_grants_until(sheet)
        if sheet.payment is PaymentStatus.PENDING:
            return self.policy.grant_pending_debits
        if sheet.payment is not PaymentStatus.PAID or charge is None or charge.taken + charge.refunded >= charge.amount:
            return False
        used_up = cart.uses is not None and self.used.get(sheet.checkout.checkout_id, 0) >= cart.uses * cart.quantity
        return not used_up and (until is None or self.now < until)

    def _page_grants_until(self, sheet: Sheet) -> int | None:
        charge, days = sheet.charge, sheet.checkout.cart.valid_days
        return end_of_day(charge.at + days * DAY_S) if charge and days is not None else None

    def _plan_grants(self, plan: Plan, sheet: Sheet) -> Iterator[Item]:
        """Yield the offers and quantities that a subscription was paid for, or is given on credit, and until when."""
        if self._is_taken_back(plan):
            return
        if plan.status is SubscriptionStatus.CANCELED and not plan.lapsed:
            return
        if plan.debit and plan is sheet.plan:
            yield from self._items(plan, 0) if self.policy.grant_pending_debits else ()
            return
        if plan.status is SubscriptionStatus.INCOMPLETE or sheet.payment is PaymentStatus.FAILED:
            return
        gift = plan.paused and self.policy.keep_paused_collection and plan.running
        held, trial = self._is_held(plan), plan.status is SubscriptionStatus.TRIALING
        if not plan.running or not (plan.newest.status is InvoiceStatus.PAID or gift or held):
            found = list(self._unpaid(plan))
            yield from self._or_given(plan, found) if plan.running else found
            return
        owed = [] if gift or trial or held else [one.price for one in plan.items if not self._is_paid(plan, one.price)]
        named = list(self._items(plan, 0 if plan.paused and not (gift or trial) else self.policy.grace_s, owed))
        if owed or any(one.price not in self.names for one in plan.items):
            before = self._unpaid(plan) if owed else self._lines(plan, 0)
            named += [one for one in before if one[0] not in {offer_id for offer_id, *_ in named}]
        yield from self._or_given(plan, named) if owed else named

    def _or_given(self, plan: Plan, found: Sequence[Item]) -> Iterator[Item]:
        """Yield *found*, and in the place of what lasts less long: what was given while collection was paused. Nobody
        knows of a pause that was never heard of.
        """
        paused = self.purchases[plan.checkout.checkout_id].paused.get(plan.ref)
        heard = paused.value if paused and self.policy.keep_paused_collection else None
        items = heard.items if isinstance(heard, Subscription) else ()
        ends = {self.names[one.price]: self._until(plan, one.period_end) for one in items if one.price in self.names}
        kept = [one for one in found if one[2] >= ends.get(one[0], 0)]
        yield from kept
        for one in items:
            offer_id = self.names.get(one.price)
            if offer_id and offer_id not in {held for held, *_ in kept}:
                yield offer_id, one.quantity, ends[offer_id]

    def _is_held(self, plan: Plan) -> bool:
        """Whether all that it has was paid: then an invoice that is not paid is for what it had meanwhile."""
        lines = {line.price: line for line in self._held(plan)}
        held = [(item, lines.get(item.price)) for item in plan.items]
        return all(line and line.quantity == item.quantity and line.end >= item.period_end for item, line in held)

    def _is_paid(self, plan: Plan, price: str) -> bool:
        """Whether the newest invoice that sold *price* is paid."""
        bill = self._sold_by(plan, price)
        return bill is None or bill.status is InvoiceStatus.PAID

    def _sold_by(self, plan: Plan, price: str) -> Bill | None:
        """Return the newest invoice that sold *price*."""
        sold = [one for one in plan.bills if any(line.price == price and not line.credit for line in one.lines)]
        return sold[-1] if sold else None

    def _unpaid(self, plan: Plan) -> Iterator[Item]:
        """Yield what was paid before. What is to be renewed goes on for the grace, if that is under way or failed."""
        owed = [bill for item in plan.items if (bill := self._sold_by(plan, item.price))]
        unpaid = [plan.newest, *owed] if plan.newest.status is InvoiceStatus.PAID else [plan.newest]
        asked_for = plan.running and not plan.paused and all(one.status is not InvoiceStatus.VOID for one in unpaid)
        after_a_trial = plan.trial_end is not None and all(self._is_tried(plan, line) for line in self._held(plan))
        if after_a_trial or not list(self._paid(plan)):
            begins = asked_for and plan.status is SubscriptionStatus.ACTIVE and plan.newest.status is InvoiceStatus.OPEN
            yield from self._items(plan, until=plan.period_start + self.policy.grace_s) if begins else ()
            return
        yield from self._lines(plan, self.policy.grace_s if asked_for else 0)

    def _items(self, plan: Plan, grace_s: int = 0, owed: Sequence[str] = (), until: float = inf) -> Iterator[Item]:
        """Yield what the items sell, until *grace_s* seconds after their period, and not after *until*."""
        for item in plan.items:
            if item.price in self.names and item.price not in owed:
                end = self._until(plan, item.period_end + grace_s)
                yield self.names[item.price], item.quantity, int(min(end, until))

    def _lines(self, plan: Plan, grace_s: int) -> Iterator[Item]:
        """Yield what was paid for, until its end: *grace_s* seconds later, if the next period has begun."""
        renewals = [bill.period or 0 for bill in plan.bills if bill.reason is Reason.RENEWAL]
        for line in self._held(plan):
            is_renewed = any(begun >= line.end for begun in renewals) and not self._is_tried(plan, line)
            grace_of_it = grace_s if is_renewed else 0
            if line.price in self.names:
                yield self.names[line.price], line.quantity, self._until(plan, line.end + grace_of_it)

    def _held(self, plan: Plan) -> Iterable[Line]:
        """Return what was paid for and not given back for a change: payment by payment, as they were made. What was
        over when the newest paid period began counts no more.
        """
        held: dict[str, Line] = {}
        since = 0
        for bill in sorted(self._paid(plan), key=lambda one: (one.made_at, one.ref)):
            bought = [line for line in bill.lines if not line.credit]
            if all(line.price in self.names for line in bought):
                for line in bill.lines:
                    held.pop(line.price, None) if line.credit else None
            held |= {line.price: line for line in bought}
            since = max(since, *(line.start for line in bought if not line.prorated), 0)
        return [line for line in held.values() if line.end > since]

    @staticmethod
    def _is_tried(plan: Plan, line: Line) -> bool:
        return plan.trial_end is not None and line.end <= plan.trial_end

    def _until(self, plan: Plan, second: int) -> int:
        return min(second, plan.period_end) if plan.cancels else second

    def _paid(self, plan: Plan) -> Iterable[Bill]:
        return [bill for bill in plan.bills if bill.status is InvoiceStatus.PAID]

    def _is_taken_back(self, plan: Plan) -> bool:
        """Whether a payment for the present period, or for one that still counts, went back as a whole, by refunds and
        by a bank.
        """
        since = max((bill.period or 0 for bill in self._paid(plan)), default=0)
        periods = {plan.period_start, *(line.start for line in self._held(plan) if line.end > since)}
        charges = [bill.charge for bill in self._paid(plan) if bill.charge and bill.period in periods]
        return any(one.refunded + one.taken >= one.amount for one in charges)
