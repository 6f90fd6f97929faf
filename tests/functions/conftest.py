"""What the functions' tests share: the wire to Stripe, two clocks that differ, and a story."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.functions.billing import Issuer, issuing
from tests.functions.clocks import Skewed, Uptime
from tests.functions.sockets import Gateway, Sockets, gateway_running
from tests.functions.story import Story
from tests.functions.wire import Wire, wire_to
from tests.world import World


@pytest.fixture
def wire(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """The wire between the functions and Stripe."""
    with wire_to(f"{world.fakes.url}/stripe") as made:
        monkeypatch.setenv("PAIDUP_STRIPE_API_BASE", made.url)
        yield made


@pytest.fixture
def issuer(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    """paidup's API as verifiers of billing tokens reach it. No gate has seen it before."""
    with issuing() as made:
        monkeypatch.setenv("PAIDUP_BILLING_ISSUER", made.url)
        yield made


@pytest.fixture
def uptime(monkeypatch: pytest.MonkeyPatch) -> Uptime:
    """The machine's clock that only runs on stands still, at a whole second, so that sums are exact."""
    made = Uptime(float(int(time.monotonic())))
    monkeypatch.setattr(time, "monotonic", lambda: made.now)
    return made


@pytest.fixture(params=[-60, 60])
def skewed(world: World, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Skewed:
    """The functions' clock a minute behind Stripe's, and a minute ahead of it; both stand still."""
    monkeypatch.setenv("PAIDUP_CLOCK_FILE", str(tmp_path / "clock"))
    return Skewed(world, tmp_path / "clock", request.param)


@pytest.fixture
def story(world: World, buyer: str) -> Iterator[Story]:
    """What the test's own buyer goes through; no renewal of theirs gets into the next test."""
    made = Story(world, buyer)
    yield made
    made.cancel()


@pytest.fixture
def completed(story: Story) -> dict[str, Any]:
    """Stripe's event of a page on which the buyer has paid for a pass; nobody has heard of it yet."""
    story.buys("ten_class_pass")
    (event,) = story.news("checkout.session.completed")
    return event


@pytest.fixture
def gateway(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    """API Gateway's side of the WebSocket API."""
    with gateway_running() as made:
        monkeypatch.setenv("PAIDUP_REALTIME_URL", made.url)
        yield made


@pytest.fixture
def sockets(world: World, gateway: Gateway) -> Sockets:
    """Tabs that connect."""
    return Sockets(world, gateway)
