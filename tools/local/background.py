"""A local stack in the background: started as `make run` starts it, on free ports, for as long as a test needs it."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.local import state
from tools.local.cloud import Cloud
from tools.local.template import ROOT

START_S = 180
STOP_S = 60


class Failed(Exception):
    """The stack did not start, or did not end well. The message is what the stack said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """A stack that runs: where it is, and the folder with its data and logs."""

    url: str
    fakes_url: str
    folder: Path
    process: subprocess.Popen[bytes]
    where: Mapping[str, Any]

    @property
    def aws(self) -> Cloud:
        """The account at MiniStack that the functions work on."""
        return Cloud(endpoint=self.where["aws"]["AWS_ENDPOINT_URL"])

    @property
    def functions(self) -> Any:
        """A boto3 client that invokes the functions by the names of their folders."""
        return Cloud(endpoint=self.where["invocations_url"]).client("lambda")

    @property
    def console(self) -> str:
        """What it told the engineer so far."""
        return _console(self.folder).read_text()


@contextmanager
def running(folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[Background]:
    """Run a local stack on free ports, with its data in *folder*, until the block ends.

    *arguments* are those of `python -m tools.local`. Raises Failed with what the stack said when it does not start,
    or does not end on SIGTERM as it should.

        with background.running(tmp_path) as stack:
            httpx.get(f"{stack.url}/offers")
    """
    process = _start(folder, arguments, environment or {})
    try:
        where = _wait(folder, process)
        yield Background(url=where["url"], fakes_url=where["fakes_url"], folder=folder, process=process, where=where)
    finally:
        process.terminate()
        try:
            code = process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
    if code:
        raise Failed(_console(folder).read_text())


def _start(folder: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tools.local", "--port", "0", "--folder", str(folder), *arguments]
    with _console(folder).open("wb") as console:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
            stdout=console,
            stderr=console,
        )


def _wait(folder: Path, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(state.NotRunning):
            where = state.announcement(folder)
            if where["pid"] == process.pid:
                return where
        time.sleep(0.1)
    raise Failed(_console(folder).read_text())


def _console(folder: Path) -> Path:
    """Return where the stack's own words go. Beside the folder, which may be emptied."""
    return folder.with_name(f"{folder.name}.console")
