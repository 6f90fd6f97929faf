"""A GET as API Gateway's HTTP API hands it to the storefront (payload 2.0)."""

from typing import Any, cast

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.storefront.app import handler


def get(path: str, **headers: str) -> dict[str, Any]:
    """Return the handler's answer to GET *path*."""
    event = {
        "version": "2.0",
        "routeKey": "GET /assets/{proxy+}" if path.startswith("/assets/") else f"GET {path}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": headers,
        "requestContext": {
            "http": {"method": "GET", "path": path, "sourceIp": "127.0.0.1"},
            "requestId": "request-1",
            "stage": "$default",
        },
        "isBase64Encoded": False,
    }
    return handler(event, cast("LambdaContext", None))
