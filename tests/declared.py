"""What the API's description says of each route, held against everything that the functions answer in tests."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from paidup.edge.refusals import ANYWHERE
from paidup.model.errors import NotFound

from tools import openapi

TYPE = "urn:paidup:problem:"
UNDESCRIBED = {TYPE + kind.slug for kind in (*ANYWHERE, NotFound)}  # pages and assets, and what is no route

Declared = Mapping[int, set[str]]


def hold(event: Any, answer: Any) -> None:
    """Fail if *answer*, an HTTP answer to *event*, has a status or is a refusal that its route does not declare."""
    if not isinstance(answer, dict) or "statusCode" not in answer:
        return
    status, http = answer["statusCode"], event["requestContext"]["http"]
    problem = json.loads(answer["body"])["type"] if status >= 400 else None
    route, declared = operation(http["method"], event["rawPath"], event.get("routeKey"))
    if declared is None:
        assert problem is None or problem in UNDESCRIBED, f"{route} answered {status} {problem}"
    else:
        assert status in declared, f"{route} answers {status}, which it does not declare"
        assert problem is None or problem in declared[status], f"{route} answers {problem}, which it does not declare"


def operation(method: str, path: str, key: str | None = None) -> tuple[str, Declared | None]:
    """Return the route that *method* and *path* lead to, or else the route *key*, and what it declares: the problems'
    types by status; None if it is not described.
    """
    found = (one for one in _operations() if one[0].startswith(f"{method} ") and one[1].fullmatch(path))
    keyed = (one for one in _operations() if one[0] == key)
    route, _, declared = next(found, None) or next(keyed, (f"{method} {path}", None, None))
    return route, declared


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
    problem = response["content"].get("application/problem+json")
    if problem is None:
        return set()
    named = [one["$ref"].rpartition("/")[2] for one in problem["schema"].get("oneOf", [problem["schema"]])]
    return {schemas[name]["allOf"][1]["properties"]["type"]["const"] for name in named}
