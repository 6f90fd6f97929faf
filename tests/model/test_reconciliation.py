"""When the objects of a provider are read, and how far back."""

import pytest
from paidup.model.reconciliation import DEEP_S, OVERLAP_S, RUN_EVERY_S, Round, Stage, looks_behind, next_round

from tools.local import template

HOUR, DAY = 3_600, 86_400
NOON = 1_795_251_600


def a_round(began_at: int = NOON, *, stage: Stage = Stage.DONE, deep_at: int = NOON) -> Round:
    return Round(began_at=began_at, since=began_at - OVERLAP_S, deep_at=deep_at, stage=stage)


def test_the_first_round_looks_back_for_thirty_days() -> None:
    assert next_round(None, now=NOON) == Round(began_at=NOON, since=NOON - DEEP_S, deep_at=NOON)


def test_a_round_that_is_not_done_goes_on_at_once() -> None:
    unfinished = a_round(stage=Stage.RUNNING).moved("ada")

    assert next_round(unfinished, now=NOON + 300) == unfinished


def test_no_round_begins_within_an_hour_of_the_last() -> None:
    assert next_round(a_round(), now=NOON + HOUR - 1) is None


def test_a_round_reaches_back_a_day_before_the_last_began() -> None:
    began = next_round(a_round(), now=NOON + HOUR)

    assert began == Round(began_at=NOON + HOUR, since=NOON - OVERLAP_S, deep_at=NOON)


def test_once_a_day_a_round_looks_back_for_thirty_days() -> None:
    began = next_round(a_round(NOON + DAY - HOUR), now=NOON + DAY)

    assert began == Round(began_at=NOON + DAY, since=NOON + DAY - DEEP_S, deep_at=NOON + DAY)


def test_after_a_long_outage_nothing_is_left_out() -> None:
    began = next_round(a_round(NOON, deep_at=NOON), now=NOON + 60 * DAY)

    assert began is not None
    assert began.since == NOON - OVERLAP_S


def test_runs_come_as_often_as_the_template_says() -> None:
    (schedule,) = [one for one in template.read().schedules if one.function == "reconcile_payments"]

    assert schedule.every_s == RUN_EVERY_S


@pytest.mark.parametrize("first", [0, 1, 299])
def test_whenever_runs_begin_one_or_two_of_each_hour_look_behind_the_place_that_was_reached(first: int) -> None:
    runs = range(NOON - NOON % HOUR + first, NOON + HOUR, RUN_EVERY_S)[:12]

    assert sum(looks_behind(now=now) for now in runs) in (1, 2)
