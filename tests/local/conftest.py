"""A stack that says back what reaches it, for tests of the local stack itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.local import background
from tools.local.background import Background

ECHO = Path(__file__).parent / "echo/template.yaml"


@pytest.fixture(scope="session")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Background]:
    """A stack of tests/local/echo/template.yaml with two workers a function."""
    folder = tmp_path_factory.mktemp("echo") / "stack"
    with background.running(folder, "--template", str(ECHO), "--workers", "2") as stack:
        yield stack
