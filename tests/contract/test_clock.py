"""The clock of the fakes, which the functions share: it is moved, it is stopped, and it never goes back."""

import time
from pathlib import Path

import pytest
from paidup.edge import clock

from tests import patient
from tests.contract.drive import Driver
from tools.fakes.server import serve
from tools.local import state


@pytest.fixture
def shared_clock(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which the functions read the fakes' time."""
    monkeypatch.setenv("PAIDUP_CLOCK_FILE", str(driver.fakes.clock_file))
    return driver.fakes.clock_file


def wait_for_the_next_second() -> None:
    second = int(time.time())
    while int(time.time()) == second:
        time.sleep(0.02)


def test_a_clock_that_stands_still_shows_one_second_to_everybody(driver: Driver, shared_clock: Path) -> None:
    stopped = driver.dev("clock", {"stand_still": True})

    wait_for_the_next_second()

    assert stopped["stands_still"] is True
    assert driver.dev("clock")["now"] == stopped["now"]
    assert clock.now() == int(state.clock(shared_clock)()) == stopped["now"]
    assert driver.customer().created == stopped["now"]


def test_seconds_pass_on_a_clock_that_stands_still_when_they_are_told_to(driver: Driver, shared_clock: Path) -> None:
    stopped = driver.dev("clock", {"stand_still": True})

    moved = driver.dev("clock", {"advance_s": 90})

    assert moved["now"] == clock.now() == stopped["now"] + 90
    assert moved["stands_still"] is True


def test_a_clock_that_stood_still_runs_on_from_its_second(driver: Driver, shared_clock: Path) -> None:
    stopped = driver.dev("clock", {"stand_still": True, "advance_s": 3_600})

    running = driver.dev("clock", {"stand_still": False})
    wait_for_the_next_second()

    assert running["stands_still"] is False
    assert stopped["now"] < clock.now() <= driver.dev("clock")["now"]


def test_a_clock_stands_still_over_a_restart(tmp_path: Path) -> None:
    told = []
    for change in ({"stand_still": True}, {"advance_s": 60}):
        with serve(state=tmp_path / "state", clock_file=tmp_path / "clock") as fakes:
            told.append(patient.post(f"{fakes.url}/dev/clock", json=change).json())

    assert told[1]["now"] == told[0]["now"] + 60


@pytest.mark.parametrize("body", [{"stand_still": 1}, {"stand_still": None}, {"stand_still": "yes"}])
def test_a_clock_is_not_stopped_by_guesswork(driver: Driver, body: dict[str, object]) -> None:
    assert driver.http.post("/dev/clock", json=body).status_code == 400
