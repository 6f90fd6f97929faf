"""The laws of a purchase: facts count in any order and any number of times, and status follows from them."""

from dataclasses import replace
from functools import reduce
from itertools import permutations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paidup.flows.confirm import STATE_OF
from paidup.model.access import GRANTING, PurchaseStatus
from paidup.model.fact import (
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
from paidup.model.offer import Kind
from paidup.model.policy import DAY_S, Policy
from paidup.model.purchase import Purchase

T0 = 1_800_000_000
POLICY = Policy()
GRACE_S = POLICY.grace_s


def payment(status: PaymentStatus = PaymentStatus.PAID) -> Payment:
    return Payment(status=status, amount=12_000, subtotal=12_000, currency="eur", ref="pi_1")


def item(offer_id: str | None = "ten_classes", **more: int | str) -> Item:
    usual = {"price": f"price_{offer_id}", "quantity": 1, "amount": 12_000}
    usual |= {"period_start": T0, "period_end": T0 + 30 * DAY_S}
    return Item(offer_id=offer_id, **{**usual, **more})  # type: ignore[arg-type]  # mixed by design


def plan(status: SubscriptionStatus = SubscriptionStatus.ACTIVE, *items: Item, **more: object) -> Subscription:
    usual = {"ref": "sub_1", "items": items or (item(),), "currency": "eur"}
    return Subscription(status=status, **{**usual, **more})  # type: ignore[arg-type]  # mixed by design


def line(offer_id: str = "ten_classes", **more: int | bool) -> Line:
    usual = {"price": f"price_{offer_id}", "quantity": 1, "start": T0, "end": T0 + 30 * DAY_S}
    return Line(**{**usual, **more})  # type: ignore[arg-type]  # mixed by design


def invoice(status: InvoiceStatus = InvoiceStatus.PAID, *lines: Line, **more: object) -> Invoice:
    usual = {"subscription": "sub_1", "amount": 12_000, "subtotal": 12_000, "currency": "eur"}
    usual |= {"made_at": T0, "due_at": T0, "lines": lines or (line(),)}
    return Invoice(status=status, **{**usual, **more})  # type: ignore[arg-type]  # mixed by design


def fact(value: Value, at: int = T0, *, fetched: bool = False, about: str = "", **more: object) -> Fact:
    kind = Kind.SUBSCRIPTION if isinstance(value, Subscription | Invoice) else Kind.PASS
    usual = {
        "fact_id": f"evt_{at}",
        "provider": "stripe",
        "customer_id": "ada",
        "purchase_id": "co_1",
        "offer_id": "ten_classes",
        "kind": kind,
        "source": "cs_1",
    }
    entry = Entry(at=at, fetched=fetched, value=value)
    return Fact(entry=entry, about=about, **{**usual, **more})  # type: ignore[arg-type]  # mixed by design


def told(*facts: Fact, **more: object) -> Purchase:
    blank = replace(Purchase.of(facts[0]), **more)  # type: ignore[arg-type]  # mixed by design
    return reduce(Purchase.merge, facts, blank)


def status(purchase: Purchase, now: int = T0 + 60) -> PurchaseStatus:
    return purchase.status_at(now=now, policy=POLICY).state


seconds = st.integers(T0, T0 + 3)
INVOICES: list[tuple[Value, str]] = [  # an invoice keeps its lines, and its state changes
    (invoice(status, *lines, made_at=T0 + n, first=n == 1), f"in_{n}")
    for status in InvoiceStatus
    for n, lines in enumerate(
        (
            (line(), line("more")),
            (line("yearly", end=T0 + 365 * DAY_S), line(credit=True)),
            (line(start=T0 + 30 * DAY_S, end=T0 + 60 * DAY_S), line("yearly", credit=True, end=T0 + 365 * DAY_S)),
            (line(start=T0 + 60 * DAY_S, end=T0 + 90 * DAY_S, quantity=3),),
        ),
        start=1,
    )
]
values: st.SearchStrategy[tuple[Value, str]] = st.one_of(
    st.tuples(st.builds(payment, st.sampled_from(PaymentStatus)), st.just("")),
    st.tuples(
        st.builds(
            plan,
            st.sampled_from(SubscriptionStatus),
            st.sampled_from([item(), item("yearly"), item(None), item("more", period_start=T0 + DAY_S)]),
            cancel_at=st.sampled_from([None, T0 + DAY_S]),
            invoice=st.sampled_from([None, "in_1", "in_2"]),
            ref=st.sampled_from(["sub_1", "sub_2"]),
        ),
        st.sampled_from(["sub_1", "sub_2"]),
    ),
    st.sampled_from(INVOICES),
    st.tuples(
        st.builds(
            Refund,
            amount=st.just(100),
            refunded=st.sampled_from([0, 40, 100]),
            currency=st.just("eur"),
            invoice=st.sampled_from([None, "in_1", "in_2"]),
        ),
        st.sampled_from(["pi_1", "pi_2"]),
    ),
    st.tuples(
        st.builds(Dispute, status=st.sampled_from(DisputeStatus), amount=st.just(100), currency=st.just("eur")),
        st.sampled_from(["dp_1", "dp_2"]),
    ),
)
prices = st.builds(Price, amount=st.sampled_from([12_000, 9_000]), currency=st.sampled_from(["eur", "usd"]))
facts = st.builds(
    lambda said, at, **more: fact(said[0], at, about=said[1], **more),
    values,
    seconds,
    fetched=st.booleans(),
    provider_ref=st.sampled_from([None, "stripe#pi_1", "stripe#sub_1"]),
    paid_at=st.sampled_from([None, T0 - 1, T0 + 1]),
    offer_id=st.sampled_from(["", "ten_classes", "price_1"]),
    kind=st.sampled_from(Kind),
    valid_days=st.sampled_from([None, 10, 90]),
    asked=st.none() | prices,
)
blank = Purchase(purchase_id="co_1", customer_id="ada", offer_id="ten_classes", kind=Kind.PASS, provider="stripe")


@given(facts, facts)
def test_the_first_word_of_a_purchase_weighs_no_more_than_the_second(one: Fact, other: Fact) -> None:
    assert told(one, other) == told(other, one)


@given(st.lists(facts, max_size=6), facts, facts)
def test_two_facts_merge_the_same_in_either_order(before: list[Fact], one: Fact, other: Fact) -> None:
    purchase = reduce(Purchase.merge, before, blank)
    assert purchase.merge(one).merge(other) == purchase.merge(other).merge(one)


@given(st.lists(facts, max_size=6), facts)
def test_hearing_a_fact_twice_is_hearing_it_once(before: list[Fact], one: Fact) -> None:
    purchase = reduce(Purchase.merge, before, blank)
    assert purchase.merge(one).merge(one) == purchase.merge(one)


@given(st.lists(facts, max_size=12), st.randoms(use_true_random=False), st.integers(T0, T0 + 60 * DAY_S))
def test_any_order_with_any_duplicates_gives_the_same_purchase_and_access(
    said: list[Fact], chance: Random, now: int
) -> None:
    shuffled = said + [one for one in said if chance.random() < 0.5]
    chance.shuffle(shuffled)
    in_order, out_of_order = reduce(Purchase.merge, said, blank), reduce(Purchase.merge, shuffled, blank)
    assert in_order == out_of_order
    assert in_order.access(now=now, policy=POLICY) == out_of_order.access(now=now, policy=POLICY)


@given(st.lists(facts, max_size=6), st.lists(facts, max_size=6))
def test_what_two_channels_brought_apart_is_what_one_would_have_brought(one: list[Fact], other: list[Fact]) -> None:
    """Associativity: merging the merged entries of two purchases equals merging all their facts."""
    together = reduce(Purchase.merge, one + other, blank)
    left, right = reduce(Purchase.merge, one, blank), reduce(Purchase.merge, other, blank)
    for name in together.registers:
        entries = [purchase.registers[name] for purchase in (left, right) if name in purchase.registers]
        assert together.registers[name] == reduce(lambda a, b: a.newer(b), entries)


@given(facts, facts)
def test_a_tie_is_two_words_for_one_second_of_one_register(one: Fact, other: Fact) -> None:
    purchase = blank.merge(one)
    same_place = one.register == other.register and one.entry.at == other.entry.at
    same_place = same_place and one.entry.weight == other.entry.weight
    assert purchase.ties_with(other) == (same_place and one.entry.value != other.entry.value)


def test_a_payment_that_was_decided_is_not_pending_again_whatever_a_session_looks_like_later() -> None:
    pending, failed = payment(PaymentStatus.PENDING), payment(PaymentStatus.FAILED)
    for order in permutations((fact(pending, T0), fact(failed, T0 + 5), fact(pending, T0 + 60, fetched=True))):
        assert told(*order).payment == failed


def test_a_page_that_expires_says_nothing_of_what_was_paid_on_another_one() -> None:
    paid, expired = payment(PaymentStatus.PAID), payment(PaymentStatus.EXPIRED)
    for order in permutations((fact(paid, T0), fact(expired, T0 + 86_400))):
        assert told(*order).payment == paid


def test_at_the_same_second_what_was_fetched_beats_what_was_told() -> None:
    active, canceled = plan(), plan(SubscriptionStatus.CANCELED)
    assert told(fact(canceled), fact(active, fetched=True)).subscription == active


def test_at_the_same_second_the_ending_state_wins() -> None:
    active, canceled = plan(), plan(SubscriptionStatus.CANCELED)
    assert told(fact(canceled), fact(active)).subscription == canceled


def test_a_late_event_about_an_earlier_second_changes_nothing() -> None:
    purchase = told(fact(plan(SubscriptionStatus.CANCELED), T0 + 10))
    assert purchase.merge(fact(plan(), T0 + 9)) == purchase


def test_a_paid_pass_holds_for_good_unless_its_offer_says_how_long() -> None:
    assert told(fact(payment())).status_at(now=T0 + 9_999 * DAY_S, policy=POLICY).until is None


def test_a_pass_holds_through_its_whole_last_day_and_not_a_second_longer() -> None:
    purchase = told(fact(payment()), valid_days=10)
    until = purchase.status_at(now=T0, policy=POLICY).until
    assert until is not None
    assert until % DAY_S == 0
    assert 0 <= until - (T0 + 10 * DAY_S) < DAY_S
    assert status(purchase, until - 1) is PurchaseStatus.ACTIVE
    assert status(purchase, until) is PurchaseStatus.ENDED


def test_hearing_of_the_same_payment_again_later_does_not_lengthen_the_pass() -> None:
    purchase = told(fact(payment()), valid_days=10)
    again = purchase.merge(fact(payment(), T0 + 5 * DAY_S, fetched=True))
    assert again.status_at(now=T0, policy=POLICY) == purchase.status_at(now=T0, policy=POLICY)


@pytest.mark.parametrize(
    ("heard", "expected"),
    [
        ([fact(payment(PaymentStatus.PENDING))], PurchaseStatus.PENDING),
        ([fact(payment(PaymentStatus.PENDING)), fact(payment(), T0 + 1)], PurchaseStatus.ACTIVE),
        ([fact(payment(PaymentStatus.PENDING)), fact(payment(PaymentStatus.FAILED), T0 + 1)], PurchaseStatus.FAILED),
        ([fact(plan(SubscriptionStatus.TRIALING))], PurchaseStatus.TRIALING),
        ([fact(plan(SubscriptionStatus.INCOMPLETE))], PurchaseStatus.PENDING),
        ([fact(plan(SubscriptionStatus.INCOMPLETE_EXPIRED))], PurchaseStatus.FAILED),
        ([fact(plan(SubscriptionStatus.PAST_DUE))], PurchaseStatus.UNPAID),
        ([fact(invoice(), about="in_1"), fact(plan(SubscriptionStatus.PAST_DUE))], PurchaseStatus.PAST_DUE),
        ([fact(plan(SubscriptionStatus.PAUSED))], PurchaseStatus.PAUSED),
        ([fact(plan(SubscriptionStatus.UNPAID))], PurchaseStatus.UNPAID),
        ([fact(plan(SubscriptionStatus.CANCELED))], PurchaseStatus.CANCELED),
    ],
)
def test_the_status_follows_from_what_was_heard(heard: list[Fact], expected: PurchaseStatus) -> None:
    assert status(told(*heard)) is expected


def dispute(status: DisputeStatus, amount: int) -> Dispute:
    return Dispute(status=status, amount=amount, currency="eur", payment="pi_1")


@pytest.mark.parametrize(
    ("value", "about", "expected"),
    [
        (Refund(amount=100, refunded=100, currency="eur"), "pi_1", PurchaseStatus.REFUNDED),
        (Refund(amount=100, refunded=99, currency="eur"), "pi_1", PurchaseStatus.ACTIVE),
        (dispute(DisputeStatus.OPEN, 11_999), "dp_1", PurchaseStatus.ACTIVE),
        (dispute(DisputeStatus.LOST, 11_999), "dp_1", PurchaseStatus.ACTIVE),
        (dispute(DisputeStatus.LOST, 12_000), "dp_1", PurchaseStatus.CHARGED_BACK),
        (Dispute(status=DisputeStatus.OPEN, amount=1, currency="eur"), "dp_1", PurchaseStatus.DISPUTED),
        (Dispute(status=DisputeStatus.INQUIRY, amount=1, currency="eur"), "dp_1", PurchaseStatus.ACTIVE),
        (Dispute(status=DisputeStatus.LOST, amount=1, currency="eur"), "dp_1", PurchaseStatus.CHARGED_BACK),
        (Dispute(status=DisputeStatus.WON, amount=1, currency="eur"), "dp_1", PurchaseStatus.ACTIVE),
    ],
)
def test_what_takes_money_back_takes_access_back(value: Value, about: str, expected: PurchaseStatus) -> None:
    assert status(told(fact(payment()), fact(value, T0 + 1, about=about))) is expected


def test_a_won_dispute_restores_what_an_open_one_held() -> None:
    opened = fact(Dispute(status=DisputeStatus.OPEN, amount=1, currency="eur"), T0 + 1, about="dp_1")
    won = fact(Dispute(status=DisputeStatus.WON, amount=1, currency="eur"), T0 + 2, about="dp_1")
    purchase = told(fact(payment()), opened)
    assert status(purchase) is PurchaseStatus.DISPUTED
    assert status(purchase.merge(won)) is PurchaseStatus.ACTIVE


def test_refunding_last_months_invoice_leaves_this_month_alone() -> None:
    def refund(invoice: str, period: int | None) -> Fact:
        value = Refund(amount=100, refunded=100, currency="eur", invoice=invoice, period=period)
        return fact(value, T0 + 1, about=f"pi_of_{invoice}")

    purchase = told(fact(plan()), refund("in_last", T0 - 30 * DAY_S), refund("in_upgrade", None))
    assert status(purchase) is PurchaseStatus.ACTIVE
    assert status(purchase.merge(refund("in_this", T0))) is PurchaseStatus.REFUNDED


def test_losing_last_months_payment_to_a_dispute_leaves_this_month_alone() -> None:
    lost = Dispute(status=DisputeStatus.LOST, amount=100, currency="eur", invoice="in_last", period=T0 - 30 * DAY_S)
    assert status(told(fact(plan()), fact(lost, T0 + 1, about="du_1"))) is PurchaseStatus.ACTIVE
    assert (
        status(told(fact(plan()), fact(replace(lost, period=T0), T0 + 1, about="du_1"))) is PurchaseStatus.CHARGED_BACK
    )


def test_past_due_keeps_access_for_the_grace_after_what_was_paid_and_not_a_second_longer() -> None:
    paid = fact(invoice(InvoiceStatus.PAID, line(start=T0 - 30 * DAY_S, end=T0)), about="in_1")
    purchase = told(paid, fact(plan(SubscriptionStatus.PAST_DUE, invoice="in_2")))
    assert status(purchase, T0 + GRACE_S - 1) is PurchaseStatus.PAST_DUE
    assert status(purchase, T0 + GRACE_S) is PurchaseStatus.UNPAID


def test_a_subscription_that_cancels_at_its_periods_end_ends_at_that_very_second() -> None:
    purchase = told(fact(plan(cancel_at=T0 + 30 * DAY_S)))
    assert status(purchase, T0 + 30 * DAY_S - 1) is PurchaseStatus.ACTIVE
    assert status(purchase, T0 + 30 * DAY_S) is PurchaseStatus.ENDED


def test_silence_at_the_end_of_a_renewing_period_does_not_lock_a_payer_out() -> None:
    purchase = told(fact(plan()))
    assert status(purchase, T0 + 30 * DAY_S + 60) is PurchaseStatus.ACTIVE
    assert status(purchase, T0 + 30 * DAY_S + GRACE_S) is PurchaseStatus.ENDED


def test_a_subscription_paid_but_not_yet_heard_of_gives_access_meanwhile() -> None:
    paid = fact(payment(), kind=Kind.SUBSCRIPTION)
    assert status(told(paid)) is PurchaseStatus.ACTIVE
    assert status(told(paid), T0 + GRACE_S) is PurchaseStatus.ENDED


def test_a_plan_change_grants_the_new_offer() -> None:
    purchase = told(fact(plan()), fact(plan(SubscriptionStatus.ACTIVE, item("yearly")), T0 + 5))
    assert [one.offer_id for one in purchase.access(now=T0 + 6, policy=POLICY)] == ["yearly"]


def test_every_status_has_an_answer_for_the_buyer_who_polls() -> None:
    assert set(STATE_OF) | GRANTING == set(PurchaseStatus)


def test_an_end_far_ahead_does_not_stand_in_for_renewals() -> None:
    purchase = told(fact(plan(cancel_at=T0 + 300 * DAY_S)))
    assert status(purchase, T0 + 30 * DAY_S + GRACE_S) is PurchaseStatus.ENDED


def test_a_subscription_is_given_back_when_its_periods_payment_is() -> None:
    ended = told(fact(plan(SubscriptionStatus.CANCELED)), fact(payment(), kind=Kind.SUBSCRIPTION))
    ended = replace(ended, kind=Kind.SUBSCRIPTION).to_refund("support decided", now=T0)
    back = Refund(amount=100, refunded=100, currency="eur", invoice="in_1", period=T0 - 30 * DAY_S)
    earlier, its_own = fact(back, about="pi_1"), fact(replace(back, invoice="in_2", period=T0), about="pi_2")
    assert not ended.fully_refunded
    assert not ended.merge(earlier).fully_refunded
    assert ended.merge(its_own).fully_refunded
