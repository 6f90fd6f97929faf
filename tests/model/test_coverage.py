"""What a subscription grants: what was paid for it, no more and no less."""

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
from paidup.model.access import PurchaseStatus
from paidup.model.fact import (
    Dispute,
    DisputeStatus,
    Fact,
    InvoiceStatus,
    Line,
    Payment,
    PaymentStatus,
    Price,
    Refund,
    SubscriptionStatus,
)
from paidup.model.offer import Kind
from paidup.model.policy import DAY_S, Policy
from paidup.model.purchase import Purchase

from .test_purchase import T0, fact, invoice, item, line, payment, plan, told

MONTH = 30 * DAY_S
GRACE = Policy().grace_s
PAID = fact(invoice(), about="in_1")
ACTIVE = fact(plan(invoice="in_1"), about="sub_1")


def bill(an_id: str, status: InvoiceStatus, *lines: Line, at: int = T0) -> Fact:
    return fact(invoice(status, *lines, made_at=at), at, about=an_id)


def state(purchase: Purchase, now: int, **policy: Any) -> PurchaseStatus:
    return purchase.status_at(now=now, policy=Policy(**policy)).state


def granted(purchase: Purchase, now: int, **policy: Any) -> dict[str, int]:
    """Return what is granted at *now*: how many of each offer."""
    given = purchase.access(now=now, policy=Policy(**policy))
    return {
        offer_id: sum(one.quantity for one in given if one.offer_id == offer_id)
        for offer_id in sorted({one.offer_id for one in given})
    }


class TestItems:
    def test_an_add_on_is_granted_beside_the_plan_in_any_order(self) -> None:
        both = plan(SubscriptionStatus.ACTIVE, item(), item("locker"), invoice="in_1")
        turned = replace(both, items=both.items[::-1])

        for one in (both, turned):
            purchase = told(PAID, ACTIVE, fact(one, T0 + 5, about="sub_1"))
            assert granted(purchase, T0 + 6) == {"ten_classes": 1, "locker": 1}
            assert purchase.sells == "ten_classes"

    def test_seats_are_granted_as_many_as_there_are(self) -> None:
        five, one = (plan(SubscriptionStatus.ACTIVE, item(quantity=n), invoice="in_1") for n in (5, 1))

        assert granted(told(PAID, fact(five, about="sub_1")), T0 + 1) == {"ten_classes": 5}
        assert granted(told(PAID, fact(five, about="sub_1"), fact(one, T0 + 9, about="sub_1")), T0 + 10) == {
            "ten_classes": 1
        }

    def test_what_several_items_hold_of_one_offer_adds_up(self) -> None:
        old, new = item(quantity=5, price="price_old"), item(quantity=3, price="price_new")
        purchase = told(PAID, fact(plan(SubscriptionStatus.ACTIVE, old, new, invoice="in_1"), about="sub_1"))

        assert granted(purchase, T0 + 1) == {"ten_classes": 8}

    def test_each_item_lasts_for_its_own_period(self) -> None:
        long = item("yearly", period_end=T0 + 12 * MONTH)
        purchase = told(
            PAID, fact(plan(SubscriptionStatus.ACTIVE, item("locker"), long, invoice="in_1"), about="sub_1")
        )

        assert granted(purchase, T0 + MONTH + GRACE) == {"yearly": 1}

    def test_a_price_that_names_no_offer_counts_as_nothing_and_what_was_paid_lasts_to_its_end(self) -> None:
        purchase = told(
            PAID, ACTIVE, fact(plan(SubscriptionStatus.ACTIVE, item(None), invoice="in_1"), T0 + 5, about="sub_1")
        )

        assert purchase.nameless
        assert granted(purchase, T0 + MONTH - 1) == {"ten_classes": 1}
        assert granted(purchase, T0 + MONTH) == {}

    def test_a_paid_change_to_a_price_without_name_does_not_take_what_was_paid_before(self) -> None:
        changed = bill("in_2", InvoiceStatus.PAID, line(credit=True), line("None"), at=T0 + 5)
        purchase = told(
            PAID,
            ACTIVE,
            changed,
            fact(plan(SubscriptionStatus.ACTIVE, item(None), invoice="in_2"), T0 + 5, about="sub_1"),
        )

        assert granted(purchase, T0 + MONTH - 1) == {"ten_classes": 1}
        assert granted(purchase, T0 + MONTH) == {}


