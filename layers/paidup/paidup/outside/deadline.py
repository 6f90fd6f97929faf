"""How long the caller can still wait: one deadline around all calls to others on its behalf."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ends_at: ContextVar[float | None] = ContextVar("ends_at", default=None)
_all_ends_at: ContextVar[float | None] = ContextVar("all_ends_at", default=None)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Let provider calls in the block take at most *seconds* together, or less where an outer deadline is nearer.

    The table may be written after that: how far things came is always worth writing down.
    """
    outer = _ends_at.get()
    ends_at = time.monotonic() + seconds
    token = _ends_at.set(ends_at if outer is None else min(outer, ends_at))
    try:
        yield
    finally:
        _ends_at.reset(token)


@contextmanager
def all_within(seconds: float) -> Iterator[None]:
    """Let the block take at most *seconds*: past that neither a provider nor the table is asked anything more."""
    token = _all_ends_at.set(time.monotonic() + seconds)
    try:
        with within(seconds):
            yield
    finally:
        _all_ends_at.reset(token)


def passed() -> bool:
    """Whether the deadline of `all_within` has passed."""
    ends_at = _all_ends_at.get()
    return ends_at is not None and time.monotonic() >= ends_at


def remaining(most: float) -> float:
    """Return the seconds that a call may still take, at most *most*; 0 or less when the deadline has passed."""
    ends_at = _ends_at.get()
    return most if ends_at is None else min(most, ends_at - time.monotonic())
