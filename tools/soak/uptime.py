"""The clock that only runs on, for one thread: it stands still, and moves by sleeping alone."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast


@contextmanager
def slept_through(pass_time: Callable[[int], None]) -> Iterator[None]:
    """Let no time pass in this thread while the block runs, unless it sleeps: then *pass_time* gets whole seconds.

    So deadlines and waits go by the same clock as all else, and no machine is too slow for them. Other threads keep the
    machine's clock.
    """
    here, monotonic, sleep = threading.get_ident(), time.monotonic, time.sleep
    slept_s = monotonic()

    def stands() -> float:
        return slept_s if threading.get_ident() == here else monotonic()

    def passes(seconds: float) -> None:
        nonlocal slept_s
        if threading.get_ident() != here:
            sleep(seconds)
            return
        whole_s = int(slept_s + seconds) - int(slept_s)
        slept_s += seconds
        if whole_s:
            pass_time(whole_s)

    time.monotonic, time.sleep = stands, cast("Any", passes)
    try:
        yield
    finally:
        time.monotonic, time.sleep = monotonic, sleep
