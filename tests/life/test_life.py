"""One customer's life in any order; `make soak` lives it many more times."""

import logging
import secrets
import time

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from paidup.model.checkout import Checkout

from tools.soak.day import drawn
from tools.soak.life import Life, LifeOnCredit


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """One customer in one thread has nobody to wait for, logs nothing that anybody reads, and can be lived again."""
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setattr(secrets, "token_hex", drawn)
    monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)


ordinary = settings(max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))


def test_nobody_is_ever_stuck_and_no_money_is_lost() -> None:
    run_state_machine_as_test(Life, settings=ordinary)


def test_nobody_is_ever_stuck_where_bookings_are_credited() -> None:
    run_state_machine_as_test(LifeOnCredit, settings=ordinary)


@pytest.mark.parametrize("calls", range(13))
def test_a_key_opens_no_second_checkout_though_another_tab_clicks_in_the_midst_of_its_retry(calls: int) -> None:
    life = Life()
    life.open_the_shop(told=True, owns="", knows=False)
    life.click_buy(offer="ten", quantity=1, key="key-1")
    life.prepare_a_race(calls=calls, what="click")
    life.click_buy(offer="ten", quantity=1, key="key-1")
    assert [one.cart.offer_id for one in life.all_of(Checkout)].count("ten") == 1
