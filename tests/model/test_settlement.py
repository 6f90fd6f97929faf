"""The decision, tested on literals: what facts change in checkouts, bookings, money and access."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from paidup.model.account import Account
from paidup.model.booking import Booking, BookingInTheWay, BookingStatus
from paidup.model.booking_slot import ensure_booking_slot, release_stale_booking
from paidup.model.case import CaseReason, ReviewCase
from paidup.model.checkout import Checkout, CheckoutStatus
from paidup.model.fact import (
    Channel,
    Dispute,
    DisputeStatus,
    Entry,
    Fact,
    Invoice,
    InvoiceStatus,
    Item,
    Line,
    Payment,
    PaymentStatus,
    Price,
    Refund,
    Subscription,
    SubscriptionStatus,
    Value,
)
from paidup.model.missing import CHARGED_WITHIN_S
from paidup.model.offer import Cart, Interval, Kind
from paidup.model.policy import Policy
from paidup.model.purchase import Purchase
from paidup.model.refund_decision import RefundDecision
from paidup.model.settlement import decide, needs_family
from paidup.model.snapshot import ChangeSet, Snapshot

NOW = 1_795_251_600
POLICY = Policy()
CREDIT = Policy(credit_unaccepted_bookings=True)

PASS = Cart(offer_id="ten", name="Ten", kind=Kind.PASS, unit_amount=12_000, currency="eur", quantity=1)
LIVE = Cart(offer_id="live", name="Live", kind=Kind.LIVE_SESSION, unit_amount=6_500, currency="eur", quantity=1)
MONTHLY = replace(PASS, offer_id="monthly", kind=Kind.SUBSCRIPTION, unit_amount=4_900, interval=Interval.MONTH)


def a_checkout(checkout_id: str = "co_1", cart: Cart = PASS, **more: Any) -> Checkout:
    usual: dict[str, Any] = {
        "checkout_id": checkout_id,
        "customer_id": "ada",
        "cart": cart,
        "provider": "memory",
        "status": CheckoutStatus.OPEN,
        "created_at": NOW - 100,
        "expires_at": NOW + 86_000,
        "success_url": "https://shop.example/success",
        "cancel_url": "https://shop.example/cancel",
        "lifetime_s": 86_400,
        "token": f"page_{checkout_id}",
        "url": "https://pay.example",
    }
    return Checkout(**{**usual, **more})


def a_fact(value: Value, *, at: int = NOW, cart: Cart = PASS, purchase_id: str = "co_1", **more: Any) -> Fact:
    usual: dict[str, Any] = {
        "fact_id": f"evt_{value.tag}_{at}",
        "provider": "memory",
        "customer_id": "ada",
        "purchase_id": purchase_id,
        "offer_id": cart.offer_id,
        "kind": cart.kind,
        "asked": Price(amount=cart.amount, currency=cart.currency),
        "entry": Entry(at=at, fetched=False, value=value),
        "source": f"page_{purchase_id}",
    }
    return Fact(**{**usual, **more})


def paid(cart: Cart = PASS, *, amount: int | None = None, currency: str = "eur") -> Payment:
    subtotal = cart.amount if amount is None else amount
    return Payment(status=PaymentStatus.PAID, amount=subtotal, subtotal=subtotal, currency=currency, ref="pay_1")


def payment(status: PaymentStatus) -> Payment:
    return replace(paid(), status=status)


def a_purchase(purchase_id: str = "co_1", cart: Cart = PASS, *, at: int = NOW - 50, **more: Any) -> Purchase:
    fact = a_fact(paid(cart), at=at, cart=cart, purchase_id=purchase_id)
    return replace(Purchase.of(fact).merge(fact), **more)


def a_booking(status: BookingStatus = BookingStatus.WAITING, booking_id: str = "co_1", **more: Any) -> Booking:
    usual: dict[str, Any] = {
        "booking_id": booking_id,
        "customer_id": "ada",
        "purchase_id": booking_id,
        "offer_id": "live",
        "status": status,
        "created_at": NOW - 60,
        "accept_by": NOW + 840,
    }
    return Booking(**{**usual, **more})


def an_account(*purchases: Purchase, **more: Any) -> Account:
    account = Account(customer_id="ada", version=3)
    for one in purchases:
        account = account.granting(one, now=NOW, policy=POLICY)
    return replace(account, **more)


def settled(snapshot: Snapshot, *facts: Fact, policy: Policy = POLICY, channel: Channel = Channel.WEBHOOK) -> ChangeSet:
    return decide(snapshot, facts, policy, channel=channel, now=NOW)


REFUNDED = Refund(amount=12_000, refunded=12_000, currency="eur")
LOST = Dispute(status=DisputeStatus.LOST, amount=12_000, currency="eur")
PLAN = Subscription(
    status=SubscriptionStatus.ACTIVE,
    ref="plan_1",
    items=(
        Item(
            price="price_1",
            quantity=1,
            amount=4_900,
            period_start=NOW,
            period_end=NOW + 30 * 86_400,
            offer_id="monthly",
        ),
    ),
    currency="eur",
)


class TestAPayment:
    def test_makes_a_purchase_and_completes_its_checkout(self) -> None:
        snapshot = Snapshot(account=an_account(open_checkout_id="co_1"), checkout=a_checkout())

        change = settled(snapshot, a_fact(paid()))

        assert change.purchases["co_1"].payment == paid()
        assert change.checkouts["co_1"].status is CheckoutStatus.COMPLETED

    def test_frees_the_slot_of_its_checkout(self) -> None:
        snapshot = Snapshot(account=an_account(open_checkout_id="co_1"), checkout=a_checkout())

        assert settled(snapshot, a_fact(paid())).account.open_checkout_id is None

    def test_leaves_the_slot_to_another_checkout(self) -> None:
        snapshot = Snapshot(account=an_account(open_checkout_id="co_2"), checkout=a_checkout())

        assert settled(snapshot, a_fact(paid())).account.open_checkout_id == "co_2"

    def test_grants_access_and_moves_the_billing_version(self) -> None:
        change = settled(Snapshot(account=an_account()), a_fact(paid()))

        assert [(one.purchase_id, one.offer_id) for one in change.account.access] == [("co_1", "ten")]
        assert change.account.billing_version == 1

    def test_is_one_entry_of_the_timeline(self) -> None:
        (entry,) = settled(Snapshot(account=an_account()), a_fact(paid(), at=NOW - 7)).timeline

        assert entry.change == "payment paid: none -> active"
        assert (entry.said_by, entry.channel) == ("memory", Channel.WEBHOOK)
        assert (entry.occurred_at, entry.settled_at) == (NOW - 7, NOW)

    def test_says_which_channel_brought_it(self) -> None:
        change = settled(Snapshot(account=an_account()), a_fact(paid()), channel=Channel.POLL)

        assert change.purchases["co_1"].channels["payment"].channel is Channel.POLL

    def test_that_is_known_changes_nothing(self) -> None:
        purchase = a_purchase()
        done = a_checkout(status=CheckoutStatus.COMPLETED)
        snapshot = Snapshot(account=an_account(purchase), checkout=done, purchase=purchase)

        assert settled(snapshot, a_fact(paid(), at=NOW - 50)).empty

    def test_with_a_newer_stamp_is_no_news(self) -> None:
        purchase = a_purchase()
        snapshot = Snapshot(account=an_account(purchase), purchase=purchase)

        change = settled(snapshot, a_fact(paid(), at=NOW))

        assert change.timeline == []
        assert change.account.billing_version == snapshot.account.billing_version

    def test_that_is_older_than_what_is_known_changes_nothing(self) -> None:
        purchase = a_purchase(at=NOW)
        snapshot = Snapshot(account=an_account(purchase), purchase=purchase)

        assert settled(snapshot, a_fact(payment(PaymentStatus.FAILED), at=NOW - 1)).empty

    def test_of_a_checkout_that_expired_is_honoured(self) -> None:
        late = a_checkout(status=CheckoutStatus.EXPIRED, ended_at=NOW - 10)

        change = settled(Snapshot(account=an_account(), checkout=late), a_fact(paid()))

        assert change.checkouts["co_1"].status is CheckoutStatus.COMPLETED
        assert change.account.access

    def test_makes_known_the_providers_customer(self) -> None:
        change = settled(Snapshot(account=an_account()), a_fact(paid(), customer_ref="memory#customer_1"))

        assert change.account.customer_refs("memory") == ["memory#customer_1"]

    def test_leaves_the_providers_customer_that_is_known(self) -> None:
        account = an_account().known_as("memory#customer_0")

        change = settled(Snapshot(account=account), a_fact(paid(), customer_ref="memory#customer_1"))

        assert change.account.customer_refs("memory") == ["memory#customer_0"]

    def test_at_another_provider_makes_known_a_second_customer(self) -> None:
        account = an_account().known_as("stripe#cus_0")

        change = settled(Snapshot(account=account), a_fact(paid(), customer_ref="memory#customer_1"))

        assert change.account.customer_refs("memory") == ["memory#customer_1"]
        assert change.account.customer_refs("stripe") == ["stripe#cus_0"]

    def test_is_for_what_the_cart_says_whatever_the_metadata_says(self) -> None:
        snapshot = Snapshot(account=an_account(), checkout=a_checkout())

        change = settled(snapshot, a_fact(paid(), offer_id="edited", kind=Kind.LIVE_SESSION, asked=None))

        assert (change.purchases["co_1"].offer_id, change.purchases["co_1"].kind) == ("ten", Kind.PASS)
        assert change.bookings == {}


class TestAPaymentThatIsNotYetOne:
    def test_while_pending_completes_the_checkout_and_grants_nothing(self) -> None:
        change = settled(Snapshot(account=an_account(), checkout=a_checkout()), a_fact(payment(PaymentStatus.PENDING)))

        assert change.checkouts["co_1"].status is CheckoutStatus.COMPLETED
        assert change.account.access == ()

    def test_that_failed_grants_nothing(self) -> None:
        change = settled(Snapshot(account=an_account()), a_fact(payment(PaymentStatus.FAILED)))

        assert change.account.access == ()
        assert change.account.billing_version == 0

    def test_on_a_page_that_expired_makes_no_purchase(self) -> None:
        snapshot = Snapshot(account=an_account(open_checkout_id="co_1"), checkout=a_checkout())

        change = settled(snapshot, a_fact(payment(PaymentStatus.EXPIRED)))

        assert change.purchases == {}
        assert change.checkouts["co_1"].status is CheckoutStatus.EXPIRED
        assert change.account.open_checkout_id is None

    def test_on_another_page_of_the_checkout_ends_nothing(self) -> None:
        snapshot = Snapshot(account=an_account(open_checkout_id="co_1"), checkout=a_checkout())

        change = settled(snapshot, a_fact(payment(PaymentStatus.EXPIRED), source="page_of_old"))

        assert change.checkouts == {}
        assert change.account.open_checkout_id == "co_1"

    def test_on_the_closed_page_of_an_ended_checkout_leaves_nothing_due(self) -> None:
        ended = a_checkout(status=CheckoutStatus.INVALIDATED, ended_at=NOW - 5, due_at=NOW - 5)

        change = settled(Snapshot(account=an_account(), checkout=ended), a_fact(payment(PaymentStatus.EXPIRED)))

        assert change.checkouts["co_1"].due_at is None
        assert change.checkouts["co_1"].status is CheckoutStatus.INVALIDATED


class TestAnotherAmountThanAskedFor:
    @pytest.mark.parametrize("other", [paid(amount=9_900), paid(amount=12_001), paid(currency="usd")])
    def test_grants_nothing_and_opens_a_case_with_the_fact(self, other: Payment) -> None:
        fact = a_fact(other)

        change = settled(Snapshot(account=an_account(), checkout=a_checkout()), fact)

        (case,) = change.cases.values()
        assert (case.reason, case.facts, case.open) == (CaseReason.AMOUNT_MISMATCH, (fact.fact_id,), True)
        assert case.why == f"Asked for 12000 eur, paid {other.subtotal} {other.currency}."
        assert change.purchases["co_1"].open_cases == (case.case_id,)
        assert change.account.access == ()

    def test_opens_no_second_case_when_it_is_heard_again(self) -> None:
        first = settled(Snapshot(account=an_account()), a_fact(paid(amount=1)))
        known = first.purchases["co_1"]
        snapshot = Snapshot(account=first.account, purchase=known, cases=tuple(first.cases.values()))

        assert settled(snapshot, a_fact(paid(amount=1), at=NOW + 1)).cases == {}

    def test_is_no_case_any_more_once_the_money_went_back(self) -> None:
        first = settled(Snapshot(account=an_account()), a_fact(paid(amount=1)))
        known = first.purchases["co_1"]
        snapshot = Snapshot(account=first.account, purchase=known, cases=tuple(first.cases.values()))

        change = settled(snapshot, a_fact(Refund(amount=1, refunded=1, currency="eur"), about="pay_1"))

        (case,) = change.cases.values()
        assert (case.decided_by, case.decision) == ("paidup", "the money went back")
        assert case.purge_at == NOW + POLICY.timeline_retention_s
        assert change.purchases["co_1"].open_cases == ()

    def test_is_no_mismatch_if_a_trial_begins_with_nothing(self) -> None:
        change = settled(Snapshot(account=an_account()), a_fact(paid(amount=0), cart=MONTHLY))

        assert change.cases == {}


class TestMoneyThatWasTakenBack:
    @pytest.mark.parametrize(("value", "about"), [(REFUNDED, "pay_1"), (LOST, "dispute_1")])
    def test_ends_access(self, value: Value, about: str) -> None:
        purchase = a_purchase()
        snapshot = Snapshot(account=an_account(purchase), purchase=purchase)

        change = settled(snapshot, a_fact(value, about=about))

        assert change.account.access == ()
        assert change.account.billing_version == snapshot.account.billing_version + 1

    def test_in_part_keeps_access(self) -> None:
        purchase = a_purchase()
        snapshot = Snapshot(account=an_account(purchase), purchase=purchase)

        change = settled(snapshot, a_fact(replace(REFUNDED, refunded=11_999), about="pay_1"))

        assert change.account.access == snapshot.account.access

    def test_comes_back_with_a_dispute_that_is_won(self) -> None:
        opened = a_fact(replace(LOST, status=DisputeStatus.OPEN), at=NOW - 20, about="dispute_1")
        disputed = a_purchase().merge(opened)
        snapshot = Snapshot(account=an_account(disputed), purchase=disputed)

        change = settled(snapshot, a_fact(replace(LOST, status=DisputeStatus.WON), about="dispute_1"))

        assert [one.purchase_id for one in change.account.access] == ["co_1"]

    def test_of_nothing_is_no_news_if_nobody_knew_of_a_refund(self) -> None:
        purchase = a_purchase()
        snapshot = Snapshot(account=an_account(purchase), purchase=purchase)

        assert settled(snapshot, a_fact(replace(REFUNDED, refunded=0), about="pay_1")).timeline == []

    def test_by_a_bank_after_our_refund_opens_a_case(self) -> None:
        decision = RefundDecision(why="paid twice", decided_at=NOW - 9, due_at=NOW - 9)
        back = a_purchase(refund_decision=decision).merge(a_fact(REFUNDED, at=NOW - 5, about="pay_1"))
        snapshot = Snapshot(account=an_account(), purchase=back)

        change = settled(snapshot, a_fact(replace(REFUNDED, refunded=0), about="pay_1"))

        (case,) = change.cases.values()
        assert case.reason is CaseReason.REFUND_RETURNED

    @pytest.mark.parametrize("reason", [CaseReason.REFUND_STUCK, CaseReason.REFUND_RETURNED])
    def test_closes_the_case_of_a_refund_that_would_not_arrive(self, reason: CaseReason) -> None:
        decision = RefundDecision(why="paid twice", decided_at=NOW - 9, due_at=NOW - 9)
        case = ReviewCase(
            case_id=f"{reason}-co_1", reason=reason, customer_id="ada", purchase_id="co_1", why="x", opened_at=NOW - 8
        )
        owed = a_purchase(refund_decision=decision, open_cases=(case.case_id,))

        change = settled(Snapshot(account=an_account(), purchase=owed, cases=(case,)), a_fact(REFUNDED, about="pay_1"))

        assert change.cases[case.case_id].decision == "the refund arrived"
        assert change.purchases["co_1"].open_cases == ()


def a_chain(*others: Checkout, purchases: Mapping[str, Purchase] = {}, **more: Any) -> Snapshot:
    mine = a_checkout(replaces="co_0", replaced_by=None)
    return Snapshot(
        account=an_account(*purchases.values(), open_checkout_id="co_1"),
        checkout=mine,
        family=others,
        family_purchases=purchases,
        **more,
    )


class TestTwoPaymentsOfOnePurchase:
    OLD = a_checkout("co_0", status=CheckoutStatus.COMPLETED, replaced_by="co_1", ended_at=NOW - 50)

    def test_keep_the_first_and_give_the_later_back(self) -> None:
        snapshot = a_chain(self.OLD, purchases={"co_0": a_purchase("co_0")})

        change = settled(snapshot, a_fact(paid()))

        decision = change.purchases["co_1"].refund_decision
        assert decision
        assert (decision.paid_before, decision.due_at) == ("co_0", NOW)
        assert [one.purchase_id for one in change.account.access] == ["co_0"]

    def test_keep_the_first_whichever_is_heard_of_first(self) -> None:
        snapshot = a_chain(self.OLD, purchases={"co_0": a_purchase("co_0", at=NOW + 5)})

        change = settled(snapshot, a_fact(paid()))

        assert change.purchases["co_0"].refund_decision
        assert change.purchases["co_1"].refund_decision is None

    def test_are_both_kept_if_the_shop_says_so(self) -> None:
        snapshot = a_chain(self.OLD, purchases={"co_0": a_purchase("co_0")})

        change = settled(snapshot, a_fact(paid()), policy=Policy(refund_duplicate_payments=False))

        assert change.purchases["co_1"].refund_decision is None

    def test_are_one_if_the_first_went_back_already(self) -> None:
        gone = a_purchase("co_0").merge(a_fact(REFUNDED, purchase_id="co_0", about="pay_1"))

        change = settled(a_chain(self.OLD, purchases={"co_0": gone}), a_fact(paid()))

        assert change.purchases["co_1"].refund_decision is None

    def test_keep_a_session_that_took_place(self) -> None:
        used = a_purchase("co_0", LIVE, at=NOW + 9, used_at=NOW + 10)
        snapshot = replace(a_chain(self.OLD, purchases={"co_0": used}), checkout=a_checkout(cart=LIVE, replaces="co_0"))

        change = settled(snapshot, a_fact(paid(LIVE), cart=LIVE))

        assert change.purchases["co_1"].refund_decision

    def test_end_a_linked_checkout_that_is_still_open(self) -> None:
        newer = a_checkout("co_2", replaces="co_1")

        change = settled(a_chain(newer), a_fact(paid()))

        assert change.checkouts["co_2"].status is CheckoutStatus.INVALIDATED
        assert change.checkouts["co_2"].replaced_by == "co_1"

    def test_need_the_family_only_when_money_is_new(self) -> None:
        linked = Snapshot(account=an_account(), checkout=a_checkout(replaces="co_0"))
        alone = Snapshot(account=an_account(), checkout=a_checkout())
        known = replace(linked, purchase=a_purchase())

        assert needs_family(linked, [a_fact(paid())], now=NOW)
        assert not needs_family(alone, [a_fact(paid())], now=NOW)
        assert not needs_family(known, [a_fact(paid())], now=NOW)
        assert not needs_family(linked, [a_fact(payment(PaymentStatus.PENDING))], now=NOW)


class TestALiveSession:
    def test_that_is_paid_waits_to_be_accepted(self) -> None:
        change = settled(Snapshot(account=an_account()), a_fact(paid(LIVE), cart=LIVE))

        booking = change.bookings["co_1"]
        assert (booking.status, booking.accept_by) == (BookingStatus.WAITING, NOW + POLICY.accept_within_s)
        assert change.account.open_booking_id == "co_1"

    def test_of_old_news_began_to_wait_when_it_was_paid(self) -> None:
        change = settled(Snapshot(account=an_account()), a_fact(paid(LIVE), cart=LIVE, at=NOW - 7_200))

        assert change.bookings["co_1"].accept_by == NOW - 7_200 + POLICY.accept_within_s

    def test_goes_back_if_another_booking_is_open(self) -> None:
        there = a_booking(BookingStatus.LIVE, "co_0", accepted_at=NOW - 10, host="mia")
        account = an_account(open_booking_id="co_0")

        change = settled(Snapshot(account=account, slot_booking=there), a_fact(paid(LIVE), cart=LIVE))

        assert change.purchases["co_1"].refund_decision
        assert change.bookings == {}
        assert change.account.open_booking_id == "co_0"

    def test_takes_the_slot_of_a_stale_booking_which_is_called_off(self) -> None:
        stale = a_booking(booking_id="co_0", accept_by=NOW)
        snapshot = Snapshot(
            account=an_account(open_booking_id="co_0"),
            slot_booking=stale,
            slot_purchase=a_purchase("co_0", LIVE, at=NOW - 900),
        )

        change = settled(snapshot, a_fact(paid(LIVE), cart=LIVE))

        assert change.bookings["co_0"].status is BookingStatus.EXPIRED
        assert change.purchases["co_0"].refund_decision
        assert change.account.open_booking_id == "co_1"

    @pytest.mark.parametrize("status", [BookingStatus.WAITING, BookingStatus.LIVE])
    def test_is_called_off_when_its_payment_is_taken_back(self, status: BookingStatus) -> None:
        purchase, booking = a_purchase(cart=LIVE), a_booking(status)
        account = an_account(purchase, open_booking_id="co_1")
        snapshot = Snapshot(account=account, purchase=purchase, booking=booking, slot_booking=booking)

        change = settled(snapshot, a_fact(LOST, cart=LIVE, about="dispute_1"))

        assert (change.bookings["co_1"].status, change.bookings["co_1"].lost_payment) == (BookingStatus.CANCELLED, True)
        assert change.account.open_booking_id is None

    def test_waits_again_when_its_payment_comes_back(self) -> None:
        opened = a_fact(replace(LOST, status=DisputeStatus.OPEN), cart=LIVE, at=NOW - 20, about="dispute_1")
        purchase = a_purchase(cart=LIVE).merge(opened)
        lost = a_booking(BookingStatus.CANCELLED, lost_payment=True, ended_at=NOW - 20)

        change = settled(
            Snapshot(account=an_account(), purchase=purchase, booking=lost),
            a_fact(replace(LOST, status=DisputeStatus.WON), cart=LIVE, about="dispute_1"),
        )

        assert change.bookings["co_1"].status is BookingStatus.WAITING
        assert change.account.open_booking_id == "co_1"

    def test_that_took_place_is_not_given_twice_when_its_payment_comes_back(self) -> None:
        opened = a_fact(replace(LOST, status=DisputeStatus.OPEN), cart=LIVE, at=NOW - 20, about="dispute_1")
        purchase = a_purchase(cart=LIVE).merge(opened)
        lost = a_booking(BookingStatus.CANCELLED, lost_payment=True, accepted_at=NOW - 30, ended_at=NOW - 20)

        change = settled(
            Snapshot(account=an_account(), purchase=purchase, booking=lost),
            a_fact(replace(LOST, status=DisputeStatus.WON), cart=LIVE, about="dispute_1"),
        )

        assert change.purchases["co_1"].used_at == NOW - 30
        assert change.bookings == {}

    def test_that_nobody_accepted_is_not_booked_again_by_the_same_payment(self) -> None:
        purchase = a_purchase(cart=LIVE)
        over = a_booking(BookingStatus.EXPIRED, ended_at=NOW - 1)
        snapshot = Snapshot(account=an_account(purchase), purchase=purchase, booking=over)

        assert settled(snapshot, a_fact(paid(LIVE), cart=LIVE, at=NOW + 1)).bookings == {}


class TestTheBookingSlot:
    def change(self, booking: Booking | None, purchase: Purchase | None = None, policy: Policy = POLICY) -> ChangeSet:
        account = an_account(open_booking_id=booking.booking_id if booking else None)
        snapshot = Snapshot(account=account, slot_booking=booking, slot_purchase=purchase)
        return ChangeSet(snapshot=snapshot, policy=policy, now=NOW)

    def test_is_free_without_a_booking(self) -> None:
        assert release_stale_booking(self.change(None))

    def test_is_taken_by_a_booking_that_may_yet_be_accepted(self) -> None:
        change = self.change(a_booking(accept_by=NOW + 1))

        assert not release_stale_booking(change)
        with pytest.raises(BookingInTheWay, match="waits to be accepted"):
            ensure_booking_slot(change)

    def test_is_taken_by_a_live_booking(self) -> None:
        with pytest.raises(BookingInTheWay, match="is live now"):
            ensure_booking_slot(self.change(a_booking(BookingStatus.LIVE, accepted_at=NOW - 10)))

    def test_is_freed_of_a_stale_booking_whose_money_goes_back(self) -> None:
        change = self.change(a_booking(accept_by=NOW), a_purchase(cart=LIVE))

        assert release_stale_booking(change)
        assert change.purchases["co_1"].refund_decision
        assert change.account.open_booking_id is None

    def test_is_freed_of_a_stale_booking_whose_purchase_is_kept_as_credit(self) -> None:
        change = self.change(a_booking(accept_by=NOW), a_purchase(cart=LIVE), CREDIT)

        assert release_stale_booking(change)
        assert change.purchases == {}

    def test_is_freed_of_a_stale_booking_whose_purchase_is_gone(self) -> None:
        change = self.change(a_booking(accept_by=NOW))

        assert release_stale_booking(change)
        assert change.bookings["co_1"].status is BookingStatus.EXPIRED


class TestASubscription:
    def test_completes_its_checkout_before_the_payment_is_heard_of(self) -> None:
        change = settled(Snapshot(account=an_account(), checkout=a_checkout(cart=MONTHLY)), a_fact(PLAN, cart=MONTHLY))

        assert change.checkouts["co_1"].status is CheckoutStatus.COMPLETED

    def test_whose_invoice_is_heard_of_first_completes_its_checkout_too(self) -> None:
        line = Line(price="price_1", quantity=1, start=NOW, end=NOW + 30 * 86_400)
        invoice = Invoice(
            status=InvoiceStatus.PAID,
            subscription="sub_1",
            amount=MONTHLY.amount,
            subtotal=MONTHLY.amount,
            currency="eur",
            made_at=NOW,
            due_at=NOW,
            lines=(line,),
            first=True,
        )
        snapshot = Snapshot(account=an_account(open_checkout_id="co_1"), checkout=a_checkout(cart=MONTHLY))

        change = settled(snapshot, a_fact(invoice, cart=MONTHLY, about="in_1"))

        assert change.checkouts["co_1"].status is CheckoutStatus.COMPLETED
        assert change.account.open_checkout_id is None

    def test_and_its_payment_move_the_billing_version_once(self) -> None:
        change = settled(
            Snapshot(account=an_account()), a_fact(PLAN, cart=MONTHLY), a_fact(paid(MONTHLY), cart=MONTHLY)
        )

        assert change.account.billing_version == 1
        assert len(change.timeline) == 2

    def test_that_ends_ends_access(self) -> None:
        purchase = a_purchase(cart=MONTHLY).merge(a_fact(PLAN, cart=MONTHLY, at=NOW - 40))
        snapshot = Snapshot(account=an_account(purchase), purchase=purchase)

        change = settled(snapshot, a_fact(replace(PLAN, status=SubscriptionStatus.CANCELED), cart=MONTHLY))

        assert change.account.access == ()

    def test_that_renews_for_years_keeps_the_channels_of_what_matters_alone(self) -> None:
        (item,) = PLAN.items
        month, snapshot = item.period_end - item.period_start, Snapshot(account=an_account())
        for n in range(24):
            begins = item.period_start + n * month
            bill = Invoice(
                status=InvoiceStatus.PAID,
                subscription=PLAN.ref,
                amount=4_900,
                subtotal=4_900,
                currency="eur",
                made_at=begins,
                due_at=begins,
                lines=(Line(price=item.price, quantity=1, start=begins, end=begins + month),),
            )

            change = settled(snapshot, a_fact(bill, at=begins, cart=MONTHLY, about=f"in_{n:02}"))

            snapshot = Snapshot(account=change.account, purchase=change.purchase("co_1"))

        purchase = snapshot.purchase
        assert purchase
        assert set(purchase.channels) == set(purchase.registers) == {"invoice#in_23"}

    def test_that_renews_moves_the_end_of_access(self) -> None:
        purchase = a_purchase(cart=MONTHLY).merge(a_fact(PLAN, cart=MONTHLY, at=NOW - 40))
        snapshot = Snapshot(account=an_account(purchase), purchase=purchase)
        (item,) = PLAN.items
        later = replace(item, period_start=item.period_end, period_end=item.period_end + 30 * 86_400)
        next_period = replace(PLAN, items=(later,))

        change = settled(snapshot, a_fact(next_period, cart=MONTHLY))

        (access,) = change.account.access
        assert access.until == next_period.period_end + POLICY.grace_s
        assert change.purchases_due == {"co_1": next_period.period_end + CHARGED_WITHIN_S}
