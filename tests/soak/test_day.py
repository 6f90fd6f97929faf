"""A day without a single webhook ends as the day with all of them, within the budget, and nobody waits for long.

`make day` lives a longer one, with 500 purchases.
"""

import time
from pathlib import Path

import pytest
from paidup.model.bucket import Limits

from tools.soak.day import Day, Outcome, Plan, lived, verdict
from tools.soak.shop import opened

TIGHT = Limits(per_second=4, for_polls=2)
BROKEN = Limits(per_second=10_000, least_a_month=10**9)  # a bucket that lets everybody ask at once
KINDS = {"payment", "renewal", "change", "cancellation", "refund"}


@pytest.fixture(scope="module")
def day() -> Plan:
    """An hour in which sixteen customers buy, while few requests a second are allowed."""
    return Plan(purchases=16, hours=1, seed=1, reads=TIGHT)


@pytest.fixture(scope="module")
def without_webhooks(day: Plan) -> Outcome:
    """The day with every webhook lost."""
    return lived(day, dropped=True)


def test_without_any_webhook_the_day_ends_as_with_all_of_them(day: Plan, without_webhooks: Outcome) -> None:
    with_all = lived(day, dropped=False)

    assert verdict(without_webhooks, with_all, day.reads) == []
    assert {channel for (register, channel) in with_all.channels if register == "subscription"} == {"webhook"}


def test_the_day_has_all_that_it_promises(without_webhooks: Outcome) -> None:
    assert set(without_webhooks.waited) == KINDS
    assert without_webhooks.happened["tab closed"] == without_webhooks.happened["tab left open"] == 8
    assert {one.channel for one in without_webhooks.figures.channels} == {"poll", "sweep", "reconciler"}
    assert without_webhooks.figures.total.purchases == 16


def test_a_budget_that_lets_everybody_ask_at_once_is_caught(day: Plan) -> None:
    broken = lived(Plan(purchases=5, hours=1, seed=1, reads=BROKEN), dropped=True)

    assert "are allowed" in " ".join(broken.too_many(day.reads))


def test_what_people_do_while_a_function_waits_happens_in_its_second(day: Plan, tmp_path: Path) -> None:
    """Else they would be late by what it waits, and the day not the same as another."""
    with opened(tmp_path, at=day.begins, reads=TIGHT) as shop:
        lives, happened = Day(shop), list[int]()
        for second in (1, 3):
            lives.plan(day.begins + second, lambda: happened.append(shop.now - day.begins))
        lives.live(day.begins)

        time.sleep(2)

        assert happened == [1]
        assert shop.now == day.begins + 2
