"""A GET as API Gateway's HTTP API hands it to the storefront (payload 2.0)."""

from typing import Any

from tests.handlers import http_event, invoke


def get(path: str, **headers: str) -> Any:
    """Return the handler's answer to GET *path*."""
    return invoke(*http_event(f"GET {path}", headers=headers))
