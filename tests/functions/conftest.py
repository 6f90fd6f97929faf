"""What the functions' tests share: a world for a whole module, a buyer of one's own, and the wire to Stripe."""

import os
from collections.abc import Iterator

import httpx
import pytest

from tests.functions.wire import Wire, wire_to
from tests.world import OFFERS, World, settle_in
from tools.local import ministack
from tools.standins import serve


@pytest.fixture(scope="module")
def town(aws: ministack.Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world for all tests of a module, which use it as `world` and keep apart by a buyer of their own each."""
    before = dict(os.environ)
    folder = tmp_path_factory.mktemp("town")
    with serve(state=folder / "standins", clock_file=folder / "clock") as standins, httpx.Client(timeout=20) as http:
        settle_in(aws.account(), standins)
        made = World(standins, http)
        for offer in OFFERS:
            made.shop.table.put_offer(offer)
        yield made
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def buyer(world: World) -> str:
    """A customer whom no other test has."""
    return world.customer()


@pytest.fixture
def wire(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """The wire between the functions and Stripe."""
    with wire_to(f"{world.standins.url}/stripe") as made:
        monkeypatch.setenv("PAIDUP_STRIPE_API_BASE", made.url)
        yield made
