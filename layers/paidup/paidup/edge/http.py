"""The HTTP edge: one resolver for every API function, and one handler that renders every refusal as problem+json."""

import json
import math
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import (
    RequestUnsupportedContentType,
    RequestValidationError,
)
from aws_lambda_powertools.utilities.typing import LambdaContext

from paidup.model.errors import BrokenJson, Malformed, NotFound, Refusal, TooLarge
from paidup.outside.log import logger

BODY_LIMIT = 64 * 1024
PATH_LIMIT = 900  # bytes: no id of ours comes near it, and the table takes none over 1,024
JSON, PROBLEM = "application/json", "application/problem+json"

Handler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]


def api() -> APIGatewayHttpResolver:
    """Return a resolver that validates bodies and renders refusals; anything else crashes, so that alarms see it."""
    app = APIGatewayHttpResolver(enable_validation=True, json_body_deserializer=_read)

    def refuse(refusal: Refusal) -> Response[str]:
        return problem(refusal, _request_id(app))

    def malformed(error: RequestValidationError) -> Response[str]:
        return problem(_first_fault(error), _request_id(app))

    def not_json(_: RequestUnsupportedContentType) -> Response[str]:
        return problem(BrokenJson("The content type must be application/json."), _request_id(app))

    def nothing_here(_: NotFoundError) -> Response[str]:
        event = app.current_event
        return problem(NotFound("route", f"{event.http_method} {event.path}"), _request_id(app))

    app.exception_handler(Refusal)(refuse)
    app.exception_handler(RequestValidationError)(malformed)
    app.exception_handler(RequestUnsupportedContentType)(not_json)
    app.not_found(nothing_here)
    return app


def lambda_handler(app: APIGatewayHttpResolver, *, limit: int = BODY_LIMIT) -> Handler:
    """Return the Lambda handler of *app*, which refuses bodies that are no JSON, or over *limit* bytes, unread."""

    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        request_id = event["requestContext"].get("requestId", "")
        logger.set_correlation_id(request_id)
        if refusal := _refusal(event, limit):
            refused = problem(refusal, request_id)
            return {"statusCode": refused.status_code, "headers": refused.headers, "body": refused.body}
        return app.resolve(event, context)

    return handler


def json_response[T](body: T, *, status: int = 200) -> Response[T]:
    """Return *body* as JSON; what is about one customer is kept by no cache."""
    return Response(status_code=status, content_type=JSON, body=body, headers={"Cache-Control": "no-store"})


def problem(refusal: Refusal, request_id: str) -> Response[str]:
    """Return *refusal* as problem+json (RFC 9457) with what the caller can do next."""
    body: dict[str, Any] = {
        "type": f"urn:paidup:problem:{refusal.slug}",
        "title": refusal.title,
        "detail": str(refusal) or refusal.title,
        "status": refusal.status,
        "request_id": request_id,
        "next": refusal.next_step,
        "retryable": refusal.retryable,
    }
    if isinstance(refusal, Malformed):
        body["field"] = refusal.field
    headers: dict[str, str | list[str]] = {"Content-Type": PROBLEM, "Cache-Control": "no-store"}
    if refusal.retry_after_s is not None:
        headers["Retry-After"] = str(refusal.retry_after_s)
    logger.info("request.refused", kind=refusal.slug, status=refusal.status)
    return Response(status_code=refusal.status, content_type=PROBLEM, body=json.dumps(body), headers=headers)


def raw_body(event: Mapping[str, Any]) -> bytes:
    """Return the request's body byte for byte, as the provider signed it, encoded in base64 by the gateway or not."""
    body = event.get("body") or ""
    return b64decode(body) if event.get("isBase64Encoded") else body.encode()


def _refusal(event: Mapping[str, Any], limit: int) -> Refusal | None:
    """Return why the request is not even looked at: its path, or a body too large, of another type, or not UTF-8."""
    path, body = event.get("rawPath", ""), raw_body(event)
    if len(path.encode()) > PATH_LIMIT:
        return NotFound("route", path[:100] + "…")
    if len(body) > limit:
        return TooLarge(len(body), limit)
    kind = (event.get("headers") or {}).get("content-type", JSON).partition(";")[0]
    if body and kind.strip().lower() != JSON:
        return BrokenJson("The content type must be application/json.")
    try:
        body.decode()
    except UnicodeDecodeError:
        return BrokenJson("The body is not UTF-8.")
    return None


def _read(text: str) -> Any:
    """Return the JSON in *text*; refuses what Python reads and others do not: NaN, infinities, bottomless nesting."""
    try:
        return json.loads(text, parse_constant=_no_json, parse_float=_finite)
    except RecursionError:
        raise BrokenJson("The body is nested too deeply.") from None
    except json.JSONDecodeError:
        raise
    except ValueError:  # Python's limit
        raise BrokenJson("The body holds a number of too many digits.") from None


def _finite(number: str) -> float:
    if math.isinf(found := float(number)):
        raise BrokenJson("The body holds a number that is too large.")
    return found


def _no_json(constant: str) -> NoReturn:
    raise BrokenJson(f"The body is not valid JSON: {constant} is no JSON.")


def _request_id(app: APIGatewayHttpResolver) -> str:
    return str(app.current_event.raw_event["requestContext"].get("requestId", ""))


def _first_fault(error: RequestValidationError) -> Refusal:
    """Return the first thing wrong with the request, its field named as the caller wrote it."""
    fault = error.errors()[0]
    if fault["type"] == "json_invalid":
        return BrokenJson("The body is not valid JSON.")
    where = [str(part) for part in fault["loc"] if part not in ("body", "query", "path", "header")]
    if fault["type"] == "extra_forbidden":
        return Malformed(".".join(where), "is not a field of this request")
    message = str(fault.get("msg", "is not as it must be"))
    return Malformed(".".join(where) or "body", message[:1].lower() + message[1:])
