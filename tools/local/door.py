"""The front door: requests as events of API Gateway's HTTP API (payload 2.0), functions' answers as responses."""

import base64
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tools.local import template
from tools.local.functions import Busy, Function
from tools.local.worker import Answer

WAIT_S = 20
MOST_BYTES = 10 * 1024 * 1024
TEXT = ("text/", "application/json", "application/problem+json", "application/xml", "application/javascript")

Event = dict[str, Any]


class Refused(Exception):
    """The door's own refusal, as problem+json like the functions' own."""

    def __init__(self, status: int, title: str, next_step: str, *, retry_after_s: int | None = None) -> None:
        """Refuse with *status*. *next_step* says what the caller can do, *retry_after_s* when to try again."""
        super().__init__(title)
        self.status, self.title, self.next_step, self.retry_after_s = status, title, next_step, retry_after_s


class Door:
    """What stands before the functions: the template's routes, its authorizer and its origins."""

    def __init__(
        self,
        described: template.Template,
        functions: Mapping[str, Function],
        *,
        origins: list[str],
        now: Callable[[], float],
        tell: Callable[[str], None],
        wait_s: float = WAIT_S,
        beside: Sequence[BaseRoute] = (),
    ) -> None:
        """Open *described*'s routes onto *functions*, for which a request waits in line for at most *wait_s*.

        *beside* are further routes of the same port. *tell* hears what an engineer should see.
        """
        self._wait_s = wait_s
        self._functions = functions
        self._authorizer = functions[described.authorizer]
        self._now = now
        self._tell = tell
        cors = described.cors
        self.app = Starlette(
            routes=[*beside, *(self._route(one) for one in sorted(described.routes, key=_openness))],
            exception_handlers={Refused: _refuse, HTTPException: _not_found},
            middleware=[
                Middleware(
                    CORSMiddleware,
                    allow_origins=origins,
                    allow_methods=cors["allowMethods"],
                    allow_headers=cors["allowHeaders"],
                    expose_headers=cors["exposeHeaders"],
                    max_age=cors["maxAge"],
                )
            ],
        )

    def _route(self, described: template.Route) -> Route:
        async def endpoint(request: Request) -> Response:
            return await self._serve(described, request)

        route = Route(described.path.replace("+}", ":path}"), endpoint, methods=[described.method])
        route.methods = {described.method}  # Starlette lets HEAD in wherever GET is; API Gateway does not
        return route

    async def _serve(self, route: template.Route, request: Request) -> Response:
        request_id = request.scope["request_id"] = str(uuid.uuid4())
        event = self._event(route, request, request_id, await _whole(request))
        if route.protected:
            event["requestContext"]["authorizer"] = {"lambda": await self._caller(event)}
        answer = await self._invoke(self._functions[route.function], event)
        if answer.failed:
            self._tell(f"{route.key} failed: {route.function}: {answer.error}")
            raise Refused(500, "Something went wrong on our side", "Try again in a moment.", retry_after_s=2)
        return _response(answer.payload, request_id)

    async def _invoke(self, function: Function, event: Event) -> Answer:
        try:
            return await function.invoke(json.dumps(event).encode(), wait_s=self._wait_s)
        except Busy:
            raise Refused(503, "Too much is going on at once", "Try again in a moment.", retry_after_s=2) from None

    async def _caller(self, event: Event) -> Any:
        """Return what the authorizer passes on of the caller. Raises Refused if it lets nobody in, or fails.

        It is asked whatever the headers are, since the template names no identity source.
        """
        asked = {key: value for key, value in event.items() if key not in ("body", "isBase64Encoded")}
        context = event["requestContext"]
        arn = f"arn:aws:execute-api:us-east-1:000000000000:local/$default{context['http']['method']}{event['rawPath']}"
        answer = await self._invoke(self._authorizer, asked | {"type": "REQUEST", "routeArn": arn})
        verdict = json.loads(answer.payload)
        if answer.failed:
            self._tell(f"{event['routeKey']} failed: {self._authorizer.code.name}: {answer.error}")
            raise Refused(500, "Your token could not be looked at", "Try again in a moment.", retry_after_s=2)
        if not verdict.get("isAuthorized"):
            raise Refused(403, "This is not for you", "Sign in as somebody who may.")
        return verdict.get("context", {})

    def _event(self, route: template.Route, request: Request, request_id: str, body: bytes) -> Event:
        headers: dict[str, str] = {}
        for name, value in request.headers.items():
            headers[name] = f"{headers[name]},{value}" if name in headers else value
        cookies = headers.pop("cookie", "")
        queries: dict[str, str] = {}
        for name, value in request.query_params.multi_items():
            queries[name] = f"{queries[name]},{value}" if name in queries else value
        host = request.client.host if request.client else "127.0.0.1"
        headers |= {"x-forwarded-for": host, "x-forwarded-proto": request.url.scheme}
        now = self._now()
        event: Event = {
            "version": "2.0",
            "routeKey": route.key,
            "rawPath": request.url.path,
            "rawQueryString": request.url.query,
            "headers": headers,
            "requestContext": {
                "accountId": "000000000000",
                "apiId": "local",
                "domainName": headers.get("host", ""),
                "domainPrefix": "local",
                "http": {
                    "method": request.method,
                    "path": request.url.path,
                    "protocol": f"HTTP/{request.scope['http_version']}",
                    "sourceIp": host,
                    "userAgent": headers.get("user-agent", ""),
                },
                "requestId": request_id,
                "routeKey": route.key,
                "stage": "$default",
                "time": datetime.fromtimestamp(now, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
                "timeEpoch": int(now * 1000),
            },
            **_body(body, headers),
        }
        if cookies:
            event["cookies"] = cookies.split("; ")
        if queries:
            event["queryStringParameters"] = queries
        if parameters := {name: str(value) for name, value in request.path_params.items()}:
            event["pathParameters"] = parameters
        return event


async def _whole(request: Request) -> bytes:
    """Return the request's body, which API Gateway takes up to 10 MB of."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise Refused(413, "The body is too large", "Send at most 10 MB.")
    return bytes(body)


def _openness(route: template.Route) -> tuple[bool, int]:
    """Sort a route behind the more exact ones, as API Gateway chooses among them."""
    return "+}" in route.path, route.path.count("{")


def _body(body: bytes, headers: Mapping[str, str]) -> Event:
    """Return the body as an event carries it: text as it is, anything else in base64."""
    if not body:
        return {"isBase64Encoded": False}
    if headers.get("content-type", "").lower().startswith(TEXT) and "content-encoding" not in headers:
        try:
            return {"body": body.decode(), "isBase64Encoded": False}
        except UnicodeDecodeError:
            pass
    return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}


def _response(payload: bytes, request_id: str) -> Response:
    """Return the response that a function's *payload* asks for, by the rules of payload 2.0."""
    answer = json.loads(payload)
    if not isinstance(answer, dict) or "statusCode" not in answer:
        return Response(payload, media_type="application/json", headers={"apigw-requestid": request_id})
    body = str(answer.get("body") or "").encode()
    if answer.get("isBase64Encoded"):
        body = base64.b64decode(body)
    response = Response(body, status_code=int(answer["statusCode"]))
    given = {str(name).lower(): str(value) for name, value in (answer.get("headers") or {}).items()}
    for name, value in ({"content-type": "application/json"} | given | {"apigw-requestid": request_id}).items():
        if name != "content-length":
            response.headers[name] = value
    for cookie in answer.get("cookies") or ():
        response.headers.append("set-cookie", cookie)
    return response


def _refuse(request: Request, refused: Exception) -> Response:
    assert isinstance(refused, Refused)
    request_id = request.scope.get("request_id", "")
    problem = {
        "type": "about:blank",
        "title": refused.title,
        "detail": f"{refused.title}.",
        "status": refused.status,
        "request_id": request_id,
        "next": refused.next_step,
        "retryable": refused.retry_after_s is not None,
    }
    headers = {"apigw-requestid": request_id, "cache-control": "no-store"}
    if refused.retry_after_s:
        headers["retry-after"] = str(refused.retry_after_s)
    return Response(json.dumps(problem), refused.status, headers, "application/problem+json")


def _not_found(request: Request, _: Exception) -> Response:
    title = f"There is no {request.method} {request.url.path}"
    return _refuse(request, Refused(404, title, "GET /openapi.json lists what there is."))
