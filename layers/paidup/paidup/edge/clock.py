"""The clock of every function: one seam, which only a local stack can move."""

import os
import time
from pathlib import Path


def now() -> int:
    """Return the time in epoch seconds.

    Where `PAIDUP_CLOCK_FILE` names a file (the deployed template never sets it), the seconds in it are added.
    """
    moved_by = os.environ.get("PAIDUP_CLOCK_FILE")
    return int(time.time()) + (int(Path(moved_by).read_text() or 0) if moved_by and Path(moved_by).exists() else 0)
