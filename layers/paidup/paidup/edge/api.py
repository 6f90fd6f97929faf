"""The resolver of API functions that validate what they are sent; it alone loads Powertools' resolver and pydantic."""

import json
import math
from typing import Annotated, Any, NoReturn

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Depends, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.request import Request

from paidup.edge.caller import Identity, identify
from paidup.edge.http import JSON
from paidup.edge.services import open_services
from paidup.flows.services import Services as _Services
from paidup.model.errors import BrokenJson, Malformed, NotFound, Refusal


def _caller(request: Request) -> Identity:
    return identify(request.resolved_event.raw_event)


Caller = Annotated[Identity, Depends(_caller)]
Services = Annotated[_Services, Depends(open_services)]


def api() -> APIGatewayHttpResolver:
    """Return a resolver that validates requests and raises every Refusal, for `lambda_handler` to render.

    Anything else crashes, so that alarms see it.
    """
    app = APIGatewayHttpResolver(enable_validation=True, json_body_deserializer=_read)

    def refuse(refusal: Refusal) -> NoReturn:
        raise refusal  # the resolver wraps what a dependency raises, unless somebody handles it

    def malformed(error: RequestValidationError) -> NoReturn:
        raise _first_fault(error) from None

    def nothing_here(_: NotFoundError) -> NoReturn:
        event = app.current_event
        raise NotFound("route", f"{event.http_method} {event.path}")

    app.exception_handler(Refusal)(refuse)
    app.exception_handler(RequestValidationError)(malformed)
    app.not_found(nothing_here)
    return app


def json_response[T](body: T, *, status: int = 200) -> Response[T]:
    """Return *body* as JSON; what is about one customer is kept by no cache."""
    return Response(status_code=status, content_type=JSON, body=body, headers={"Cache-Control": "no-store"})


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
