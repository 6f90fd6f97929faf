"""What the tests of many at once share: the crowd, and where it is at work."""

import os
from collections.abc import Iterator

import pytest

from tests.concurrency.crowd import Crowd, Place, gathered
from tests.world import World


@pytest.fixture(scope="package")
def crowd() -> Iterator[Crowd]:
    """Many processes in which functions are invoked at once."""
    with gathered() as made:
        yield made


@pytest.fixture
def here(world: World) -> Place:
    """Where the functions are."""
    names = [name for name in os.environ if name.startswith(("AWS_", "PAIDUP_"))]
    return Place({name: os.environ[name] for name in names}, world.fakes)
