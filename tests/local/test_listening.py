"""What the stack and the stand-ins listen with: no answer waits until the one before it was acknowledged."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.alone import in_a_thread
from tools.fakes import server
from tools.local import children, stack


async def nodelay_of_what_is_accepted(listener: socket.socket) -> int:
    """Return TCP_NODELAY of a connection that the stack's server accepted on *listener*."""
    found: list[int] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        connection = send.__self__.transport.get_extra_info("socket")  # uvicorn's own; ASGI does not show it
        found.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    serving = asyncio.create_task(stack.serve(app, listener))
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    writer.write(b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
    await reader.read()
    writer.close()
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    (nodelay,) = found
    return nodelay


@pytest.mark.parametrize("listen", [children.listen, lambda: server.listen(0)], ids=["the stack", "the stand-ins"])
def test_a_connection_sends_each_part_of_an_answer_at_once(listen: Callable[[], socket.socket]) -> None:
    with listen() as listener:
        nodelay = in_a_thread(nodelay_of_what_is_accepted(listener))

    assert nodelay
