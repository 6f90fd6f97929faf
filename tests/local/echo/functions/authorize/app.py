"""Lets in whoever says that they are Ann."""

from typing import Any


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Return Ann's context, nobody's, or raise as an authorizer does."""
    match event["identitySource"]:
        case ["Bearer ann"]:
            return {"isAuthorized": True, "context": {"customer_id": "ann", "route": event["routeKey"]}}
        case ["Bearer bob"]:
            return {"isAuthorized": False}
        case ["Bearer chaos"]:
            raise RuntimeError("the keys cannot be fetched")
    raise Exception("Unauthorized")
