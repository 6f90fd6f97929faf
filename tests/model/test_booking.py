"""The states of a booking, and what the clock does to it."""

import pytest
from paidup.model.booking import LIVE_LASTS_S, Booking, BookingClosed, BookingStatus, waiting, waiting_since

T0 = 1_800_000_000


def new() -> Booking:
    return waiting(booking_id="co_1", customer_id="ada", purchase_id="co_1", offer_id="live", paid_at=T0, within_s=900)


def test_a_booking_can_be_accepted_until_its_last_second_and_lapses_from_the_next_one_on() -> None:
    assert new().accept("mia", now=T0 + 899).status is BookingStatus.LIVE
    with pytest.raises(BookingClosed, match="not accepted in time"):
        new().accept("mia", now=T0 + 900)
    assert new().expire(now=T0 + 900).status is BookingStatus.EXPIRED
    with pytest.raises(BookingClosed):
        new().expire(now=T0 + 899)


@pytest.mark.parametrize("ago_s", [-3_600, -60, -1, 0, 1, 60, 840, 3_660])
def test_the_time_of_a_booking_begins_when_its_payment_is_heard_of_within_the_hour(
    ago_s: int,
) -> None:
    assert waiting_since(T0 - ago_s, now=T0) == T0


@pytest.mark.parametrize("ago_s", [3_661, 86_400])
def test_the_time_of_a_booking_began_when_it_was_paid_where_that_is_old_news(ago_s: int) -> None:
    assert waiting_since(T0 - ago_s, now=T0) == T0 - ago_s


def test_a_session_that_nobody_finishes_is_over_after_a_day() -> None:
    live = new().accept("mia", now=T0 + 60)
    assert live.due_at == T0 + 60 + LIVE_LASTS_S
    with pytest.raises(BookingClosed):
        live.over(now=T0 + 60 + LIVE_LASTS_S - 1)
    assert live.over(now=T0 + 60 + LIVE_LASTS_S).status is BookingStatus.FINISHED


def test_a_booking_is_due_while_it_is_open_and_never_after() -> None:
    assert new().due_at == T0 + 900
    assert new().expire(now=T0 + 900).due_at is None
