"""The HTTP edge of every API function: who and what is let in, and every refusal rendered as problem+json."""

import json
from base64 import b64decode
from collections.abc import Callable, Collection, Mapping
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from paidup.edge.caller import identify
from paidup.model.errors import BrokenJson, Malformed, NotFound, Refusal, TooLarge, Unauthorized
from paidup.outside.log import logger

BODY_LIMIT = 64 * 1024
PATH_LIMIT = 900  # bytes: no id of ours comes near it, and the table takes none over 1,024
JSON, PROBLEM = "application/json", "application/problem+json"

Event = dict[str, Any]
Handler = Callable[[Event, LambdaContext], dict[str, Any]]


def lambda_handler(respond: Handler, *, public: Collection[str] = (), limit: int = BODY_LIMIT) -> Handler:
    """Return the Lambda handler that lets requests in to *respond*, and renders every Refusal.

    Only the routes in *public* (spelled as in the template: `GET /checkouts/{checkout_id}`) are answered without a
    caller: a route that is forgotten there is closed. A body that is no JSON, or over *limit* bytes, is refused unread.
    """
    public = frozenset(public)

    def handler(event: Event, context: LambdaContext) -> dict[str, Any]:
        request_id = event["requestContext"].get("requestId", "")
        logger.set_correlation_id(request_id)
        try:
            if event.get("routeKey") not in public:
                identify(event)
            return respond(_admitted(event, limit), context)
        except Refusal as refusal:
            return problem(refusal, request_id)

    return handler


def problem(refusal: Refusal, request_id: str) -> dict[str, Any]:
    """Return *refusal* as problem+json (RFC 9457) with what the caller can do next."""
    body: dict[str, Any] = {
        "type": f"urn:paidup:problem:{refusal.slug}",
        "title": refusal.title,
        "detail": str(refusal) or refusal.title,
        "status": refusal.status,
        "request_id": request_id,
        "next": refusal.next_step,
        "retryable": refusal.retryable,
        **refusal.members,
    }
    headers = {"Content-Type": PROBLEM, "Cache-Control": "no-store"}
    if isinstance(refusal, Unauthorized):
        headers["WWW-Authenticate"] = refusal.challenge
    if refusal.retry_after_s is not None:
        headers["Retry-After"] = str(refusal.retry_after_s)
    logger.info("request.refused", kind=refusal.slug, status=refusal.status)
    return {"statusCode": refusal.status, "headers": headers, "body": json.dumps(body), "isBase64Encoded": False}


def raw_body(event: Mapping[str, Any]) -> bytes:
    """Return the request's body byte for byte, as the provider signed it, encoded in base64 by the gateway or not."""
    body = event.get("body") or ""
    return b64decode(body) if event.get("isBase64Encoded") else body.encode()


def own_url(event: Mapping[str, Any]) -> str:
    """Return the URL of the API that *event* came to. API Gateway names it, and no caller can choose it."""
    return f"https://{event['requestContext']['domainName']}"


def _admitted(event: Event, limit: int) -> Event:
    """Return *event*, its content type in the one spelling of JSON that every reader knows.

    Raises NotFound for a path, Malformed for a query or headers, TooLarge or BrokenJson for a body that nothing of ours
    can be about.
    """
    path, headers = event.get("rawPath", ""), event.get("headers") or {}
    names = (path, *(event.get("pathParameters") or {}).values())
    if not all(_is_text(one) and len(one.encode()) <= PATH_LIMIT for one in names):
        raise NotFound("route", path[:100].encode(errors="replace").decode() + "…")
    for where, given in (("query", event.get("queryStringParameters") or {}), ("headers", headers)):
        if not all(_is_text(f"{name}{value}") for name, value in given.items()):
            raise Malformed(where, "is not Unicode text")
    try:
        body = raw_body(event)
        body.decode()
    except ValueError:  # bad base64, a lone surrogate, or bytes that are no text
        raise BrokenJson("The body is not UTF-8.") from None
    if len(body) > limit:
        raise TooLarge(len(body), limit)
    if body and headers.get("content-type", JSON).partition(";")[0].strip().lower() != JSON:
        raise BrokenJson("The content type must be application/json.")
    return event | {"headers": headers | {"content-type": JSON}}


def _is_text(value: str) -> bool:
    """Return whether *value* can be written in UTF-8: one half of a surrogate pair cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
