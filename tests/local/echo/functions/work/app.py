"""Works on messages: those that say `bad` fail, each alone."""

import sys
from typing import Any


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Write down each message and its try, and return which messages failed."""
    for record in event["Records"]:
        sys.stdout.write(f"{record['body']} {record['attributes']['ApproximateReceiveCount']}\n")
    failed = [record["messageId"] for record in event["Records"] if record["body"] == "bad"]
    return {"batchItemFailures": [{"itemIdentifier": one} for one in failed]}
