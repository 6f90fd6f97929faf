"""The reconciler dies at each of its calls; the next run finds all that it left, and settles nothing twice."""

import itertools
from collections import Counter
from collections.abc import Callable

import pytest
from paidup.flows.objects import reconcile_objects
from paidup.flows.reconcile import SAVED_EVERY, reconcile
from paidup.model.purchase import Purchase
from paidup.model.reconciliation import EVERY_S, WEBHOOKS_COME_WITHIN_S

from tools.soak.clock import ADA, crash
from tools.soak.state_machine import StateMachine

LEASE_S = 240
FEWEST_CALLS = 8


def read_events(life: StateMachine, run_id: str) -> None:
    life.attempt(lambda: reconcile(life.services, run_id=run_id, now=life.now, time_left=lambda: float(LEASE_S)))


def read_objects(life: StateMachine, run_id: str) -> None:
    life.attempt(
        lambda: reconcile_objects(life.services, run_id=run_id, now=life.now, time_left=lambda: float(LEASE_S))
    )


def die(life: StateMachine, calls: int, *, after: bool) -> None:
    """Let the next run die at the call after *calls* more, before it is made or *after*. A dead run makes no more."""

    def dead() -> None:
        life.prepare(0, dead)
        crash()

    def dies() -> Callable[[], None] | None:
        life.prepare(0, dead)
        if not after:
            crash()
        return crash

    life.prepare(calls, dies)


def said_twice(life: StateMachine, who: str = ADA) -> list[tuple[str, str]]:
    """Return what stands on the timeline more than once: a change of a register, and how it changed."""
    entries = life.services.table.timeline(who)
    return [one for one, times in Counter((one.register, one.change) for one in entries).items() if times > 1]


@pytest.mark.parametrize("offer", ["ten", "month", "live"])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("run", [read_events, read_objects])
def test_a_run_that_dies_at_any_call_is_finished_by_the_next(
    run: Callable[[StateMachine, str], None], offer: str, *, after: bool
) -> None:
    for calls in itertools.count():
        life = StateMachine()
        life.open_the_shop(told=False, owns="", knows=False)
        life.pay_at_once(offer=offer)
        life.pass_time(WEBHOOKS_COME_WITHIN_S)

        die(life, calls, after=after)
        run(life, "dies")
        life.pass_time(LEASE_S)
        run(life, "next")

        (bought,) = life.all_of(Purchase)
        assert bought.access(now=life.now, policy=life.services.policy)
        assert said_twice(life) == []
        life.teardown()
        if not life.interrupted:  # the run made fewer calls than that
            assert calls >= FEWEST_CALLS
            return


@pytest.mark.parametrize("after", [False, True])
def test_the_end_of_a_subscription_is_found_by_the_next_reading_if_one_dies_at_any_call(*, after: bool) -> None:
    for calls in itertools.count():
        life = StateMachine()
        life.open_the_shop(told=False, owns="month", knows=True)
        life.pass_time(WEBHOOKS_COME_WITHIN_S)
        read_objects(life, "first")
        for plan in life.provider.plans.values():
            life.provider.cancel(plan)
        life.pass_time(EVERY_S)

        die(life, calls, after=after)
        read_objects(life, "dies")
        life.pass_time(LEASE_S)
        read_objects(life, "next")

        (bought,) = life.all_of(Purchase)
        assert not bought.access(now=life.now, policy=life.services.policy)
        assert life.account().running == ()
        assert said_twice(life) == []
        if not life.interrupted:  # the run made fewer calls than that
            assert calls >= FEWEST_CALLS
            return


def many_buy(life: StateMachine) -> list[str]:
    """Let customers buy, one event each, and return who they are: those of the middle were heard, all others not.

    The cursor is saved among those whom nobody has heard.
    """
    buyers = [f"buyer-{n}" for n in range(SAVED_EVERY + 3)]
    for n, life.who in enumerate(buyers):
        life.pay_at_once(offer=("ten", "live")[n % 2])
        if 2 <= n < SAVED_EVERY - 2:
            life.hear(n)
    assert len(life.provider.told) == len(buyers)
    return buyers


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("run", [read_events, read_objects])
def test_nothing_is_skipped_wherever_a_run_dies_among_many(
    run: Callable[[StateMachine, str], None], *, after: bool
) -> None:
    for calls in itertools.count():
        life = StateMachine()
        life.open_the_shop(told=False, owns="", knows=False)
        buyers = many_buy(life)
        life.pass_time(WEBHOOKS_COME_WITHIN_S)

        die(life, calls, after=after)
        run(life, "dies")
        life.pass_time(LEASE_S)
        run(life, "next")

        table = life.services.table
        assert [one for one in buyers if not table.account(one).current_access(now=life.now)] == []
        assert [one for one in buyers if said_twice(life, one)] == []
        if not life.interrupted:  # the run made fewer calls than that
            assert calls > len(buyers)
            return
