"""Lets in who speaks `chat`, says back what it hears, and posts to a connection or closes it if it is told to."""

import json
import os
import sys
from typing import Any

from botocore.exceptions import ClientError
from botocore.session import get_session


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer a route of the WebSocket API."""
    about = event["requestContext"]
    if about["routeKey"] == "$connect":
        offered = event["headers"].get("sec-websocket-protocol", "").split(", ")
        status = next((int(one.removeprefix("status.")) for one in offered if one.startswith("status.")), 200)
        return {"statusCode": status, "headers": {"Sec-WebSocket-Protocol": "chat"} if "chat" in offered else {}}
    if about["routeKey"] == "$disconnect":
        line = f"{about['connectionId']} {about['disconnectStatusCode']} {about['disconnectReason']}"
        sys.stdout.write(f"{line}\n")
        return {"statusCode": 200}
    return {"statusCode": 200, "body": json.dumps({"event": event, "managed": _manage(event)})}


def _manage(event: dict[str, Any]) -> Any:
    """Do with a connection what the message asks for, and return how that was answered."""
    try:
        asked = json.loads(event["body"])
        do, connection_id = asked["do"], asked.get("to", event["requestContext"]["connectionId"])
    except (ValueError, TypeError, KeyError):
        return None
    if do == "crash":
        raise ValueError("told to")
    client: Any = get_session().create_client("apigatewaymanagementapi", endpoint_url=f"http{os.environ['URL'][2:]}")
    calls = {
        "post": lambda: client.post_to_connection(ConnectionId=connection_id, Data=b"x" * asked["bytes"]),
        "close": lambda: client.delete_connection(ConnectionId=connection_id),
        "look": lambda: client.get_connection(ConnectionId=connection_id),
    }
    try:
        return calls[do]()["ResponseMetadata"]["HTTPStatusCode"]
    except ClientError as error:
        return error.response["Error"]["Code"]
