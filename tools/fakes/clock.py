"""The stand-ins' time: the wall clock plus an offset that only the clock file's writer may move."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path


class Clock:
    """Tell the stand-ins' time, and publish its offset in *file* for those who share it."""

    def __init__(self, file: Path, *, at_least: int = 0) -> None:
        """Start from the offset in *file*, or from *at_least* seconds where that is further ahead."""
        self._file = file
        self._pinned: int | None = None
        self.offset = max(_read(file), at_least)
        self._publish()

    def now(self) -> int:
        """Return the present in epoch seconds, or the second that `pinned` holds."""
        return int(self.exact()) if self._pinned is None else self._pinned

    def exact(self) -> float:
        """Return the present in epoch seconds with fractions, never pinned."""
        return time.time() + self.offset

    def http_date(self) -> str:
        """Return the present as an HTTP `Date` header."""
        return format_datetime(datetime.fromtimestamp(self.exact(), UTC), usegmt=True)

    def move_to(self, offset: int) -> None:
        """Make *offset* seconds the distance from the wall clock, for everybody who reads the file."""
        self.offset = offset
        self._publish()

    @contextmanager
    def pinned(self, second: int) -> Iterator[None]:
        """Hold `now` at *second*, so that what falls due is stamped with its due time."""
        before, self._pinned = self._pinned, second
        try:
            yield
        finally:
            self._pinned = before

    def _publish(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=self._file.parent, delete=False) as draft:
            draft.write(f"{self.offset}\n")
        os.chmod(draft.name, 0o644)  # noqa: PTH101 -- other processes of the stack read this file
        os.replace(draft.name, self._file)  # noqa: PTH105 -- the atomic rename is the point


def _read(file: Path) -> int:
    try:
        return int(file.read_text().strip() or "0")
    except FileNotFoundError:
        return 0
