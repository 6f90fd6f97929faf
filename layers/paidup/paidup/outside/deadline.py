"""How long the caller can still wait: one deadline around whatever talks to a provider on its behalf."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ends_at: ContextVar[float | None] = ContextVar("ends_at", default=None)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Let provider calls in the block take at most *seconds* together, or less where an outer deadline is nearer."""
    outer = _ends_at.get()
    ends_at = time.monotonic() + seconds
    token = _ends_at.set(ends_at if outer is None else min(outer, ends_at))
    try:
        yield
    finally:
        _ends_at.reset(token)


def remaining(most: float) -> float:
    """Return the seconds that a call may still take, at most *most*; 0 or less when the deadline has passed."""
    ends_at = _ends_at.get()
    return most if ends_at is None else min(most, ends_at - time.monotonic())
