"""Says back the event that reached it, and does what the header `do` asks for."""

import os
import time
from pathlib import Path
from typing import Any

from botocore.session import get_session


def dynamodb() -> Any:
    """Return a client of the table's."""
    return get_session().create_client("dynamodb")


def handler(event: dict[str, Any], context: Any) -> Any:
    """Return *event*, after doing what it asks for."""
    match event.get("do") or event.get("headers", {}).get("do", ""):
        case "crash":
            raise ValueError("told to")
        case "exit":
            os._exit(7)
        case "wait":
            time.sleep(0.2)
        case "hold":
            until = Path(event["headers"]["until"])
            until.with_suffix(".begun").touch()
            while not until.exists():
                time.sleep(0.01)
        case "put":
            row = {"pk": {"S": "here"}, "sk": {"S": "before"}}
            dynamodb().put_item(TableName=os.environ["TABLE"], Item=row)
        case "scan":
            dynamodb().scan(TableName=os.environ["TABLE"])
        case "cookies":
            return {
                "statusCode": 201,
                "body": "AAH/",
                "isBase64Encoded": True,
                "cookies": ["a=1", "b=2"],
                "headers": {"Content-Type": "x/y"},
            }
    left_ms = context.get_remaining_time_in_millis()
    return {"event": event, "environment": dict(os.environ), "left_ms": left_ms, "pid": os.getpid()}
