"""The other programs of the local stack: started in a session of their own, watched, and ended in order."""

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

START_S = 60
STOP_S = 10
PR_SET_PDEATHSIG = 1


class NotStarted(Exception):
    """A part of the local stack did not come up. The message says which, and what to do."""


class Child:
    """A program that the stack started, with its log."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        """Watch *process*, which writes to *log*."""
        self.name = name
        self.log = log
        self._process = process

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.returncode is None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def ended(self) -> str:
        """Wait until it ends, and return one sentence that says so."""
        code = await self._process.wait()
        how = f"with {code}" if code >= 0 else f"by {signal.Signals(-code).name}"
        return f"{self.name} ended {how}: see {self.log}."

    async def listening(self, port: int) -> None:
        """Return as soon as it listens on *port*. Raises NotStarted if it ends first or takes too long."""
        until = asyncio.get_running_loop().time() + START_S
        while self.alive and asyncio.get_running_loop().time() < until:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)
        raise NotStarted(f"{self.name} did not start: see {self.log}.")

    async def stop(self) -> None:
        """Ask it to end, and make it end when it does not within 10 s."""
        if not self.alive:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()


async def start(name: str, argv: Sequence[str], environment: Mapping[str, str], log: Path) -> Child:
    """Start a program that writes to *log*. In a session of its own, so that Ctrl-C reaches the stack alone."""
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *argv,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
            preexec_fn=end_with_parent,
        )
    return Child(name, process, log)


def end_with_parent() -> None:
    """Have Linux end this process when the one that started it is killed, and so cannot end it any more."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def listen(port: int = 0, setting: str = "port") -> socket.socket:
    """Return a socket that listens on *port* of 127.0.0.1 (0: any). Raises NotStarted if the port is taken."""
    # asyncio sets TCP_NODELAY only if the protocol is named; without it each answer takes 40 ms more.
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.close()
        raise NotStarted(f"Port {port} is taken by another program: end it, or choose another {setting}.") from None
    listener.listen(2048)
    listener.setblocking(False)
    return listener
