"""How often something is tried again, and the two ways in which a try ends without an answer."""

import random
import time
from collections.abc import Iterator

from paidup.outside.deadline import passed

TRIES = 12


class LostRace(Exception):
    """Another writer was first: load and decide again."""


class TooLate(Exception):
    """The caller's deadline has passed: nothing more is read or written on its behalf."""


def attempts(most: int = TRIES) -> Iterator[int]:
    """Yield up to *most* tries, with a growing, jittered pause (at most 0.5 s) between two; none past the deadline."""
    for n in range(most):
        if n and passed():
            return
        if n:
            time.sleep(random.uniform(0, min(0.02 * 2**n, 0.5)))  # noqa: S311 - spreads writers, guards nothing
        yield n
