"""What a test does where the machine lacks what it needs."""

import os
from typing import NoReturn

import pytest


def skip(reason: str) -> NoReturn:
    """Skip the test that runs; where PAIDUP_SKIP_NOTHING=1 it fails instead."""
    __tracebackhide__ = True  # the report names who asked
    if os.environ.get("PAIDUP_SKIP_NOTHING") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
