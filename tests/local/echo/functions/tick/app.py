"""Writes down when it was told that it is."""

import sys
from typing import Any


def handler(event: dict[str, Any], context: Any) -> None:
    """Write down the time of *event*."""
    sys.stdout.write(f"{event['time']}\n")
