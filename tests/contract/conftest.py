from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.drive import Driver
from tools.fakes.server import serve


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """One set of stand-ins for the tests of a module; each test has customers of its own."""
    with serve(state=tmp_path_factory.mktemp("fakes")) as fakes:
        driver = Driver(fakes)
        yield driver
        driver.close()


@pytest.fixture
def driver(running: Driver) -> Iterator[Driver]:
    """The module's stand-ins, whose clock stands still, with all faults off again afterwards."""
    running.dev("clock", {"stand_still": True})
    yield running
    running.dev("faults", {})


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"
