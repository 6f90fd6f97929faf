"""The states of a checkout: every transition is possible that is listed, and no other."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from paidup.model.checkout import (
    TRANSITIONS,
    Checkout,
    CheckoutStatus,
    IllegalTransition,
    reserved,
    same_purchase,
)
from paidup.model.offer import Cart, Kind

T0 = 1_800_000_000


def new() -> Checkout:
    cart = Cart(offer_id="ten", name="Ten", kind=Kind.PASS, unit_amount=12_000, currency="eur", quantity=1)
    return reserved(
        checkout_id="co_1",
        customer_id="ada",
        cart=cart,
        provider="stripe",
        success_url="https://shop.example/success",
        cancel_url="https://shop.example/cancel",
        lifetime_s=86_400,
        now=T0,
    )


def opened() -> Checkout:
    return opened_until(T0 + 86_400)


def opened_until(expires_at: int) -> Checkout:
    return new().opened(token="cs_1", url="https://pay.example", expires_at=expires_at, now=T0 + 1)


REACHED: dict[CheckoutStatus, Callable[[], Checkout]] = {
    CheckoutStatus.OPENING: new,
    CheckoutStatus.OPEN: opened,
    CheckoutStatus.COMPLETED: lambda: opened().completed(now=T0 + 2),
    CheckoutStatus.EXPIRED: lambda: opened().expired(now=T0 + 2),
    CheckoutStatus.INVALIDATED: lambda: opened().invalidated(by="co_2", now=T0 + 2),
}
MOVES: dict[CheckoutStatus, Callable[[Checkout], Checkout]] = {
    CheckoutStatus.OPEN: lambda one: one.opened(token="cs_2", url="https://pay.example", expires_at=T0 + 9, now=T0 + 3),
    CheckoutStatus.COMPLETED: lambda one: one.completed(now=T0 + 3),
    CheckoutStatus.EXPIRED: lambda one: one.expired(now=T0 + 3),
    CheckoutStatus.INVALIDATED: lambda one: one.invalidated(by="co_3", now=T0 + 3),
}
LEGAL = {
    (CheckoutStatus.OPENING, CheckoutStatus.OPEN),
    (CheckoutStatus.OPENING, CheckoutStatus.COMPLETED),
    (CheckoutStatus.OPENING, CheckoutStatus.EXPIRED),
    (CheckoutStatus.OPENING, CheckoutStatus.INVALIDATED),
    (CheckoutStatus.OPEN, CheckoutStatus.COMPLETED),
    (CheckoutStatus.OPEN, CheckoutStatus.EXPIRED),
    (CheckoutStatus.OPEN, CheckoutStatus.INVALIDATED),
    (CheckoutStatus.EXPIRED, CheckoutStatus.COMPLETED),
    (CheckoutStatus.INVALIDATED, CheckoutStatus.COMPLETED),
}


@pytest.mark.parametrize("start", list(CheckoutStatus))
@pytest.mark.parametrize("end", list(MOVES))
def test_a_checkout_moves_along_its_arrows_and_nowhere_else(start: CheckoutStatus, end: CheckoutStatus) -> None:
    if (start, end) in LEGAL:
        assert MOVES[end](REACHED[start]()).status is end
    else:
        with pytest.raises(IllegalTransition, match=f"{start} -> {end}"):
            MOVES[end](REACHED[start]())


def test_nothing_leads_back_to_opening() -> None:
    assert all(CheckoutStatus.OPENING not in ends for ends in TRANSITIONS.values())


def test_late_money_completes_what_had_ended() -> None:
    assert REACHED[CheckoutStatus.EXPIRED]().completed(now=T0 + 9).status is CheckoutStatus.COMPLETED
    assert REACHED[CheckoutStatus.INVALIDATED]().completed(now=T0 + 9).status is CheckoutStatus.COMPLETED


def test_readers_see_an_open_checkout_as_expired_from_its_deadline_on() -> None:
    checkout = opened()
    assert checkout.seen(now=T0 + 86_399) is CheckoutStatus.OPEN
    assert checkout.seen(now=T0 + 86_400) is CheckoutStatus.EXPIRED
    assert not checkout.holds_slot(now=T0 + 86_400)


def test_a_reservation_that_nobody_finishes_frees_its_slot_after_two_minutes() -> None:
    assert new().holds_slot(now=T0 + 119)
    assert not new().holds_slot(now=T0 + 120)


def test_one_that_is_asked_for_again_has_two_more_minutes_from_then_on() -> None:
    again = new().reserved_again(now=T0 + 300)
    assert again.holds_slot(now=T0 + 419)
    assert not again.holds_slot(now=T0 + 420)


def test_opening_the_page_does_not_move_when_the_checkout_is_due() -> None:
    assert new().due_at == opened_until(T0 + 86_400).due_at == T0 + 120


def test_an_open_page_is_looked_at_ever_less_often_and_when_it_ends() -> None:
    checkout, looks, now = opened_until(T0 + 3 * 3_600 + 60), [], T0
    while now < checkout.expires_at:
        now = checkout.next_look(now=now)
        looks.append(now - T0)
    assert looks == [120, 300, 900, 3_600, 7_200, 10_800, 10_860]


def test_a_page_that_nobody_ever_saw_is_looked_at_thirty_times_at_most() -> None:
    checkout, looks, now = opened_until(T0 + 86_400), 0, T0
    while now < checkout.expires_at:
        now, looks = checkout.next_look(now=now), looks + 1
    assert looks <= 30


def test_an_invalidated_page_is_due_to_be_closed_at_once_and_a_reservation_has_none() -> None:
    assert opened().invalidated(by="co_2", now=T0 + 5).due_at == T0 + 5
    assert new().invalidated(by="co_2", now=T0 + 5).due_at is None


def test_a_page_that_cannot_be_closed_is_tried_later_and_later_up_to_an_hour() -> None:
    checkout, waits = opened().invalidated(by="co_2", now=T0), []
    for _ in range(9):
        checkout = checkout.postponed(now=T0)
        waits.append((checkout.due_at or 0) - T0)
    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_a_dead_answer_is_never_asked_for_again_under_the_same_key() -> None:
    assert new().idempotency_key == "co_1"
    assert new().retried().idempotency_key == "co_1.1"


def test_one_purchase_is_everything_that_is_linked_however_far_and_in_circles() -> None:
    chain = [replace(new(), checkout_id=f"co_{n}", replaces=f"co_{n - 1}") for n in range(1, 200)]
    back = replace(new(), checkout_id="co_200", recovers="co_150", replaced_by="co_1")
    purged = replace(new(), checkout_id="co_201", replaces="co_long_gone")
    among = [*chain, back, purged, replace(new(), checkout_id="alone")]
    found = {one.checkout_id for one in same_purchase(chain[0], among)}
    assert found == {f"co_{n}" for n in range(2, 201)}
    assert same_purchase(purged, among) == []
