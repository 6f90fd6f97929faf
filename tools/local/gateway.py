"""The WebSocket API on this machine: clients' sockets, their events, and `@connections`, by which functions reach them.

Like API Gateway, it opens a socket after `$connect` was answered, and ends it when it is idle or has lived too long.
Close codes: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-status-codes.html
It cannot see frames, so that the limit of 32 KB for one is not held, but the one of 128 KB for a message is.
"""

import asyncio
import base64
import json
import os
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketState

from tools.local.functions import Busy, Function
from tools.local.intrinsics import REGION, SOCKET_API
from tools.local.template import Properties, SocketApi
from tools.local.worker import Answer

WAIT_S = 20
MOST_BYTES = 128 * 1024
CLOSE_S = 5
CLOSED, GOING_AWAY, NO_BINARY, RESTART = 1000, 1001, 1003, 1012
CREDENTIAL = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/]+)/")

Event = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a socket may be silent, and how long it may live, in seconds."""

    idle_s: float = 10 * 60
    lifetime_s: float = 2 * 60 * 60


@dataclass(slots=True, kw_only=True)
class Connection:
    """One client's socket."""

    socket: WebSocket
    connection_id: str
    connected_at: float
    started: float
    active: float = field(default=0.0)

    def ends_in(self, limits: Limits, at: float) -> float:
        """Return in how many seconds it ends, if nothing comes: 0 or less if it has ended."""
        return min(self.active + limits.idle_s, self.started + limits.lifetime_s) - at


