"""The description of the whole HTTP API, merged from what each function says of its routes, models and refusals.

`python -m tools.openapi` writes it to where the storefront answers GET /openapi.json from.
"""

import inspect
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import update_wrapper
from importlib import import_module
from types import ModuleType
from typing import Annotated, Any, get_args, get_origin
from unittest.mock import patch

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.event_handler.openapi import OpenAPIMerge
from aws_lambda_powertools.event_handler.openapi.params import Header as HeaderParam
from aws_lambda_powertools.event_handler.openapi.params import Query
from paidup.edge import fields
from paidup.edge.fields import Fields
from paidup.edge.refusals import schema_name
from paidup.edge.routes import Answer, Flag, Header, Parameter, Route, Routes, Text, Whole
from paidup.edge.validated import Body
from paidup.model.errors import Malformed, Refusal
from paidup.model.gate import InvalidBillingToken
from pydantic import BaseModel, ConfigDict, Field, create_model

from tools.local import template
from tools.local.intrinsics import Resolver
from tools.local.ministack import LOCAL_GATEWAY, LOCAL_PARAMETERS

PATH = template.ROOT / "functions/storefront/openapi.json"

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
        "purchase_id": {"type": "string", "description": "What is there already (already-subscribed)"},
        "purchase_status": {"type": "string", "description": "Its status (already-subscribed)"},
        "offer_id": {"type": "string", "description": "What it sells now (already-subscribed)"},
    },
}
TOKEN = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
SECURITY = {"identity": TOKEN, "billing": TOKEN | {"description": "A token of POST /billing-token"}}
WITHOUT_BODY = ("204", "304")
NOT_OURS = ("HTTPValidationError", "ValidationError", "ResponseValidationError")  # the library's own refusals


def describe() -> dict[str, Any]:
    """Return the OpenAPI document of every route that the template gives to a function."""
    described = template.read()
    protected = {route.key for route in described.routes if route.protected}
    merge = OpenAPIMerge(title="paidup", version="1", description=ABOUT, on_conflict="error")
    for module in _modules(described):
        if app := getattr(module, "app", None):
            resolver = _twin(app) if isinstance(app, Routes) else app
            part = resolver.get_openapi_schema().model_dump(mode="json", exclude_none=True, by_alias=True)
            for path, operations in part["paths"].items():
                for method, operation in operations.items():
                    operation |= _own(operation, path, method, module)
                    operation["security"] = _security(operation, f"{method.upper()} {path}" in protected)
            for name in NOT_OURS:
                part["components"]["schemas"].pop(name, None)
            merge.add_schema(part)
    merge.add_schema({"components": {"schemas": _refusals(), "securitySchemes": SECURITY}})
    return _in_order(merge.get_openapi_schema())


def _twin(routes: Routes) -> APIGatewayHttpResolver:
    """Return a resolver that describes *routes*, which nothing ever calls."""
    resolver = APIGatewayHttpResolver(enable_validation=True)
    for key, route in routes.by_key.items():
        method, path = key.split()
        template_path = path.replace("{", "<").replace("}", ">")
        resolver.route(template_path, method=method, responses=dict(route.responses))(_declared(route))
    return resolver


def _declared(route: Route) -> Callable[..., Any]:
    """Return a function with the name and words of the route's endpoint that declares its parameters to a resolver."""
    endpoint = inspect.signature(route.endpoint)
    _, *parameters = endpoint.parameters.values()  # the first is the event

    def declared() -> None:
        """Do nothing."""

    update_wrapper(declared, route.endpoint)
    answered = endpoint.return_annotation
    signature = endpoint.replace(
        parameters=[_parameter(one, route.parameters.get(one.name)) for one in parameters],
        return_annotation=get_args(answered)[0] if get_origin(answered) is Answer else answered,
    )
    declared.__signature__ = signature  # type: ignore[attr-defined]  # what inspect looks for first
    return declared


