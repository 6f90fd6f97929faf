"""The commands that README and docs/api.md show: a reader who pastes them, one after another, gets what is promised."""

import subprocess
from collections.abc import Iterator

import pytest

from tests.documents import blocks
from tools.local import background
from tools.local.background import Background
from tools.local.template import ROOT

# A command that fails ends it, and so does a refusal, which curl alone would not take for a failure.
PREAMBLE = """
set -euo pipefail
curl() { command curl --fail-with-body "$@" && echo; }
"""


@pytest.fixture(scope="module")
def local_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Background]:
    """The local stack as `make run` starts it."""
    with background.running(tmp_path_factory.mktemp("documented") / "stack") as running:
        yield running


@pytest.mark.parametrize("document", ["README.md", "docs/api.md"])
def test_the_commands_of_a_document_work_in_their_order(document: str, local_stack: Background) -> None:
    commands = "\n".join(blocks(ROOT / document, "bash"))
    commands = commands.replace("http://127.0.0.1:8787", local_stack.url).replace(
        "http://127.0.0.1:8788", local_stack.fakes_url
    )

    done = subprocess.run(  # noqa: S603 - what it runs stands in our own documents
        ["bash", "-c", PREAMBLE + commands],  # noqa: S607 - wherever the reader has it
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert '"state":"active"' in done.stdout.replace(": ", ":")
