"""What every test that drives a function needs: MiniStack, the stand-ins, and a world of its own."""

import gc
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tools.local import ministack

# Functions check their settings when they are imported; each test's world then sets its own.
os.environ |= {
    "PAIDUP_TABLE": "paidup",
    "PAIDUP_STRIPE_SECRET": "paidup/stripe",
    "PAIDUP_WEBHOOK_QUEUE_URL": "http://127.0.0.1/queue",
    "PAIDUP_DEAD_LETTERS_URL": "http://127.0.0.1/dead-letters",
    "PAIDUP_ALLOWED_ORIGINS": "http://127.0.0.1:8787",
    "PAIDUP_IDENTITY_ISSUER": "http://127.0.0.1:8788/identity",
    "PAIDUP_IDENTITY_AUDIENCE": "paidup",
    "PAIDUP_IDENTITY_JWKS_URL": "http://127.0.0.1:8788/identity/.well-known/jwks.json",
    "PAIDUP_API_URL": "http://127.0.0.1:8787",
    "PAIDUP_REALTIME_URL": "ws://127.0.0.1:8787/realtime",
    "PAIDUP_SIGNING_KEYS_SECRET": "paidup/signing-keys",
    "PAIDUP_BILLING_ISSUER": "http://127.0.0.1:8787",
    "PAIDUP_BILLING_AUDIENCE": "paidup",
    "AWS_DEFAULT_REGION": "eu-west-1",
}

from tests.world import World, opened
from tools.fakes.memory.table import MemoryTable
from tools.fakes.server import Fakes, serve

LONGEST = (
    "test_browser.py",
    "test_stack.py",
    "test_deliveries.py",
    "test_state_machine.py",
    "test_built.py",
    "test_strangers.py",
    "test_late_money.py",
    "test_items.py",
    "test_scenes.py",
    "test_clicks.py",
    "test_day.py",
    "test_accessibility.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that no processor waits for them in the end."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


def pytest_collection_finish() -> None:
    """Leave what was imported and collected out of every search for garbage from now on: it is there to stay."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line for each reason how many tests it skipped."""
    reports = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[-1].removeprefix("Skipped: ") for report in reports)
    for reason, count in reasons.items():
        terminalreporter.line(f"{count} skipped: {reason}", yellow=True)


@pytest.fixture(scope="session")
def aws() -> Iterator[ministack.Running]:
    """MiniStack, for as long as the tests run."""
    with ministack.running() as running:
        yield running


@pytest.fixture(scope="module")
def fakes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fakes]:
    """Stripe and the identity provider, for all tests of a module."""
    with fakes_in(tmp_path_factory.mktemp("fakes")) as running:
        yield running


@pytest.fixture(scope="module")
def world(request: pytest.FixtureRequest, aws: ministack.Running, fakes: Fakes) -> Iterator[World]:
    """A world for all tests of a module, which keep apart by a buyer of their own each. Its clock stands still.

    Its table is in memory, which is held to what MiniStack does by tests/contract/test_table.py. A module marked
    `ministack` has MiniStack's: where many processes write at once, or the table's stream is read.
    """
    environment = aws.account()
    with opened(
        environment, fakes, None if request.node.get_closest_marker("ministack") else rows_of(environment)
    ) as it:
        yield it


@pytest.fixture
def fresh_world(aws: ministack.Running, tmp_path: Path) -> Iterator[World]:
    """A world of one test's own, where nothing has happened yet but that there are offers."""
    environment = aws.account()
    with fakes_in(tmp_path) as running, opened(environment, running, rows_of(environment)) as made:
        yield made


@pytest.fixture
def buyer(world: World) -> str:
    """A customer whom no other test has."""
    return world.customer()


def rows_of(environment: Mapping[str, str]) -> MemoryTable:
    """Return an empty table in memory under the name that *environment* says."""
    return MemoryTable(environment["PAIDUP_TABLE"])


def fakes_in(folder: Path) -> AbstractContextManager[Fakes]:
    """Run fakes that keep their state and their clock in *folder*."""
    return serve(state=folder / "fakes", clock_file=folder / "clock")
