"""Two functions at once, the one coming between any two calls of the other: which one wins is never left to luck."""

import pytest
from paidup.flows import book
from paidup.flows.expire import expire
from paidup.model.booking import Booking, BookingStatus
from paidup.model.checkout import Checkout

from tools.soak.state_machine import StateMachine, StateMachineOnCredit


@pytest.mark.parametrize("calls", range(13))
def test_a_key_opens_no_second_checkout_though_another_tab_clicks_in_the_midst_of_its_retry(calls: int) -> None:
    life = StateMachine()
    life.open_the_shop(told=True, owns="", knows=False)
    life.click_buy(offer="ten", quantity=1, key="key-1")
    life.prepare_a_race(calls=calls, what="click")
    life.click_buy(offer="ten", quantity=1, key="key-1")
    assert [one.cart.offer_id for one in life.all_of(Checkout)].count("ten") == 1


@pytest.mark.parametrize("calls", range(13))
@pytest.mark.parametrize("in_the_midst", ["accept", "sweep"])
@pytest.mark.parametrize("kind", [StateMachine, StateMachineOnCredit])
def test_accepted_in_the_last_second_and_swept_in_the_next_a_booking_is_either_live_or_lapsed_and_money_agrees(
    kind: type[StateMachine], in_the_midst: str, calls: int
) -> None:
    life = kind()
    life.open_the_shop(told=True, owns="live", knows=True)
    (booking,) = life.all_of(Booking)
    life.pass_time(booking.accept_by - life.now)
    accepted: list[Booking] = []

    def accept() -> None:
        accepted.append(book.accept(booking.booking_id, "mia", life.services, now=booking.accept_by - 1))

    def sweep() -> None:
        expire(life.services, now=booking.accept_by, time_left=lambda: 60.0)

    outer, inner = (sweep, accept) if in_the_midst == "accept" else (accept, sweep)
    life.prepare(calls, lambda: life.attempt(inner))
    life.attempt(outer)
    if not life.interrupted:  # it made fewer calls than that: the other comes after it
        life.attempt(inner)
    (found,), (charge,) = life.all_of(Booking), life.charges()
    assert found.status is (BookingStatus.LIVE if accepted else BookingStatus.EXPIRED)
    assert charge.kept == (charge.amount if accepted or life.generous else 0)
    life.teardown()
