"""WebSockets on this machine: what API Gateway does between a client's socket and a function."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from websockets import ConnectionClosed, InvalidStatus, Origin, Subprotocol
from websockets.sync.client import ClientConnection, connect

from tests import patient
from tests.local.conftest import ECHO
from tests.local.test_triggers import lines
from tools.local import background
from tools.local.__main__ import options
from tools.local.background import Background
from tools.local.gateway import Gateway
from tools.local.template import SocketApi
from tools.local.worker import Answer

KB = 1024


@pytest.fixture(scope="module")
def short_lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Background]:
    """A stack whose sockets end after a second of silence, and after three anyway."""
    folder = tmp_path_factory.mktemp("short") / "stack"
    arguments = ("--template", str(ECHO), "--workers", "2", "--idle-s", "1", "--lifetime-s", "3")
    with background.running(folder, *arguments) as stack:
        yield stack


@pytest.fixture(scope="module")
def shop_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Background]:
    """The stack of the shop itself."""
    with background.running(tmp_path_factory.mktemp("shop") / "stack") as stack:
        yield stack


def opened(stack: Background, *offered: str, function: str = "chat", setting: str = "URL", **more: Any) -> Any:
    """Return a socket that offers these subprotocols, in a `with` block."""
    url = stack.where["settings"][function][setting]
    offer = [Subprotocol(one) for one in offered] or None
    wait: Any = {"open_timeout": patient.WAIT_S, "close_timeout": patient.WAIT_S, "proxy": None}
    return connect(url, subprotocols=offer, **wait, **more)


def asked(socket: ClientConnection, message: Any) -> Any:
    """Send a message, and return the answer."""
    socket.send(message if isinstance(message, str) else json.dumps(message))
    return json.loads(socket.recv(patient.WAIT_S))


def closed(socket: ClientConnection) -> int:
    """Wait until the other side closes, and return by which code."""
    with suppress(ConnectionClosed):
        while True:
            socket.recv(patient.WAIT_S)
    assert socket.close_code
    return socket.close_code


def own_id(socket: ClientConnection) -> str:
    return str(asked(socket, "who am I?")["event"]["requestContext"]["connectionId"])


def farewell(stack: Background, connection_id: str) -> str:
    """Return what the function hears when the connection ends."""

    def told() -> list[str]:
        return [line.partition(" ")[2] for line in lines(stack, "chat") if line.startswith(connection_id)]

    patient.eventually(told)
    (line,) = told()
    return line


def test_the_function_chooses_the_subprotocol(echo: Background) -> None:
    with opened(echo, "other", "chat") as socket:
        assert socket.subprotocol == "chat"
    with opened(echo) as socket:
        assert socket.subprotocol is None


@pytest.mark.parametrize("status", [401, 403, 503])
def test_a_connection_that_the_function_refuses_is_answered_with_its_status(echo: Background, status: int) -> None:
    with pytest.raises(InvalidStatus) as refused, opened(echo, "chat", f"status.{status}"):
        pass

    assert refused.value.response.status_code == status
    assert "handshake" not in echo.console


def test_a_message_becomes_an_event_and_its_answer_comes_back(echo: Background) -> None:
    with opened(echo, "chat") as socket:
        event = asked(socket, '{"a":  "ä"}')["event"]
        again = asked(socket, "no json")["event"]

    assert (event["body"], event["isBase64Encoded"], again["body"]) == ('{"a":  "ä"}', False, "no json")
    about = event["requestContext"]
    assert (about["routeKey"], about["eventType"], about["stage"]) == ("$default", "MESSAGE", "chat")
    assert about["connectionId"] == again["requestContext"]["connectionId"]
    assert about["messageId"] != again["requestContext"]["messageId"]
    assert "headers" not in event


def test_a_route_of_its_own_is_chosen_by_the_message_and_answers_only_if_the_template_says_so(echo: Background) -> None:
    with opened(echo, "chat") as socket, opened(echo, "chat") as other:
        socket.send(json.dumps({"action": "quiet", "do": "post", "to": own_id(other), "bytes": 1}))

        assert other.recv(patient.WAIT_S) == "x"
        assert asked(socket, "next")["event"]["body"] == "next"


def test_a_crash_is_told_as_api_gateway_tells_it(echo: Background) -> None:
    with opened(echo, "chat") as socket:
        said = asked(socket, {"do": "crash"})

        assert said["message"] == "Internal server error"
        assert said["connectionId"] == own_id(socket)


class TestAFunctionThatManagesConnections:
    def test_posts_to_them_up_to_128_kb(self, echo: Background) -> None:
        with opened(echo, "chat") as socket, opened(echo, "chat", max_size=None) as other:
            fits, over = ({"do": "post", "to": own_id(other), "bytes": size} for size in (128 * KB, 128 * KB + 1))

            assert asked(socket, fits)["managed"] == 200
            assert len(other.recv(patient.WAIT_S)) == 128 * KB
            assert asked(socket, over)["managed"] == "PayloadTooLargeException"

    def test_closes_them(self, echo: Background) -> None:
        with opened(echo, "chat") as socket, opened(echo, "chat") as other:
            others = own_id(other)

            assert asked(socket, {"do": "close", "to": others})["managed"] == 204
            assert closed(other) == 1000
            patient.eventually(lambda: asked(socket, {"do": "post", "to": others, "bytes": 1})["managed"] != 200)
            assert asked(socket, {"do": "post", "to": others, "bytes": 1})["managed"] == "GoneException"

    def test_may_do_what_its_policies_allow_and_no_more(self, echo: Background) -> None:
        with opened(echo, "chat") as socket:
            assert asked(socket, {"do": "look"})["managed"] == "ForbiddenException"

    def test_must_sign(self, echo: Background) -> None:
        assert patient.post(f"{echo.url}/chat/@connections/x", content="x").status_code == 403


class TestASocket:
    def test_takes_no_bytes(self, echo: Background) -> None:
        with opened(echo, "chat") as socket:
            socket.send(b"bytes")
            assert closed(socket) == 1003

    def test_takes_no_message_over_128_kb(self, echo: Background) -> None:
        with opened(echo, "chat") as socket:
            assert len(asked(socket, "x" * 100 * KB)["event"]["body"]) == 100 * KB
            socket.send("x" * (128 * KB + 1))
            assert closed(socket) == 1009

    def test_that_its_client_closes_is_told_with_code_and_reason(self, echo: Background) -> None:
        with opened(echo, "chat") as socket:
            connection_id = own_id(socket)
            socket.close(4000, "done with it")

        assert farewell(echo, connection_id) == "4000 done with it"

    def test_ends_when_it_is_silent(self, short_lived: Background) -> None:
        with opened(short_lived, "chat") as socket:
            connection_id = own_id(socket)
            assert closed(socket) == 1001

        assert farewell(short_lived, connection_id) == "1001 Idle"

    def test_ends_when_it_is_old_however_much_it_says(self, short_lived: Background) -> None:
        with opened(short_lived, "chat") as socket:
            connection_id = own_id(socket)
            with suppress(ConnectionClosed):
                while True:
                    asked(socket, "still here")
            assert socket.close_code == 1001

        assert farewell(short_lived, connection_id) == "1001 Lived as long as a connection may"


class StandingLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock a test moves."""

    now = 0.0

    def time(self) -> float:
        """Return the second at which it stands."""
        return self.now


