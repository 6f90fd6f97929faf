"""How a test runs a coroutine whatever ran before it: Playwright leaves an event loop running in its thread."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def in_a_thread[T](coroutine: Coroutine[Any, Any, T]) -> T:
    """Return what *coroutine* returns, run in a thread and an event loop of its own."""
    with ThreadPoolExecutor(1) as alone:
        return alone.submit(asyncio.run, coroutine).result()
