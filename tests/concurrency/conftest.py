"""What the tests of many at once share: the crowd, and one town that it works in."""

import os
from collections.abc import Iterator

import pytest

from tests.concurrency.crowd import Crowd, Place, gathered
from tests.world import World, opened
from tools.fakes.server import Fakes, serve
from tools.local import ministack


@pytest.fixture(scope="package")
def crowd() -> Iterator[Crowd]:
    """Many processes in which functions are invoked at once."""
    with gathered() as made:
        yield made


@pytest.fixture(scope="module")
def fakes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fakes]:
    """Stripe, for all of these tests: each has customers of its own."""
    folder = tmp_path_factory.mktemp("crowd")
    with serve(state=folder / "fakes", clock_file=folder / "clock") as running:
        yield running


@pytest.fixture(scope="module")
def world(aws: ministack.Running, fakes: Fakes) -> Iterator[World]:
    """The town."""
    with opened(aws.account(), fakes) as made:
        yield made


@pytest.fixture
def place(world: World) -> Place:
    """Where the town is."""
    names = [name for name in os.environ if name.startswith(("AWS_", "PAIDUP_"))]
    return Place({name: os.environ[name] for name in names}, world.fakes)
