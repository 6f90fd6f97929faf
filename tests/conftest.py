"""What every test that drives a function needs: MiniStack, the stand-ins, and a world of its own."""

import gc
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

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

# The longest files come first, so that no processor waits for them in the end. Those of one line share what is costly
# to start, a local stack or a crowd: one worker runs them, one after the other, and ends it when they are done. A stack
# that only waits costs too: it looks at its queues, its stream and its code all the time.
FIRST = (
    ("storefront/test_browser.py", "storefront/test_scenes.py"),
    ("concurrency/test_deliveries.py", "concurrency/test_clicks.py", "concurrency/test_uses.py"),
    (
        "local/test_cli.py",
        "local/test_door.py",
        "local/test_gateway.py",
        "local/test_streams.py",
        "local/test_triggers.py",
    ),
    ("built/test_built.py",),
    ("local/test_stack.py",),
    ("functions/test_strangers.py",),
    ("contract/test_provider.py",),
    ("architecture/test_imports.py",),
    ("functions/test_late_money.py",),
    ("contract/test_subscription_changes.py",),
    ("storefront/test_accessibility.py",),
    ("functions/test_already_subscribed.py",),
    ("soak/test_state_machine.py",),
    ("soak/test_day.py",),
    ("functions/test_items.py",),
)
TURN = {f"tests/{file}": turn for turn, together in enumerate(FIRST) for file in together}


class _Together(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return f"FIRST[{TURN[file]}]" if file in TURN else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    """With `--dist loadfile`, hand out whole files, those of one line of `FIRST` to one worker."""
    return _Together(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest."""
    items.sort(key=lambda item: TURN.get(item.nodeid.partition("::")[0], len(FIRST)))


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
