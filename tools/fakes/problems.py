"""Refusals of the stand-ins' own endpoints, as problem+json."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse


class Problem(Exception):
    """A refusal with the sentence *detail*."""

    def __init__(self, detail: str, status: int = 400) -> None:
        """Compose the refusal."""
        super().__init__(detail)
        self.detail, self.status = detail, status

    def response(self) -> JSONResponse:
        """Return the refusal as an answer."""
        body = {"type": "about:blank", "title": "Refused", "status": self.status, "detail": self.detail}
        return JSONResponse(body, self.status, media_type="application/problem+json")


async def json_object(request: Request, *known: str) -> dict[str, Any]:
    """Return the request's body, a JSON object with the *known* fields alone (without *known*: with any)."""
    try:
        body = json.loads(await request.body() or b"{}")
    except ValueError:
        raise Problem("the body is not JSON") from None
    if not isinstance(body, dict):
        raise Problem("the body must be a JSON object")
    if known and (unknown := [name for name in body if name not in known]):
        raise Problem(f"unknown field: {unknown[0]}. Known: {', '.join(known)}")
    return body
