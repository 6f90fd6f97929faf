"""The fakes' time, which only moves forwards: the machine's clock plus an offset, or a second at which time stands."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path


class Clock:
    """Tell the fakes' time, and publish it in *file* for those who share it: the functions, and the local stack.

    The file holds the offset (`3600`), or the second at which time stands still (`=1790000000`).
    """

    def __init__(self, file: Path, *, at_least: int = 0) -> None:
        """Start from what *file* says, or from *at_least* seconds of offset if that is further ahead."""
        self._file = file
        self._pinned: int | None = None
        offset, self._stands_at = _read(file)
        self._offset = max(offset, at_least)
        self._publish()

    @property
    def stands_still(self) -> bool:
        """Whether time passes only by `advance`."""
        return self._stands_at is not None

    @property
    def offset(self) -> int:
        """Return how many seconds this clock is ahead of the machine's."""
        return self._offset if self._stands_at is None else self._stands_at - int(time.time())

    def now(self) -> int:
        """Return the present in epoch seconds, or the second that `pinned` holds."""
        return int(self.exact()) if self._pinned is None else self._pinned

    def exact(self) -> float:
        """Return the present in epoch seconds with fractions, never pinned."""
        return time.time() + self._offset if self._stands_at is None else float(self._stands_at)

    def http_date(self) -> str:
        """Return the present as an HTTP `Date` header."""
        return format_datetime(datetime.fromtimestamp(self.exact(), UTC), usegmt=True)

    def advance(self, seconds: int) -> None:
        """Move *seconds* ahead, for everybody who reads the file."""
        if self._stands_at is None:
            self._offset += seconds
        else:
            self._stands_at += seconds
        self._publish()

    def stand_still(self) -> None:
        """Stop at the present second: from now on time passes only by `advance`."""
        if self._stands_at is None:
            self._stands_at = int(self.exact())
            self._publish()

    def run(self) -> None:
        """Let time pass by itself (again), from the second at which it stood still."""
        self._offset, self._stands_at = self.offset, None
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
        text = str(self._offset) if self._stands_at is None else f"={self._stands_at}"
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=self._file.parent, delete=False) as draft:
            draft.write(f"{text}\n")
        os.chmod(draft.name, 0o644)  # noqa: PTH101 -- other processes of the stack read this file
        os.replace(draft.name, self._file)  # noqa: PTH105 -- the atomic rename is the point


def time_in(file: Path) -> float:
    """Return the time that *file* tells, in epoch seconds: the machine's own if there is no such file."""
    offset, stands_at = _read(file)
    return time.time() + offset if stands_at is None else float(stands_at)


def _read(file: Path) -> tuple[int, int | None]:
    """Return the offset that *file* holds, and the second at which time stands still."""
    text = file.read_text().strip() if file.exists() else ""
    return (0, int(text[1:])) if text.startswith("=") else (int(text or 0), None)
