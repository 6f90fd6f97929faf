"""The clock of every function: one seam, which only a local stack can move or stop."""

import os
import time
from pathlib import Path


def now() -> int:
    """Return the time in epoch seconds.

    If `PAIDUP_CLOCK_FILE` names a file (the deployed template never sets it), the file moves the clock: `3600` adds
    that many seconds to the machine's clock, `=1790000000` is a second at which the clock stands still.
    """
    path = os.environ.get("PAIDUP_CLOCK_FILE")
    moved = Path(path).read_text().strip() if path and Path(path).exists() else ""
    return int(moved[1:]) if moved.startswith("=") else int(time.time()) + int(moved or 0)
