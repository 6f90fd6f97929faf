"""The commands that README and docs/api.md show: a reader who pastes them, one after another, gets what is promised."""

import json
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import patient
from tests.documents import blocks
from tests.skipping import skip
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


def test_the_readmes_first_purchase_is_active(local_stack: Background) -> None:
    assert '"state":"active"' in run("README.md", local_stack).replace(": ", ":")


def test_the_commands_of_the_api_work_in_their_order_and_charge_what_they_say(local_stack: Background) -> None:
    """A second subscription is refused, and charges nothing. A change leaves one subscription, with one proration."""
    printed = run("docs/api.md", local_stack).replace(": ", ":")

    assert '"state":"active"' in printed
    assert '"type":"urn:paidup:problem:already-subscribed"' in printed
    (plan,) = at_stripe(local_stack, "subscriptions", status="all")
    assert plan["items"]["data"][0]["price"]["recurring"]["interval"] == "year"
    bills = [one["billing_reason"] for one in at_stripe(local_stack, "invoices")]
    assert bills == ["subscription_update", "subscription_create"]


def test_the_doctor_finds_the_local_stack_well_and_the_report_is_drawn(local_stack: Background, tmp_path: Path) -> None:
    findings: dict[str, str] = {}

    def well() -> bool:
        """Everything is well, also what runs by the clock"""
        code, found = asked(local_stack, "doctor")
        findings.update({one["check"]: one["verdict"] for one in found})
        return code == 0

    patient.eventually(well)
    assert {check for check, verdict in findings.items() if verdict != "ok"} <= {"alarms", "API version"}

    code, told = asked(local_stack, "report", "--picture", str(tmp_path / "month.svg"))
    assert (code, told["cases_opened"]) == (0, 0)
    assert (tmp_path / "month.svg").read_text().startswith("<svg")


def run(document: str, stack: Background) -> str:
    """Run the commands of *document* against the stack, and return what they print."""
    if not shutil.which("curl"):
        skip("there is no curl on this machine: apt install curl")
    commands = "\n".join(blocks(ROOT / document, "bash")).replace("http://127.0.0.1:8787", stack.url)
    commands = commands.replace("http://127.0.0.1:8788", stack.fakes_url)
    done = subprocess.run(  # noqa: S603 - what it runs stands in our own documents
        ["bash", "-c", PREAMBLE + commands],  # noqa: S607 - wherever the reader has it
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def at_stripe(stack: Background, things: str, **asked: str) -> list[Any]:
    """Return the newest *things* at the stack's Stripe, the newest first."""
    url, key = f"{stack.fakes_url}/stripe/v1/{things}", ("sk_test_local", "")
    found: list[Any] = patient.get(url, params={"limit": "100", **asked}, auth=key).json()["data"]
    return found


def asked(stack: Background, *words: str) -> tuple[int, Any]:
    """Run `paidup` with *words*, and return its exit code and its JSON."""
    paidup = Path(sysconfig.get_path("scripts")) / "paidup"
    command = [str(paidup), "--folder", str(stack.folder), *words, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    return done.returncode, json.loads(done.stdout)