def _parameter(one: inspect.Parameter, read: Parameter | None) -> inspect.Parameter:
    match read:
        case Whole(least=least, most=most, default=default):
            return one.replace(annotation=Annotated[int, Query(ge=least, le=most)], default=default)
        case Text(most=most):
            return one.replace(annotation=Annotated[str | None, Query(max_length=most)], default=None)
        case Flag():
            return one.replace(annotation=Annotated[bool, Query()], default=False)
        case Header(header=header, most=most):
            declared = HeaderParam(alias=header, min_length=1, max_length=most)
            return one.replace(annotation=Annotated[str | None, declared], default=None)
        case Fields(make=make, fields=named):
            return one.replace(annotation=_model(make, named))
        case Body(model, optional=True):
            return one.replace(annotation=model | None, default=None)
        case Body(model):
            return one.replace(annotation=model)
    return one


def _model(made: Any, named: Mapping[str, fields.Field]) -> type[BaseModel]:
    """Return the model that takes what the fields *named* so take, under the name and words of what is *made*."""
    declared: dict[str, Any] = {name: _field(field) for name, field in named.items()}
    return create_model(made.__name__, __doc__=made.__doc__, __config__=ConfigDict(extra="forbid"), **declared)


def _field(field: fields.Field) -> tuple[Any, Any]:
    match field:
        case fields.String(least=least, most=most, required=required):
            text = Field(... if required else None, min_length=least or None, max_length=most)
            return str if required else str | None, text
        case fields.Integer(least=least, most=most, default=default):
            return int, Field(default, ge=least, le=most)
        case fields.Object():
            return dict[str, Any] | None, None
    raise TypeError(f"{field} is a field that nobody has described yet")


def _own(operation: dict[str, Any], path: str, method: str, module: ModuleType) -> dict[str, Any]:
    """Return what *operation* is called, as its generated id begins, and the words of the function of that name."""
    name = operation["operationId"].removesuffix(re.sub(r"\W", "_", path) + f"_{method}")
    words = _words(getattr(module, name))
    first, stop, _ = words.partition(". ")
    return {"operationId": name, "summary": first + stop.rstrip(), "description": words}


def _security(operation: dict[str, Any], protected: bool) -> list[dict[str, list[str]]]:
    """Return which token *operation* asks for: the identity provider's, ours, or none."""
    if protected:
        return [{"identity": []}]
    return [{"billing": []}] if schema_name(InvalidBillingToken) in json.dumps(operation["responses"]) else []


def _refusals() -> dict[str, Any]:
    """Return the schemas of all refusals, by the names under which routes declare theirs."""
    schemas: dict[str, Any] = {}
    kinds = [Refusal]
    for kind in kinds:  # which grows meanwhile: kinds that share a slug are one, described by the first
        kinds += kind.__subclasses__()
        fixed = {"type": f"urn:paidup:problem:{kind.slug}", "title": kind.title, "status": kind.status}
        own: dict[str, Any] = {"properties": {name: {"const": value} for name, value in fixed.items()}}
        if issubclass(kind, Malformed):
            own["required"] = ["field"]
        one = {"description": _words(kind), "allOf": [{"$ref": "#/components/schemas/Refusal"}, own]}
        schemas.setdefault(schema_name(kind), one)
    return schemas | {"Refusal": REFUSAL}


def _in_order(whole: dict[str, Any]) -> dict[str, Any]:
    """Return the document *whole* in an order that a change leaves as it is, without the refusals of no route."""
    paths, components = dict(sorted(whole["paths"].items())), whole["components"]
    for operations in paths.values():
        for operation in operations.values():
            operation["responses"] = dict(sorted(operation["responses"].items()))
            for status in WITHOUT_BODY:
                operation["responses"].get(status, {}).pop("content", None)
    named = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(whole)))
    schemas = {name: one for name, one in sorted(components["schemas"].items()) if name in named}
    return whole | {"paths": paths, "components": components | {"schemas": schemas}}


def _words(documented: object) -> str:
    return " ".join((inspect.getdoc(documented) or "").split())


def _modules(described: template.Template) -> Iterator[ModuleType]:
    """Yield the functions' modules, each imported with the settings that the template gives it."""
    resolver = Resolver(template=described, given=LOCAL_PARAMETERS, account="123456789012")
    resolver.refs |= {name: name for name in (*described.tables, *described.queues)}
    resolver.put_sockets(LOCAL_GATEWAY)
    for function in described.functions.values():
        with patch.dict(os.environ, {**resolver.environment(function), **os.environ}):
            yield import_module(f"functions.{function.name}.app")


def render() -> str:
    """Return the description as it is kept in the repository."""
    return json.dumps(describe(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(render(), encoding="utf-8")
