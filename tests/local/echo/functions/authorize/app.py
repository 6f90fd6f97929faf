"""Lets in whoever says that they are Ann."""

from typing import Any


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Return Ann's context, that Bob may not, raise, or let everybody else through as nobody."""
    match event["headers"].get("authorization"):
        case "Bearer ann":
            return {"isAuthorized": True, "context": {"customer_id": "ann", "route": event["routeKey"]}}
        case "Bearer bob":
            return {"isAuthorized": False}
        case "Bearer chaos":
            raise RuntimeError("the keys cannot be fetched")
        case "Bearer eve":
            raise Exception("Unauthorized")
    return {"isAuthorized": True, "context": {"refused": "unauthorized"}}
