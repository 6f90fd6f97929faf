"""One customer's life in any order; `make soak` lives it many more times."""

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tools.soak.state_machine import StateMachine, StateMachineOnCredit

ordinary = settings(max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))


def test_nobody_is_ever_stuck_and_no_money_is_lost() -> None:
    run_state_machine_as_test(StateMachine, settings=ordinary)


def test_nobody_is_ever_stuck_where_bookings_are_credited() -> None:
    run_state_machine_as_test(StateMachineOnCredit, settings=ordinary)
