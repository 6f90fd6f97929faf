"""May take three seconds, and takes longer if the header `do` asks it to."""

import time
from typing import Any


def handler(event: dict[str, Any], context: Any) -> str:
    """Answer, or do not."""
    if event["headers"].get("do") == "hang":
        time.sleep(600)
    return "in time"
