"""The description of the whole HTTP API, built from the functions' own routes and models.

`python -m tools.openapi` writes it to where the storefront answers GET /openapi.json from.
"""

import inspect
import json
import os
from collections.abc import Callable
from functools import update_wrapper
from importlib import import_module
from typing import Annotated, Any
from unittest.mock import patch

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.event_handler.openapi.params import Query
from paidup.edge.routes import Route, Routes, Text, Whole

from tools.local import template

FUNCTIONS = template.ROOT / "functions"
PATH = FUNCTIONS / "storefront/openapi.json"

# What the functions want to see before they can be imported; the description depends on none of it.
SETTINGS = {
    "PAIDUP_TABLE": "paidup",
    "PAIDUP_STRIPE_SECRET": "paidup/stripe",
    "PAIDUP_WEBHOOK_QUEUE_URL": "https://queue.example",
    "PAIDUP_ALLOWED_ORIGINS": "https://shop.example",
    "PAIDUP_IDENTITY_ISSUER": "https://identity.example",
    "PAIDUP_IDENTITY_AUDIENCE": "paidup",
    "PAIDUP_IDENTITY_JWKS_URL": "https://identity.example/jwks",
}

ABOUT = """Money is a whole number of minor units beside a lower-case ISO 4217 currency; times are epoch seconds.
Every refusal is problem+json (RFC 9457) that says what the caller can do next. Unknown fields are refused."""

REFUSAL: dict[str, Any] = {
    "title": "Refusal",
    "type": "object",
    "required": ["type", "title", "detail", "status", "request_id", "next", "retryable"],
    "properties": {
        "type": {"type": "string", "description": "Which refusal, such as urn:paidup:problem:not-found"},
        "title": {"type": "string"},
        "detail": {"type": "string", "description": "What happened this time"},
        "status": {"type": "integer"},
        "request_id": {"type": "string", "description": "Finds the request in the logs"},
        "next": {"type": "string", "description": "What the caller can do now"},
        "retryable": {"type": "boolean", "description": "Whether the same request may succeed later"},
        "field": {"type": "string", "description": "The field that is not as it must be (422)"},
    },
}
REFUSED = {
    "description": "Refused; 429 and 503 carry Retry-After (seconds)",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Refusal"}}},
}
NOT_OURS = ("HTTPValidationError", "ValidationError", "ResponseValidationError")


def describe() -> dict[str, Any]:
    """Return the OpenAPI document of every route that the template gives to a function."""
    protected = {route.key for route in template.read().routes if route.protected}
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {"Refusal": REFUSAL}
    for folder in sorted(path.parent.name for path in FUNCTIONS.glob("*/app.py")):
        with patch.dict(os.environ, {**SETTINGS, **os.environ}):
            app = getattr(import_module(f"functions.{folder}.app"), "app", None)
        if app is None:
            continue
        resolver = _twin(app) if isinstance(app, Routes) else app
        part = resolver.get_openapi_schema(title="paidup").model_dump(mode="json", exclude_none=True, by_alias=True)
        schemas |= {name: one for name, one in part["components"]["schemas"].items() if name not in NOT_OURS}
        says = {route.func.__name__: route.func.__doc__ for route in resolver._static_routes + resolver._dynamic_routes}
        for path, operations in part.get("paths", {}).items():
            for method, operation in operations.items():
                key = f"{method.upper()} {path}"
                name = max((one for one in says if operation["operationId"].startswith(one)), key=len)
                paths.setdefault(path, {})[method] = _told(operation, name, says[name], protected=key in protected)
    return {
        "openapi": "3.1.0",
        "info": {"title": "paidup", "version": "1", "description": ABOUT},
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {"identity": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _twin(routes: Routes) -> APIGatewayHttpResolver:
    """Return a resolver that describes *routes*, which nothing ever calls."""
    resolver = APIGatewayHttpResolver(enable_validation=True)
    for key, route in routes.by_key.items():
        method, path = key.split()
        resolver.route(path.replace("{", "<").replace("}", ">"), method=method)(_declared(route))
    return resolver


def _declared(route: Route) -> Callable[..., Any]:
    """Return a function with the name and words of the route's endpoint that declares its parameters to a resolver."""
    endpoint = inspect.signature(route.endpoint)
    _, *parameters = endpoint.parameters.values()  # the first is the event

    def declared() -> None:
        """Do nothing."""

    update_wrapper(declared, route.endpoint)
    signature = endpoint.replace(parameters=[_parameter(one, route.query.get(one.name)) for one in parameters])
    declared.__signature__ = signature  # type: ignore[attr-defined]  # what inspect looks for first
    return declared


def _parameter(one: inspect.Parameter, query: Whole | Text | None) -> inspect.Parameter:
    match query:
        case Whole(least=least, most=most, default=default):
            return one.replace(annotation=Annotated[int, Query(ge=least, le=most)], default=default)
        case Text(most=most):
            return one.replace(annotation=Annotated[str | None, Query(max_length=most)], default=None)
    return one


def _told(operation: dict[str, Any], name: str, says: str, *, protected: bool) -> dict[str, Any]:
    """Return *operation* under its function's own *name* and words, with our refusals in place of the library's."""
    responses = {status: one for status, one in operation["responses"].items() if status != "422"}
    return operation | {
        "operationId": name,
        "summary": says.splitlines()[0],
        "responses": responses | {"default": REFUSED},
        "security": [{"identity": []}] if protected else [],
    }


def render() -> str:
    """Return the description as it is kept in the repository."""
    return json.dumps(describe(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(render(), encoding="utf-8")