class TestChanges:
    UPGRADED = plan(
        SubscriptionStatus.PAST_DUE, item("yearly", period_start=T0 + 9, period_end=T0 + 12 * MONTH), invoice="in_2"
    )

    def test_a_declined_upgrade_leaves_the_month_that_was_paid(self) -> None:
        lines = line(credit=True, start=T0 + 9), line("yearly", start=T0 + 9, end=T0 + 12 * MONTH)
        purchase = told(
            PAID,
            ACTIVE,
            bill("in_2", InvoiceStatus.OPEN, *lines, at=T0 + 9),
            fact(self.UPGRADED, T0 + 9, about="sub_1"),
        )

        assert granted(purchase, T0 + 10) == {"ten_classes": 1}
        assert granted(purchase, T0 + MONTH - 1) == {"ten_classes": 1}
        assert state(purchase, T0 + MONTH) is PurchaseStatus.UNPAID

    @pytest.mark.parametrize("ended", [SubscriptionStatus.UNPAID, SubscriptionStatus.CANCELED])
    def test_and_so_it_is_if_the_provider_gives_up_collecting_for_it(self, ended: SubscriptionStatus) -> None:
        given_up = replace(self.UPGRADED, status=ended, lapsed=True)
        purchase = told(PAID, ACTIVE, fact(given_up, T0 + 20, about="sub_1"))

        assert granted(purchase, T0 + MONTH - 1) == {"ten_classes": 1}
        assert granted(purchase, T0 + MONTH) == {}

    def test_a_paid_upgrade_is_granted_whichever_word_comes_first(self) -> None:
        active = fact(replace(self.UPGRADED, status=SubscriptionStatus.ACTIVE), T0 + 9, about="sub_1")
        lines = line(credit=True, start=T0 + 9), line("yearly", start=T0 + 9, end=T0 + 12 * MONTH)
        paid = bill("in_2", InvoiceStatus.PAID, *lines, at=T0 + 9)

        assert granted(told(PAID, ACTIVE, active), T0 + 10) == {"ten_classes": 1}
        assert granted(told(PAID, ACTIVE, active, paid), T0 + 10) == {"yearly": 1}
        assert granted(told(PAID, ACTIVE, paid, active), T0 + 10) == {"yearly": 1}

    def test_a_declined_change_is_not_paid_by_a_later_one_that_costs_nothing(self) -> None:
        lines = line(credit=True, start=T0 + 9), line("yearly", start=T0 + 9, end=T0 + 12 * MONTH, quantity=2)
        declined = bill("in_2", InvoiceStatus.OPEN, *lines, at=T0 + 9)
        dropped = bill("in_3", InvoiceStatus.PAID, line("locker", credit=True, start=T0 + 20), at=T0 + 20)
        active = replace(self.UPGRADED, status=SubscriptionStatus.ACTIVE, invoice="in_3")
        purchase = told(PAID, ACTIVE, declined, dropped, fact(active, T0 + 20, about="sub_1"))

        assert granted(purchase, T0 + MONTH - 1) == {"ten_classes": 1}
        assert granted(purchase, T0 + MONTH) == {}
        assert granted(purchase.merge(bill("in_2", InvoiceStatus.PAID, *lines, at=T0 + 9)), T0 + MONTH) == {"yearly": 1}

    def test_a_renewal_that_is_late_keeps_its_grace_when_a_change_costs_nothing(self) -> None:
        late = bill("in_2", InvoiceStatus.OPEN, line(start=T0 + MONTH, end=T0 + 2 * MONTH), at=T0 + MONTH)
        dropped = bill("in_3", InvoiceStatus.PAID, line("locker", credit=True, end=T0 + 2 * MONTH), at=T0 + MONTH + 9)
        active = plan(SubscriptionStatus.ACTIVE, TestRenewals.NEXT, invoice="in_3")
        purchase = told(PAID, ACTIVE, late, dropped, fact(active, T0 + MONTH + 9, about="sub_1"))

        assert granted(purchase, T0 + MONTH + GRACE - 1) == {"ten_classes": 1}
        assert granted(purchase, T0 + MONTH + GRACE) == {}

    def test_the_payment_of_the_page_pays_the_first_invoice_whatever_that_said_before(self) -> None:
        paid = fact(replace(payment(), invoice="in_1"), kind=Kind.SUBSCRIPTION)
        purchase = told(paid, ACTIVE, bill("in_1", InvoiceStatus.OPEN))

        assert granted(purchase, T0 + MONTH) == {"ten_classes": 1}

    def test_what_a_change_gave_back_never_comes_back_when_the_change_is_over(self) -> None:
        year = bill("in_1", InvoiceStatus.PAID, line("yearly", end=T0 + 12 * MONTH))
        back = line("yearly", credit=True, start=T0 + 9, end=T0 + 12 * MONTH)
        monthly = bill("in_2", InvoiceStatus.PAID, back, line(start=T0 + 9, end=T0 + 9 + MONTH), at=T0 + 9)
        renewed = line(start=T0 + 9 + MONTH, end=T0 + 9 + 2 * MONTH)
        late = item(period_start=T0 + 9 + 2 * MONTH, period_end=T0 + 9 + 3 * MONTH)
        failing = plan(SubscriptionStatus.PAST_DUE, late, invoice="in_4")
        before = plan(SubscriptionStatus.ACTIVE, item("yearly", period_end=T0 + 12 * MONTH), invoice="in_1")
        purchase = told(
            fact(before, about="sub_1"),
            *(year, monthly, bill("in_3", InvoiceStatus.PAID, renewed, at=T0 + 9 + MONTH)),
            fact(failing, T0 + 9 + 2 * MONTH, about="sub_1"),
        )

        assert granted(purchase, T0 + 9 + 2 * MONTH) == {"ten_classes": 1}
        assert granted(purchase, T0 + 9 + 2 * MONTH + GRACE) == {}

    def test_two_changes_in_one_second_count_in_the_order_of_their_invoices(self) -> None:
        there = bill("in_2", InvoiceStatus.PAID, line(credit=True), line("yearly"))
        and_back = bill("in_3", InvoiceStatus.PAID, line("yearly", credit=True), line(quantity=2))
        declined = plan(SubscriptionStatus.PAST_DUE, item("yearly"), invoice="in_4")

        for order in permutations((PAID, there, and_back)):
            purchase = told(ACTIVE, *order, fact(declined, T0 + 1, about="sub_1"))
            assert granted(purchase, T0 + 2) == {"ten_classes": 2}

    def test_a_price_that_only_an_invoice_names_is_known(self) -> None:
        changed = bill(
            "in_2", InvoiceStatus.PAID, line(credit=True), replace(line("yearly"), offer_id="yearly"), at=T0 + 5
        )
        declined = plan(SubscriptionStatus.PAST_DUE, item("locker"), invoice="in_3")

        assert granted(told(PAID, ACTIVE, changed, fact(declined, T0 + 9, about="sub_1")), T0 + 9) == {"yearly": 1}

    def test_a_subscription_that_is_cancelled_at_once_ends_at_once(self) -> None:
        purchase = told(PAID, ACTIVE, fact(plan(SubscriptionStatus.CANCELED, invoice="in_1"), T0 + 9, about="sub_1"))

        assert state(purchase, T0 + 9) is PurchaseStatus.CANCELED


