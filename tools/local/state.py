"""The folder in which a local stack keeps its data, its logs and word of where it runs."""

import contextlib
import fcntl
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tools.fakes.clock import time_in
from tools.local.children import NotStarted
from tools.local.template import ROOT

FOLDER = ROOT / ".paidup"
LOCK = "lock"


class NotRunning(Exception):
    """No local stack runs on a folder."""


@contextmanager
def hold(folder: Path, *, fresh: bool) -> Iterator[Path]:
    """Hold *folder* for one stack alone, emptied first if *fresh*. Raises NotStarted if another stack holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise NotStarted(f"A local stack runs on {folder} already: end that one first.") from None
        if fresh:
            _empty(folder)
        (folder / "logs").mkdir(exist_ok=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder / "tmp", ignore_errors=True)


@contextmanager
def announced(folder: Path, where: Mapping[str, Any]) -> Iterator[None]:
    """Say in stack.json *where* the stack is, for as long as it runs."""
    file = folder / "stack.json"
    draft = file.with_suffix(".draft")
    draft.write_text(json.dumps(where, indent=2) + "\n")
    draft.replace(file)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def announcement(folder: Path = FOLDER) -> dict[str, Any]:
    """Return where the stack on *folder* is (see `announced`). Raises NotRunning."""
    with contextlib.suppress(FileNotFoundError):
        where: dict[str, Any] = json.loads((folder / "stack.json").read_text())
        with (folder / LOCK).open("r+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return where
    raise NotRunning(f"No local stack runs on {folder}: start it with `make run`.")


def clock(file: Path) -> Callable[[], float]:
    """Return the stack's clock, in epoch seconds: the machine's, as far as *file* does not move or stop it."""
    return partial(time_in, file)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name == LOCK:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
