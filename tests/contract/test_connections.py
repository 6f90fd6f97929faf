"""`@connections`, as our functions call it: the tests' gateway and the local stack's answer alike.

What API Gateway answers: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html
"""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
import uvicorn
from paidup.outside.sockets import Outcome, Sockets
from starlette.applications import Starlette
from websockets.sync.client import connect

from tests import patient
from tests.functions.sockets import gateway_running
from tools.local.gateway import Gateway, Limits
from tools.local.template import SocketApi
from tools.local.worker import Answer

KEY = "AKIDGATEWAY"
EVERYTHING = {"Statement": [{"Action": ["execute-api:ManageConnections"], "Resource": "*"}]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One gateway: `opened` opens a connection, and returns its id and what reads the next message that it gets."""

    url: str
    opened: Callable[[], tuple[str, Callable[[], Any]]]

    @property
    def sockets(self) -> Sockets:
        """The connections as our functions reach them."""
        key: Any = {"aws_access_key_id": KEY, "aws_secret_access_key": "secret", "region_name": "eu-west-1"}
        return Sockets(client=boto3.client("apigatewaymanagementapi", endpoint_url=self.url, **key))


@contextmanager
def of_the_tests() -> Iterator[Side]:
    """The gateway that stands in for API Gateway in the functions' tests."""
    with gateway_running() as made:

        def opened() -> tuple[str, Callable[[], Any]]:
            an_id = f"tab-{len(made.opened)}="
            made.opened.add(an_id)
            return an_id, lambda: made.posted[an_id].pop(0)

        yield Side(url=made.url.replace("ws", "http", 1), opened=opened)


@contextmanager
def of_the_stack() -> Iterator[Side]:
    """The gateway of the local stack, in front of a function that lets everybody in."""
    ids: list[str] = []

    async def let_in(event: bytes, *, wait_s: float) -> Answer:
        about = json.loads(event)["requestContext"]
        if about["routeKey"] == "$connect":
            ids.append(about["connectionId"])
        return Answer(payload=b'{"statusCode": 200}')

    function: Any = SimpleNamespace(invoke=let_in, code=SimpleNamespace(environment={"AWS_ACCESS_KEY_ID": KEY}))
    routes = {"$connect": "let_in"}
    described = SocketApi(
        api="Api", stage="Stage", name="realtime", selects="action", routes=routes, answered=frozenset()
    )
    gateway = Gateway(
        described,
        {"let_in": function},
        policies={"let_in": [EVERYTHING]},
        now=lambda: 0.0,
        tell=print,
        limits=Limits(),
    )
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=gateway.routes), port=0, log_level="warning"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    patient.eventually(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    with ExitStack() as clients:

        def opened() -> tuple[str, Callable[[], Any]]:
            socket = clients.enter_context(connect(f"ws://127.0.0.1:{port}/realtime", proxy=None))
            return ids[-1], lambda: json.loads(socket.recv(patient.WAIT_S))

        yield Side(url=f"http://127.0.0.1:{port}/realtime", opened=opened)
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module", params=[of_the_tests, of_the_stack], ids=["the tests' own", "the local stack's"])
def connections(request: pytest.FixtureRequest) -> Iterator[Side]:
    """A gateway that functions call."""
    with request.param() as made:
        yield made


def test_a_message_reaches_the_connection_that_it_is_posted_to(connections: Side) -> None:
    (one, heard_by_one), (other, heard_by_other) = connections.opened(), connections.opened()

    assert connections.sockets.post([one], '{"n": 1}') == {one: Outcome.SENT}
    assert connections.sockets.post([other, one], '{"n": 2}') == {other: Outcome.SENT, one: Outcome.SENT}

    assert [heard_by_one(), heard_by_one(), heard_by_other()] == [{"n": 1}, {"n": 2}, {"n": 2}]


def test_a_connection_that_is_closed_or_unknown_is_gone(connections: Side) -> None:
    one, _ = connections.opened()

    assert connections.sockets.close(one) is Outcome.SENT

    patient.eventually(lambda: connections.sockets.post([one], "{}") == {one: Outcome.GONE})
    assert connections.sockets.post(["nobody="], "{}") == {"nobody=": Outcome.GONE}
    assert [connections.sockets.close(one), connections.sockets.close("nobody=")] == [Outcome.GONE, Outcome.GONE]


def test_a_message_over_128_kb_is_refused(connections: Side) -> None:
    one, heard = connections.opened()
    fits = json.dumps("x" * (128 * 1024 - 2))

    assert connections.sockets.post([one], fits + " ") == {one: Outcome.FAILED}
    assert connections.sockets.post([one], fits) == {one: Outcome.SENT}

    assert len(heard()) == 128 * 1024 - 2


def test_who_does_not_sign_is_refused(connections: Side) -> None:
    one, _ = connections.opened()

    assert patient.post(f"{connections.url}/@connections/{one}", content="{}").status_code == 403
    assert patient.request("DELETE", f"{connections.url}/@connections/{one}").status_code == 403
