"""What every life in a test needs."""

import logging
import secrets
import time

import pytest

from tools.soak.clock import drawn


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """One customer in one thread has nobody to wait for, logs nothing that anybody reads, and can be lived again."""
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setattr(secrets, "token_hex", drawn)
    monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)