class TestRenewals:
    NEXT = item(period_start=T0 + MONTH, period_end=T0 + 2 * MONTH)
    DRAFT = fact(plan(SubscriptionStatus.ACTIVE, NEXT, invoice="in_2"), T0 + MONTH, about="sub_1")

    def test_a_paid_invoice_is_never_open_again_whenever_that_was_said(self) -> None:
        paid = bill("in_1", InvoiceStatus.PAID)
        opened = bill("in_1", InvoiceStatus.OPEN, at=T0)

        for order in permutations((paid, opened, replace(opened, entry=replace(opened.entry, at=T0 + 60)))):
            assert told(*order).invoices["in_1"].status is InvoiceStatus.PAID
        assert not told(paid).ties_with(opened)

    def test_the_first_invoice_says_what_was_paid_until_the_page_does(self) -> None:
        cheap = fact(invoice(first=True, subtotal=1), about="in_1", asked=Price(amount=12_000, currency="eur"))
        renewed = bill("in_2", InvoiceStatus.PAID, line(start=T0 + MONTH, end=T0 + 2 * MONTH), at=T0 + MONTH)
        purchase = told(cheap, ACTIVE, renewed)

        assert state(purchase, T0 + MONTH) is PurchaseStatus.QUARANTINED

    def test_the_hour_before_a_renewal_is_charged_moves_nothing(self) -> None:
        before, after = told(PAID, ACTIVE), told(PAID, ACTIVE, self.DRAFT)

        assert before.access(now=T0 + MONTH, policy=Policy()) == after.access(now=T0 + MONTH, policy=Policy())

    def test_a_renewal_that_is_paid_lasts_for_its_period(self) -> None:
        paid = bill("in_2", InvoiceStatus.PAID, line(start=T0 + MONTH, end=T0 + 2 * MONTH), at=T0 + MONTH)
        purchase = told(PAID, ACTIVE, self.DRAFT, paid)

        assert granted(purchase, T0 + 2 * MONTH) == {"ten_classes": 1}
        assert list(purchase.invoices) == ["in_2"]

    @pytest.mark.parametrize("renewed", [InvoiceStatus.PAID, InvoiceStatus.OPEN])
    def test_that_is_paid_outlasts_a_refund_of_the_month_before(self, renewed: InvoiceStatus) -> None:
        """The customer went to the year and back, which keeps the old bills, and dropped an add-on since."""
        month, add_on = line(start=T0, end=T0 + MONTH), line("locker", start=T0, end=T0 + MONTH)
        year = line("yearly", start=T0, end=T0 + 12 * MONTH)
        back = (replace(year, credit=True), add_on, month)
        refund = Refund(amount=12_000, refunded=12_000, currency="eur", invoice="in_1", period=T0)
        next_month = line(start=T0 + MONTH, end=T0 + 2 * MONTH)
        sold = plan(SubscriptionStatus.ACTIVE, item(), item("locker"), item("yearly"), invoice="in_1")
        purchase = told(
            fact(sold, about="sub_1"),
            bill("in_1", InvoiceStatus.PAID, month),
            bill("in_1b", InvoiceStatus.PAID, replace(month, credit=True), year, at=T0 + 1),
            bill("in_1c", InvoiceStatus.PAID, *back, at=T0 + 2),
            fact(refund, T0 + 3, about="pi_1"),
            bill("in_2", renewed, next_month, at=T0 + MONTH),
            self.DRAFT,
        )

        expected = PurchaseStatus.ACTIVE if renewed is InvoiceStatus.PAID else PurchaseStatus.REFUNDED
        assert state(purchase, T0 + MONTH + DAY_S) is expected

    def test_only_the_invoice_that_is_not_paid_for_nobody_is_asked_gives_no_grace(self) -> None:
        void = bill("in_2", InvoiceStatus.VOID, line(start=T0 + MONTH, end=T0 + 2 * MONTH), at=T0 + MONTH)
        purchase = told(PAID, ACTIVE, self.DRAFT, void)

        assert granted(purchase, T0 + MONTH) == {}

    def test_a_first_payment_that_fails_after_a_trial_gets_no_grace(self) -> None:
        trial = fact(plan(SubscriptionStatus.TRIALING, trial_end=T0 + MONTH, invoice="in_1"), about="sub_1")
        free = fact(invoice(InvoiceStatus.PAID, amount=0, subtotal=0), about="in_1")
        begun = plan(SubscriptionStatus.ACTIVE, self.NEXT, trial_end=T0 + MONTH, invoice="in_2")
        failing = replace(begun, status=SubscriptionStatus.PAST_DUE)

        assert granted(told(free, trial), T0 + 1) == {"ten_classes": 1}
        assert granted(told(free, trial, fact(begun, T0 + MONTH, about="sub_1")), T0 + MONTH) == {"ten_classes": 1}
        late = told(free, trial, fact(failing, T0 + MONTH + 3_600, about="sub_1"))
        assert state(late, T0 + MONTH + 3_600) is PurchaseStatus.UNPAID
        dropped = bill("in_3", InvoiceStatus.PAID, line("locker", credit=True, end=T0 + 2 * MONTH), at=T0 + MONTH + 60)
        assert state(late.merge(dropped), T0 + MONTH + 3_600) is PurchaseStatus.UNPAID

    def test_what_was_tried_gets_no_grace_beside_what_was_paid(self) -> None:
        tried = plan(SubscriptionStatus.TRIALING, item("tried"), trial_end=T0 + MONTH, invoice="in_1")
        free = bill("in_1", InvoiceStatus.PAID, line("tried"))
        second = line(start=T0 + MONTH, end=T0 + 2 * MONTH, prorated=True)
        moved = bill("in_2", InvoiceStatus.PAID, second, at=T0 + MONTH + 60)
        locker = bill("in_3", InvoiceStatus.OPEN, replace(second, price="price_locker"), at=T0 + MONTH + 90)
        has = (self.NEXT, item("locker", period_start=T0 + MONTH, period_end=T0 + 2 * MONTH))
        late = plan(SubscriptionStatus.PAST_DUE, *has, trial_end=T0 + MONTH, invoice="in_3")

        purchase = told(fact(tried, about="sub_1"), free, moved, locker, fact(late, T0 + MONTH + 90, about="sub_1"))

        assert granted(purchase, T0 + MONTH + 100) == {"ten_classes": 1}

    def test_what_was_over_before_a_paid_period_gets_no_grace_when_another_bill_is_late(self) -> None:
        year = bill("in_1", InvoiceStatus.PAID, line("yearly", end=T0 + 12 * MONTH))
        back = line("yearly", end=T0 + 12 * MONTH, credit=True)
        month = bill("in_2", InvoiceStatus.PAID, back, line(prorated=True), at=T0 + 1)
        nameless = replace(line(start=T0 + MONTH + 60, end=T0 + 2 * MONTH), price="price_none")
        moved = bill("in_3", InvoiceStatus.PAID, nameless, at=T0 + MONTH + 60)
        locker = bill("in_4", InvoiceStatus.OPEN, line("locker", start=T0 + MONTH + 90), at=T0 + MONTH + 90)
        period = {"period_start": T0 + MONTH + 60, "period_end": T0 + 2 * MONTH}
        has = (item(None, price="price_none", **period), item("locker", **period))
        late = fact(plan(SubscriptionStatus.PAST_DUE, *has, invoice="in_4"), T0 + MONTH + 90, about="sub_1")
        names = fact(plan(SubscriptionStatus.ACTIVE, item("yearly"), item(), invoice="in_1"), about="sub_1")

        for bills in permutations([year, month, moved, locker]):
            assert granted(told(*bills, names, late), T0 + MONTH + 100) == {}

    def test_a_trial_outlives_a_change_to_a_price_without_name(self) -> None:
        trial = plan(SubscriptionStatus.TRIALING, trial_end=T0 + MONTH, invoice="in_1")
        free = fact(invoice(InvoiceStatus.PAID, amount=0, subtotal=0), about="in_1")
        changed = plan(SubscriptionStatus.TRIALING, item(None), trial_end=T0 + MONTH, invoice="in_1")
        purchase = told(free, fact(trial, about="sub_1"), fact(changed, T0 + 5, about="sub_1"))

        assert granted(purchase, T0 + MONTH - 1) == {"ten_classes": 1}
        assert granted(purchase, T0 + MONTH) == {}


