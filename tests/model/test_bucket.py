"""The read budget, tested on literals: who may ask how often, who waits, and for how long."""

from dataclasses import replace

import pytest
from paidup.model.bucket import MONTH_S, Bucket, Limits
from paidup.model.fact import Channel

NOW = 1_795_251_600
LIMITS = Limits(per_second=20, for_polls=10, per_sale=500, least_a_month=10_000)
FULL = Bucket.full(LIMITS, now=NOW)
PATIENT = [Channel.SYNC, Channel.SWEEP, Channel.RECONCILER]


def drained(bucket: Bucket, channel: Channel, *, now: int = NOW, by: int = 5) -> tuple[Bucket, int]:
    """Take *by* at a time until nothing is granted. Return the bucket, and how much was taken."""
    total = 0
    while (taken := bucket.take(by, channel, LIMITS, now=now)).granted:
        bucket, total = taken.bucket, total + taken.granted
    return bucket, total


@pytest.mark.parametrize("channel", PATIENT)
def test_those_who_can_wait_leave_the_share_of_polls(channel: Channel) -> None:
    bucket, taken = drained(FULL, channel)

    assert (taken, bucket.tokens) == (10, 10)
    assert drained(bucket, Channel.POLL)[1] == 10


def test_polls_may_take_all() -> None:
    assert drained(FULL, Channel.POLL)[1] == 20


def test_a_clock_that_stands_still_or_is_behind_fills_nothing() -> None:
    bucket, _ = drained(FULL, Channel.POLL)

    assert drained(bucket, Channel.POLL)[1] == 0
    assert drained(bucket, Channel.POLL, now=NOW - 100)[1] == 0
    assert bucket.take(1, Channel.POLL, LIMITS, now=NOW).wait_s == 1


@pytest.mark.parametrize(("seconds", "filled"), [(1, 20), (3_600, 20)])
def test_it_fills_by_the_second_and_never_over(seconds: int, filled: int) -> None:
    bucket, _ = drained(FULL, Channel.POLL)

    assert drained(bucket, Channel.POLL, now=NOW + seconds)[1] == filled


def granted(used: int, channel: Channel, *, at: int, sold: int = 0) -> int:
    return replace(FULL, used=used, sold=sold).take(5, channel, LIMITS, now=NOW + at).granted


@pytest.mark.parametrize(
    ("day", "used", "sold", "reconciler", "sweep"),
    [
        (0, 799, 0, 5, 1),  # three days' 1,000 in advance, and four fifths of it
        (0, 1_000, 0, 0, 0),
        (14, 4_532, 0, 5, 1),
        (14, 5_664, 0, 2, 0),
        (29, 9_999, 0, 1, 0),
        (29, 10_000, 0, 0, 0),
        (29, 10_000, 20, 0, 0),  # 500 for each sale
        (29, 10_000, 21, 5, 0),
        (29, 10_000, 26, 5, 5),
    ],
)
def test_those_for_whom_nobody_waits_spend_the_month_evenly(
    day: int, used: int, sold: int, reconciler: int, sweep: int
) -> None:
    at = day * 86_400

    assert granted(used, Channel.RECONCILER, at=at, sold=sold) == reconciler
    assert granted(used, Channel.SWEEP, at=at, sold=sold) == sweep


@pytest.mark.parametrize("channel", [Channel.POLL, Channel.SYNC])
def test_people_are_answered_whatever_was_spent_in_the_month(channel: Channel) -> None:
    assert granted(1_000_000, channel, at=0) == 5


def test_who_has_spent_the_month_so_far_looks_again_in_a_minute() -> None:
    assert replace(FULL, used=10_000).take(1, Channel.SWEEP, LIMITS, now=NOW).wait_s == 60


def test_a_new_month_begins_anew() -> None:
    spent = replace(FULL, used=10_000, sold=3)

    anew = spent.take(1, Channel.RECONCILER, LIMITS, now=NOW + MONTH_S)
    assert (anew.granted, anew.bucket.used, anew.bucket.sold) == (1, 1, 0)


@pytest.mark.parametrize("channel", [Channel.POLL, *PATIENT])
def test_a_refusal_lets_everybody_wait(channel: Channel) -> None:
    closed = FULL.refused(now=NOW, retry_after_s=None)

    waiting = closed.take(1, channel, LIMITS, now=NOW + 1)
    assert (waiting.granted, waiting.wait_s) == (0, 1)
    assert closed.take(1, channel, LIMITS, now=NOW + 2).granted == 1


def test_refusals_in_a_row_double_the_pause_up_to_a_minute() -> None:
    bucket, now, pauses = FULL, NOW, []
    for _ in range(8):
        bucket = bucket.refused(now=now, retry_after_s=None)
        pauses.append(bucket.closed_until - now)
        now = bucket.closed_until

    assert pauses == [2, 4, 8, 16, 32, 64, 64, 64]
    assert bucket.refused(now=now + 64, retry_after_s=None).closed_until == now + 64 + 2


def test_the_provider_may_say_how_long() -> None:
    assert FULL.refused(now=NOW, retry_after_s=30).closed_until == NOW + 30
    assert FULL.refused(now=NOW, retry_after_s=30).refused(now=NOW, retry_after_s=1).closed_until == NOW + 30
    assert FULL.refused(now=NOW, retry_after_s=31_536_000).closed_until == NOW + 600


def test_what_was_given_back_the_month_has_again_and_the_second_has_not() -> None:
    taken = FULL.take(5, Channel.RECONCILER, LIMITS, now=NOW).bucket

    assert replace(taken.given_back(4), tokens=20) == replace(FULL, used=1)
    assert taken.given_back(4).tokens == taken.tokens
    assert FULL.given_back(4).used == 0  # a new month began since then
