"""Follows the table: writes down each record, fails those that say `bad`, each alone, and crashes at `crash`."""

import sys
from typing import Any


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Write down the records of a batch, and return which failed."""
    said = {
        record["dynamodb"]["SequenceNumber"]: record["dynamodb"]["NewImage"]["says"]["S"] for record in event["Records"]
    }
    sys.stdout.write(f"{' '.join(said.values())}\n")
    if any(one.startswith("crash") for one in said.values()):
        raise ValueError("told to")
    failed = [number for number, one in said.items() if one.startswith("bad")]
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}