class TestPausedCollection:
    PAUSED = fact(plan(paused=True, invoice="in_1"), T0 + 5, about="sub_1")

    def test_access_ends_with_the_period_that_was_paid(self) -> None:
        purchase = told(PAID, ACTIVE, self.PAUSED)

        assert state(purchase, T0 + MONTH - 1) is PurchaseStatus.ACTIVE
        assert state(purchase, T0 + MONTH) is PurchaseStatus.PAUSED

    def test_a_period_that_nobody_pays_for_grants_nothing(self) -> None:
        void = bill("in_2", InvoiceStatus.VOID, line(start=T0 + MONTH, end=T0 + 2 * MONTH), at=T0 + MONTH)
        later = plan(SubscriptionStatus.ACTIVE, TestRenewals.NEXT, paused=True, invoice="in_2")
        purchase = told(PAID, ACTIVE, self.PAUSED, fact(later, T0 + MONTH, about="sub_1"), void)

        assert state(purchase, T0 + MONTH + 1) is PurchaseStatus.PAUSED
        assert granted(purchase, T0 + MONTH + 1, keep_paused_collection=True) == {"ten_classes": 1}


class TestDebits:
    PENDING = fact(payment(PaymentStatus.PENDING), kind=Kind.SUBSCRIPTION)
    BEGUN = fact(plan(invoice="in_1"), about="sub_1")

    @pytest.mark.parametrize("status", [SubscriptionStatus.ACTIVE, SubscriptionStatus.INCOMPLETE])
    def test_nothing_is_granted_before_the_money_is_there(self, status: SubscriptionStatus) -> None:
        begun = fact(plan(status, invoice="in_1"), about="sub_1")
        purchase = told(self.PENDING, begun, bill("in_1", InvoiceStatus.OPEN))

        assert state(purchase, T0 + 60) is PurchaseStatus.PENDING
        assert granted(purchase, T0 + 60, grant_pending_debits=True) == {"ten_classes": 1}

    @pytest.mark.parametrize("status", [SubscriptionStatus.ACTIVE, SubscriptionStatus.PAST_DUE])
    def test_a_debit_that_bounces_ends_it_at_once(self, status: SubscriptionStatus) -> None:
        bounced = fact(payment(PaymentStatus.FAILED), T0 + 9, kind=Kind.SUBSCRIPTION)
        purchase = told(self.PENDING, self.BEGUN, bounced, fact(plan(status, invoice="in_1"), T0 + 9, about="sub_1"))

        assert state(purchase, T0 + 9) is PurchaseStatus.FAILED
        assert granted(purchase, T0 + 9, grant_pending_debits=True) == {}
        assert not purchase.running

    def test_a_pass_waits_for_its_money_too(self) -> None:
        pending = Payment(status=PaymentStatus.PENDING, amount=1, subtotal=1, currency="eur")

        assert granted(told(fact(pending)), T0 + 1) == {}
        assert granted(told(fact(pending)), T0 + 1, grant_pending_debits=True) == {"ten_classes": 1}


