"""The resolver of API functions that validate what they are sent; it alone loads Powertools' resolver and pydantic."""

from typing import Annotated, NoReturn

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Depends, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.request import Request

from paidup.edge.body import read_json
from paidup.edge.caller import Identity, identify
from paidup.edge.http import JSON
from paidup.edge.services import open_services
from paidup.edge.validated import first_fault
from paidup.flows.services import Services as _Services
from paidup.model.errors import NotFound, Refusal


def _caller(request: Request) -> Identity:
    return identify(request.resolved_event.raw_event)


Caller = Annotated[Identity, Depends(_caller)]
Services = Annotated[_Services, Depends(open_services)]


def api() -> APIGatewayHttpResolver:
    """Return a resolver that validates requests and raises every Refusal, for `lambda_handler` to render.

    Anything else crashes, so that alarms see it.
    """
    app = APIGatewayHttpResolver(enable_validation=True, json_body_deserializer=read_json)

    def refuse(refusal: Refusal) -> NoReturn:
        raise refusal  # the resolver wraps what a dependency raises, unless somebody handles it

    def malformed(error: RequestValidationError) -> NoReturn:
        raise first_fault(error.errors()) from None

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
