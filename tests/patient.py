"""Waiting, in tests: for as long as the slowest machine may take, so that no verdict depends on how fast it is."""

import time
from collections.abc import Callable
from functools import partial

import httpx

WAIT_S = 120.0

# httpx itself gives up after five seconds.
get, post, options, request = (
    partial(one, timeout=WAIT_S, trust_env=False) for one in (httpx.get, httpx.post, httpx.options, httpx.request)
)


def eventually(holds: Callable[[], object]) -> None:
    """Wait until *holds* returns something true."""
    until = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < until, f"{holds.__doc__ or 'it'} did not come true within {WAIT_S} s"
        time.sleep(0.05)