class Chat:
    """The function behind every route: it agrees to all, and keeps the events."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    async def invoke(self, event: bytes, *, wait_s: float) -> Answer:
        self.events.append(json.loads(event))
        return Answer(payload=b'{"statusCode": 200}')


class Tab:
    """A socket of a gateway as it is started by default, in this process: the clock of both stands still."""

    def __init__(self, loop: StandingLoop) -> None:
        self.loop, self.chat, self.got = loop, Chat(), list[Any]()
        self.says: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        routes = dict.fromkeys(("$connect", "$default", "$disconnect"), "chat")
        api = SocketApi(api="", stage="", name="chat", selects="action", routes=routes, answered=frozenset())
        functions: Any = {"chat": self.chat}
        limits = options([]).sockets
        gateway = Gateway(api, functions, policies={}, now=loop.time, tell=print, limits=limits)
        scope = {"type": "websocket", "path": "/chat", "query_string": b"", "headers": [], "subprotocols": []}
        self.says.put_nowait({"type": "websocket.connect"})
        self.socket = loop.create_task(Starlette(routes=gateway.routes)(scope, self.says.get, self._get))

    async def _get(self, message: Any) -> None:
        self.got.append(message)

    async def at(self, second: float, *, says: str | None = None) -> list[str]:
        """Be at *second*, say that, and return what the gateway has done to the socket so far."""
        self.loop.now = second
        if says is not None:
            self.says.put_nowait({"type": "websocket.receive", "text": says})
        for _ in range(100):  # nothing waits for anything but the clock
            await asyncio.sleep(0)
        return [message["type"] for message in self.got]

    async def end(self) -> None:
        """Wait until the gateway is done with it."""
        await self.socket

    @property
    def farewell(self) -> tuple[int, str]:
        """With which code it was closed, and what the function was told of it."""
        return self.got[-1]["code"], self.chat.events[-1]["requestContext"]["disconnectReason"]


def lived(life: Callable[[Tab], Coroutine[Any, Any, None]]) -> Tab:
    """Return a tab after *life*, which ends with its socket."""
    loop = StandingLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        tab = Tab(loop)
        runner.run(life(tab))
        runner.run(tab.end())
    return tab


class TestWithoutASetting:
    def test_a_socket_ends_after_ten_minutes_of_silence(self) -> None:
        async def is_silent(tab: Tab) -> None:
            assert await tab.at(0) == ["websocket.accept"]
            await tab.at(300, says="still here")
            assert await tab.at(899) == ["websocket.accept"]
            assert await tab.at(900) == ["websocket.accept", "websocket.close"]

        assert lived(is_silent).farewell == (1001, "Idle")

    def test_a_socket_ends_after_two_hours_however_much_it_says(self) -> None:
        async def goes_on(tab: Tab) -> None:
            for second in (*range(0, 7_200, 300), 7_199):
                assert await tab.at(second, says="still here") == ["websocket.accept"]
            assert await tab.at(7_200) == ["websocket.accept", "websocket.close"]

        assert lived(goes_on).farewell == (1001, "Lived as long as a connection may")


def test_a_purchase_shows_in_every_open_tab(shop_stack: Background) -> None:
    identity = patient.post(f"{shop_stack.fakes_url}/identity/token", json={"sub": "ada", "roles": []}).json()
    signed_in = {"authorization": f"Bearer {identity['token']}"}
    ticket = patient.post(f"{shop_stack.url}/realtime-tickets", headers=signed_in).json()["ticket"]
    where: Any = {"function": "realtime", "setting": "PAIDUP_REALTIME_URL", "origin": Origin(shop_stack.url)}
    with (
        opened(shop_stack, "paidup.v1", f"bearer.{identity['token']}", **where) as tab,
        opened(shop_stack, "paidup.v1", f"ticket.{ticket}", **where) as other,
    ):
        assert tab.subprotocol == other.subprotocol == "paidup.v1"
        assert asked(tab, {"action": "since", "billing_version": -1})["access"] == []
        checkout = patient.post(
            f"{shop_stack.url}/payment-tokens", headers=signed_in, json={"offer_id": "ten_class_pass"}
        )
        patient.post(checkout.json()["url"], data={"card": "4242424242424242"})

        told = [json.loads(one.recv(patient.WAIT_S)) for one in (tab, other)]

        assert told[0] == told[1]
        assert (told[0]["type"], told[0]["billing_version"]) == ("billing.changed", 1)
        assert told[0]["access"][0]["purchase_id"] == checkout.json()["checkout_id"]


def test_a_stack_that_ends_closes_what_is_open(tmp_path: Path) -> None:
    with background.running(tmp_path / "stack", "--template", str(ECHO)) as stack, opened(stack, "chat") as socket:
        own_id(socket)
        stack.process.terminate()
        assert closed(socket) == 1012
        assert stack.process.wait(patient.WAIT_S) == 0

    assert "Traceback" not in stack.console
