"""One customer's life in any order; `make soak` lives it many more times."""

import logging
import secrets
import time

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tools.soak.day import drawn
from tools.soak.life import Life, LifeOnCredit


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """One customer in one thread has nobody to wait for, logs nothing that anybody reads, and can be lived again."""
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setattr(secrets, "token_hex", drawn)
    monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)


ordinary = settings(max_examples=100, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))


def test_nobody_is_ever_stuck_and_no_money_is_lost() -> None:
    run_state_machine_as_test(Life, settings=ordinary)


def test_nobody_is_ever_stuck_where_bookings_are_credited() -> None:
    run_state_machine_as_test(LifeOnCredit, settings=ordinary)