class Gateway:
    """The template's WebSocket API with its one stage, onto *functions*."""

    def __init__(
        self,
        described: SocketApi,
        functions: Mapping[str, Function],
        *,
        policies: Mapping[str, Sequence[Properties]],
        now: Callable[[], float],
        tell: Callable[[str], None],
        limits: Limits,
    ) -> None:
        """Open the stage. *policies* says what each function is allowed. *tell* hears what an engineer should see."""
        self._api = described
        self._functions = functions
        self._policies = policies
        self._now = now
        self._tell = tell
        self._limits = limits
        self._open: dict[str, Connection] = {}
        self._served: set[asyncio.Task[Any]] = set()

    @property
    def routes(self) -> list[BaseRoute]:
        """Where clients connect, and where functions reach them."""
        stage = f"/{self._api.name}"
        connections = f"{stage}/@connections/{{connection_id}}"
        return [
            WebSocketRoute(stage, self._serve),
            Route(connections, self._manage, methods=["GET", "POST", "DELETE"]),
        ]

    async def close(self) -> None:
        """Close every socket, and wait a moment for what the functions do about it."""
        await asyncio.gather(*(_end(one, RESTART) for one in self._open.values()))
        if self._served:
            await asyncio.wait(self._served, timeout=CLOSE_S)

    async def _serve(self, socket: WebSocket) -> None:
        task = asyncio.current_task()
        assert task
        self._served.add(task)
        try:
            await self._accept(socket)
        finally:
            self._served.discard(task)

    async def _accept(self, socket: WebSocket) -> None:
        """Ask `$connect`, open the socket, and stay with it until it ends."""
        connection_id = base64.urlsafe_b64encode(os.urandom(11)).decode()
        at, loop = self._now(), asyncio.get_running_loop()
        context = self._context(socket, connection_id, at)
        answer = await self._invoke(
            "$connect", {**_handshake(socket), "requestContext": context("$connect", "CONNECT")}
        )
        verdict = {} if answer.failed else json.loads(answer.payload) or {}
        status = int(verdict.get("statusCode", 500))
        if status >= 300:
            await socket.send_denial_response(Response(status_code=status))
            return
        headers = {str(name).lower(): str(value) for name, value in (verdict.get("headers") or {}).items()}
        await socket.accept(subprotocol=headers.get("sec-websocket-protocol"))
        one = Connection(
            socket=socket, connection_id=connection_id, connected_at=at, started=loop.time(), active=loop.time()
        )
        self._open[connection_id] = one
        code, why = GOING_AWAY, "Going away"
        try:
            code, why = await self._listen(one, context)
        finally:
            del self._open[connection_id]
        left = context("$disconnect", "DISCONNECT") | {"disconnectStatusCode": code, "disconnectReason": why}
        await self._invoke("$disconnect", {"headers": {}, "multiValueHeaders": {}, "requestContext": left})

    async def _listen(self, one: Connection, context: Callable[[str, str], Event]) -> tuple[int, str]:
        """Hand on what the client says until the socket ends; return by which close code and why."""
        loop = asyncio.get_running_loop()
        while (left := one.ends_in(self._limits, loop.time())) > 0:
            try:
                async with asyncio.timeout(left):
                    message = await one.socket.receive()
            except TimeoutError:
                continue
            if message["type"] == "websocket.disconnect":
                return message.get("code", 1005), message.get("reason") or "Connection closed"
            one.active = loop.time()
            if (text := message.get("text")) is None:
                await _end(one, NO_BINARY)
                return NO_BINARY, "Binary is not supported"
            await self._hear(one, text, context)
        idle = one.started + self._limits.lifetime_s > loop.time()
        await _end(one, GOING_AWAY)
        return GOING_AWAY, "Idle" if idle else "Lived as long as a connection may"

    async def _hear(self, one: Connection, text: str, context: Callable[[str, str], Event]) -> None:
        route = self._route(text)
        about = context(route, "MESSAGE") | {"messageId": base64.urlsafe_b64encode(os.urandom(11)).decode()}
        answer = await self._invoke(route, {"requestContext": about, "body": text, "isBase64Encoded": False})
        body: str | None = None
        if answer.failed:
            body = json.dumps(
                {
                    "message": "Internal server error",
                    "connectionId": one.connection_id,
                    "requestId": about["requestId"],
                }
            )
        elif route in self._api.answered:
            body = (json.loads(answer.payload) or {}).get("body")
        if body is not None:
            await self._send(one, body)

    def _route(self, text: str) -> str:
        try:
            wanted = json.loads(text)[self._api.selects]
        except (ValueError, TypeError, KeyError, RecursionError):
            return "$default"
        return wanted if isinstance(wanted, str) and wanted in self._api.routes else "$default"

    async def _send(self, one: Connection, text: str) -> bool:
        """Send *text*, and return whether the socket was still open."""
        if one.socket.application_state is not WebSocketState.CONNECTED:
            return False
        try:
            await one.socket.send_text(text)
        except (RuntimeError, OSError):  # the client left this moment
            return False
        one.active = asyncio.get_running_loop().time()
        return True

    async def _manage(self, request: Request) -> Response:
        """Answer a function that posts to a connection, closes it, or asks about it."""
        connection_id = request.path_params["connection_id"]
        if not self._allows(request, connection_id):
            return _error(403, "ForbiddenException", "The caller may not manage this connection.")
        if (one := self._open.get(connection_id)) is None:
            return _error(410, "GoneException", "")
        if request.method == "DELETE":
            await _end(one, CLOSED)
            return Response(status_code=204)
        if request.method == "GET":
            identity = {"sourceIp": "127.0.0.1", "userAgent": one.socket.headers.get("user-agent", "")}
            return JSONResponse({"connectedAt": _iso(one.connected_at), "identity": identity})
        data = await request.body()
        if len(data) > MOST_BYTES:
            return _error(413, "PayloadTooLargeException", "The message has more than 128 KB.")
        if not await self._send(one, data.decode()):
            return _error(410, "GoneException", "")
        return Response(status_code=200)

    def _allows(self, request: Request, connection_id: str) -> bool:
        """Return whether the function whose key signed *request* is allowed it. The signature itself is not checked."""
        signed = CREDENTIAL.match(request.headers.get("authorization", ""))
        resource = (
            f"arn:aws:execute-api:{REGION}:000000000000:{SOCKET_API}/{self._api.name}"
            f"/{request.method}/@connections/{connection_id}"
        )
        for name, function in self._functions.items():
            if signed and function.code.environment.get("AWS_ACCESS_KEY_ID") == signed[1]:
                return permits(self._policies[name], "execute-api:ManageConnections", resource)
        return False

    async def _invoke(self, route: str, event: Event) -> Answer:
        """Return what the function behind *route* answers. A route that the template does not have answers nothing."""
        if (name := self._api.routes.get(route)) is None:
            return Answer(payload=b"{}")
        try:
            answer = await self._functions[name].invoke(json.dumps(event).encode(), wait_s=WAIT_S)
        except Busy:
            busy = {"errorType": "Busy", "errorMessage": f"no worker was free for {WAIT_S} s"}
            answer = Answer(payload=json.dumps(busy).encode(), failed=True)
        if answer.failed:
            self._tell(f"{route} failed: {name}: {answer.error}")
        return answer

    def _context(self, socket: WebSocket, connection_id: str, connected_at: float) -> Callable[[str, str], Event]:
        """Return what makes the `requestContext` of an event of this connection."""
        client = socket.client.host if socket.client else "127.0.0.1"
        lasting = {
            "apiId": SOCKET_API,
            "stage": self._api.name,
            "connectionId": connection_id,
            "connectedAt": int(connected_at * 1000),
            "domainName": socket.headers.get("host", ""),
            "identity": {"sourceIp": client, "userAgent": socket.headers.get("user-agent", "")},
            "messageDirection": "IN",
        }

        def context(route: str, kind: str) -> Event:
            now, request_id = self._now(), str(uuid.uuid4())
            return lasting | {
                "routeKey": route,
                "eventType": kind,
                "requestId": request_id,
                "extendedRequestId": request_id,
                "requestTime": datetime.fromtimestamp(now, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
                "requestTimeEpoch": int(now * 1000),
            }

        return context


def permits(policies: Sequence[Properties], action: str, resource: str) -> bool:
    """Return whether one of *policies* (documents) allows *action* on *resource*. None of ours denies anything."""
    return any(
        action in statement["Action"] and any(fnmatchcase(resource, one) for one in _listed(statement["Resource"]))
        for policy in policies
        for statement in policy["Statement"]
    )


def _listed(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]


def _handshake(socket: WebSocket) -> Event:
    """Return the headers and the query of a handshake as an event carries them."""
    many: dict[str, list[str]] = {}
    for name, value in socket.headers.items():
        many.setdefault(name, []).append(value)
    event: Event = {
        "headers": {name: values[-1] for name, values in many.items()},
        "multiValueHeaders": many,
        "isBase64Encoded": False,
    }
    if socket.query_params:
        event["queryStringParameters"] = dict(socket.query_params)
        event["multiValueQueryStringParameters"] = {
            name: socket.query_params.getlist(name) for name in socket.query_params
        }
    return event


async def _end(one: Connection, code: int) -> None:
    if one.socket.application_state is WebSocketState.CONNECTED:
        await one.socket.close(code)


def _error(status: int, kind: str, message: str) -> Response:
    return JSONResponse({"message": message}, status, {"x-amzn-errortype": kind})


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