class TestMadeAnew:
    LATER = T0 + 10 * DAY_S
    ITEM = item(period_start=LATER, period_end=LATER + MONTH)
    PAID_ANEW = fact(invoice(InvoiceStatus.PAID, line(start=LATER, end=LATER + MONTH), subscription="sub_2"), LATER)
    ANEW = fact(plan(SubscriptionStatus.ACTIVE, ITEM, ref="sub_2", invoice="in_2"), LATER, about="sub_2")

    def anew(self) -> tuple[Fact, Fact]:
        return replace(self.PAID_ANEW, about="in_2"), self.ANEW

    def test_a_subscription_never_hides_the_one_that_runs(self) -> None:
        ended = fact(plan(SubscriptionStatus.CANCELED, ref="sub_2"), T0 + 50, about="sub_2")
        purchase = told(PAID, ACTIVE, ended)

        assert granted(purchase, T0 + 60) == {"ten_classes": 1}
        assert purchase.subscription == ACTIVE.entry.value

    def test_two_that_run_are_both_granted_in_any_order(self) -> None:
        for order in permutations((PAID, ACTIVE, *self.anew())):
            given = told(*order).access(now=self.LATER, policy=Policy())
            assert [(one.quantity, one.until) for one in given] == [
                (1, T0 + MONTH + GRACE),
                (1, self.LATER + MONTH + GRACE),
            ]

    @pytest.mark.parametrize("status", [SubscriptionStatus.ACTIVE, SubscriptionStatus.CANCELED])
    def test_what_went_back_for_one_leaves_the_other(self, status: SubscriptionStatus) -> None:
        first = fact(plan(status, invoice="in_1"), self.LATER, about="sub_1")
        value = Refund(amount=12_000, refunded=12_000, currency="eur", invoice="in_1", period=T0)
        purchase = told(PAID, first, *self.anew(), fact(value, self.LATER, about="pi_1"))

        assert granted(purchase, self.LATER) == {"ten_classes": 1}
        assert purchase.is_effective
        assert not purchase.fully_refunded

    def test_what_went_back_of_the_one_takes_nothing_that_began_in_its_second_by_a_change_of_the_other(self) -> None:
        at, end = T0 + 1, T0 + MONTH
        first = bill("in_1", InvoiceStatus.PAID)
        changed = bill("in_2", InvoiceStatus.PAID, line(credit=True), line("yearly", start=at, prorated=True), at=at)
        late = bill("in_3", InvoiceStatus.OPEN, line("yearly", start=end, end=end + MONTH), at=end)
        has = item("yearly", period_start=end, period_end=end + MONTH)
        one = fact(plan(SubscriptionStatus.PAST_DUE, has, invoice="in_3"), end, about="sub_1")
        names = item(None, price="price_none", period_start=at + MONTH, period_end=at + 2 * MONTH)
        renewed = invoice(InvoiceStatus.PAID, line(start=at + MONTH, end=at + 2 * MONTH), subscription="sub_2")
        other = fact(plan(SubscriptionStatus.ACTIVE, names, ref="sub_2", invoice="in_5"), end + 1, about="sub_2")
        back = Refund(amount=12_000, refunded=12_000, currency="eur", invoice="in_4", period=at)

        facts = (first, changed, late, one, other, fact(renewed, end + 1, about="in_5"))
        purchase = told(ACTIVE, *facts, fact(back, end + 1, about="pi_4"))

        assert granted(purchase, end + 2)["yearly"] == 1

    def test_what_is_known_of_a_payment_depends_on_no_order_of_arrival(self) -> None:
        refund = Refund(amount=12_000, refunded=4_000, currency="eur", invoice="in_1", period=T0)
        dispute = Dispute(status=DisputeStatus.LOST, amount=8_000, currency="eur", payment="pi_1")
        news = (fact(refund, T0 + 5, about="pi_1"), fact(dispute, T0 + 6, about="dp_1"))

        found = [told(PAID, ACTIVE, *order).reversals for order in permutations(news)]

        assert found[0] == found[1]

    def test_what_went_back_for_the_one_that_runs_is_not_granted(self) -> None:
        first = fact(plan(SubscriptionStatus.CANCELED, invoice="in_1"), self.LATER, about="sub_1")
        value = Refund(amount=12_000, refunded=12_000, currency="eur", invoice="in_2", period=self.LATER)
        purchase = told(PAID, first, *self.anew(), fact(value, self.LATER, about="pi_2"))

        assert state(purchase, self.LATER) is PurchaseStatus.REFUNDED

    def test_a_purchase_is_given_back_when_each_of_its_subscriptions_is(self) -> None:
        ended = (
            plan(SubscriptionStatus.CANCELED, invoice="in_1"),
            plan(SubscriptionStatus.CANCELED, self.ITEM, ref="sub_2", invoice="in_2"),
        )
        one = Refund(amount=12_000, refunded=12_000, currency="eur", invoice="in_1", period=T0)
        other = replace(one, invoice="in_2", period=self.LATER)
        purchase = told(PAID, self.anew()[0], *(fact(plan_, self.LATER, about=plan_.ref) for plan_ in ended))

        back = purchase.merge(fact(one, self.LATER, about="pi_1"))
        assert not back.fully_refunded
        assert back.merge(fact(other, self.LATER, about="pi_2")).fully_refunded

    def test_the_debit_of_the_first_is_not_waited_for_by_the_second(self) -> None:
        pending = fact(replace(payment(PaymentStatus.PENDING), invoice="in_1"), kind=Kind.SUBSCRIPTION)
        begun = fact(plan(SubscriptionStatus.INCOMPLETE, invoice="in_1"), about="sub_1")
        purchase = told(pending, begun, *self.anew())

        assert purchase.status_at(now=self.LATER, policy=Policy(grant_pending_debits=True)).until == (
            self.LATER + MONTH + GRACE
        )


def test_what_was_not_heard_is_asked_for() -> None:
    paid = fact(replace(payment(), invoice="in_1"), kind=Kind.SUBSCRIPTION)

    assert told(paid).due_at(now=T0, policy=Policy()) == T0 + 60
    assert told(paid, ACTIVE).due_at(now=T0, policy=Policy()) == T0 + 60
    assert told(paid, PAID, ACTIVE).due_at(now=T0, policy=Policy()) == T0 + MONTH + 7_200
    assert told(ACTIVE).due_at(now=T0, policy=Policy()) == T0 + 60
    assert replace(told(ACTIVE), asked_at=T0 + 90).due_at(now=T0, policy=Policy()) == T0 + 690
