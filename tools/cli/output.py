"""How a command speaks: tables and colours to people at a terminal, plain lines to pipes, JSON to scripts."""

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from logging import StreamHandler
from typing import Any, TextIO, cast

from paidup.outside.log import logger
from rich.console import Console
from rich.table import Table
from rich.text import Text

PATIENCE_S = 1.0
NO_METRICS = "POWERTOOLS_METRICS_DISABLED"


class Stopped(Exception):
    """The command cannot do what it was asked for. The message says why, in one sentence."""


def show(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], *, as_json: bool, nothing: str) -> None:
    """Print *rows*: all they hold as JSON, else the fields that *columns* names by their titles.

    At a terminal, they are a table. In a pipe, they are a line a row, with tabs between the fields. Without any row,
    people read *nothing*.
    """
    if as_json:
        print_json(rows)
    elif not rows:
        print(nothing)
    elif sys.stdout.isatty():
        table = Table(*columns.values(), box=None, header_style="bold", pad_edge=False)
        for row in rows:
            table.add_row(*(Text(_text(row[name])) for name in columns))
        Console().print(table)
    else:
        for row in rows:
            print(*(_text(row[name]) for name in columns), sep="\t")


def print_json(value: Any) -> None:
    """Print *value* as JSON, coloured at a terminal."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    if sys.stdout.isatty():
        Console().print_json(text)
    else:
        print(text)


@contextmanager
def waiting(for_what: str) -> Iterator[None]:
    """Show at a terminal what is waited *for_what*, once the block has run for a second."""
    if not sys.stderr.isatty():
        yield
        return
    status = Console(stderr=True).status(for_what)
    timer = threading.Timer(PATIENCE_S, status.start)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        status.stop()


@contextmanager
def telling() -> Iterator[Callable[[str], None]]:
    """Yield what shows at a terminal how far the block is. An empty text hides it: somebody reads, or is asked."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with Console(stderr=True).status("") as status:

        def tell(text: str) -> None:
            status.update(text)
            if text:
                status.start()
            else:
                status.stop()

        yield tell


@contextmanager
def unmeasured() -> Iterator[None]:
    """Write no metrics while the block runs: they are read from the functions' logs, and nobody else reads them."""
    before = os.environ.get(NO_METRICS)
    os.environ[NO_METRICS] = "true"
    try:
        yield
    finally:
        del os.environ[NO_METRICS]
        os.environ |= {NO_METRICS: before} if before is not None else {}


@contextmanager
def log_aside() -> Iterator[None]:
    """Send the log to standard error while the block runs: standard output is for what was asked for."""
    handler = cast("StreamHandler[TextIO]", logger.registered_handler)
    before = handler.stream
    handler.setStream(sys.stderr)
    try:
        yield
    finally:
        handler.setStream(before)


def _text(value: Any) -> str:
    return "" if value is None else " ".join(str(value).split())
