"""What the API's description says of each route, held against everything that the functions answer in tests."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from paidup.edge.caller import REFUSALS
from paidup.edge.refusals import ANYWHERE
from paidup.model.errors import NotFound

from tools import openapi

TYPE = "urn:paidup:problem:"
UNDESCRIBED = {TYPE + kind.slug for kind in (*ANYWHERE, NotFound, *REFUSALS.values())}  # pages, assets, and no route

Declared = Mapping[int, set[str]]


def hold(event: Any, answer: Any) -> None:
    """Fail if *answer*, an HTTP answer to *event*, has a status or is a refusal that its route does not declare."""
    if not isinstance(answer, dict) or "statusCode" not in answer or "http" not in event["requestContext"]:
        return
    status, method, path = answer["statusCode"], event["requestContext"]["http"]["method"], event["rawPath"]
    problem = json.loads(answer["body"])["type"] if status >= 400 else None
    if (found := operation(method, path)) is None:
        assert problem is None or problem in UNDESCRIBED, f"{method} {path} answered {status} {problem}"
        return
    route, declared = found
    assert status in declared, f"{route} answers {status}, which it does not declare"
    assert problem is None or problem in declared[status], f"{route} answers {problem}, which it does not declare"


def operation(method: str, path: str) -> tuple[str, Declared] | None:
    """Return the route that *method* and *path* lead to, and the types of the problems that it declares, by status;
    None if no such route is described.
    """
    for route, pattern, declared in _operations():
        if route.startswith(f"{method} ") and pattern.fullmatch(path):
            return route, declared
    return None


@cache
def _operations() -> Sequence[tuple[str, re.Pattern[str], Declared]]:
    described = json.loads(openapi.PATH.read_text(encoding="utf-8"))
    schemas = described["components"]["schemas"]
    found = []
    for path, operations in described["paths"].items():
        pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", path))
        for method, one in operations.items():
            declared = {int(status): _types(response, schemas) for status, response in one["responses"].items()}
            found.append((f"{method.upper()} {path}", pattern, declared))
    return found


def _types(response: Mapping[str, Any], schemas: Mapping[str, Any]) -> set[str]:
    problem = response.get("content", {}).get("application/problem+json")
    if problem is None:
        return set()
    named = [one["$ref"].rpartition("/")[2] for one in problem["schema"].get("oneOf", [problem["schema"]])]
    return {schemas[name]["allOf"][1]["properties"]["type"]["const"] for name in named}
