"""One execution environment of Lambda on this machine: a process under awslambdaric, AWS's own runtime for Python.

It works on one event at a time, and asks for it as on AWS: by the Runtime API, a small HTTP server of its own here.
"""

import asyncio
import contextlib
import json
import os
import sys
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tools.local import children, template

INIT_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a function returned, or the error that it ended with (`errorMessage`, `errorType`), as JSON."""

    payload: bytes
    failed: bool = False

    @property
    def error(self) -> str:
        """The error in one line."""
        told = json.loads(self.payload)
        return f"{told.get('errorType', 'Error')}: {told.get('errorMessage', '')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """What a function's process is made of: its folder, the folders below it on the path, and its environment.

    `within` is the command that starts the process, if it is to run in surroundings of its own.
    """

    name: str
    folder: Path
    handler: str
    timeout_s: float
    memory_mb: int
    path: tuple[Path, ...]
    environment: Mapping[str, str]
    within: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        function: template.Function,
        *,
        path: tuple[Path, ...],
        environment: Mapping[str, str],
        folder: Path | None = None,
        within: tuple[str, ...] = (),
    ) -> "Code":
        """Return the code of a function of the template, as it is in *folder* (where it was built) or in the tree."""
        return cls(
            name=function.name,
            folder=folder or function.code,
            handler=function.handler,
            timeout_s=function.timeout_s,
            memory_mb=function.memory_mb,
            path=path,
            environment=environment,
            within=within,
        )

    def process_environment(self, runtime_api: str) -> dict[str, str]:
        """Return the environment of a worker whose Runtime API is at *runtime_api* (host:port)."""
        return {
            "PATH": os.environ["PATH"],
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "PYTHONPATH": os.pathsep.join(str(one) for one in (self.folder, *self.path)),
            "LAMBDA_TASK_ROOT": str(self.folder),
            "_HANDLER": self.handler,
            "AWS_LAMBDA_RUNTIME_API": runtime_api,
            "AWS_LAMBDA_FUNCTION_NAME": self.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self.memory_mb),
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{self.name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": "local",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            **self.environment,
        }


class Worker:
    """One execution environment: a process, and the Runtime API that it talks to."""

    def __init__(self, code: Code, log: IO[bytes]) -> None:
        """Prepare a worker of *code* that writes what it prints to *log*."""
        self.code = code
        self.init_ms = 0.0
        self.broken: Answer | None = None
        self._log = log
        self._jobs: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(1)
        self._answer: asyncio.Future[Answer] | None = None
        self._settled = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def alive(self) -> bool:
        """Whether it can take an event."""
        return self._process is not None and self._process.returncode is None and self.broken is None

    @property
    def pid(self) -> int:
        """The id of its process, once that was started."""
        assert self._process
        return self._process.pid

    async def start(self) -> None:
        """Start the process and wait until its code is imported, or `broken` tells why it could not be."""
        started = time.perf_counter()
        self._server = await asyncio.start_server(self._connected, sock=children.listen())
        port = self._server.sockets[0].getsockname()[1]
        self._process = await asyncio.create_subprocess_exec(
            *(*self.code.within, sys.executable, "-S", "-m", "awslambdaric", self.code.handler),
            cwd=self.code.folder,
            env=self.code.process_environment(f"127.0.0.1:{port}"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        if not await self._first(self._settled.wait(), INIT_S):
            self.broken = _failure("Runtime.ExitError", "the process ended, or took too long, while it was starting")
        self.init_ms = (time.perf_counter() - started) * 1000
        if self.broken:
            await self.stop()

    async def invoke(self, event: bytes) -> Answer:
        """Return the function's answer to *event* (JSON), within its time-out. A worker that fails it is dead."""
        if self.broken:
            return self.broken
        self._answer = asyncio.get_running_loop().create_future()
        self._jobs.put_nowait((str(uuid.uuid4()), event))
        if await self._first(self._answer, self.code.timeout_s):
            return self._answer.result()
        out_of_time = self._process is not None and self._process.returncode is None
        await self.stop()
        if out_of_time:
            return _failure("Sandbox.Timedout", f"Task timed out after {self.code.timeout_s:.2f} seconds")
        return _failure("Runtime.ExitError", "Runtime exited without providing a reason")

    async def stop(self) -> None:
        """End the process and its Runtime API."""
        if self._process and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        if self._server:
            self._server.close()
        for connection in list(self._connections):
            connection.cancel()

    async def _first(self, wanted: "asyncio.Future[Answer] | asyncio._CoroutineLike[object]", limit_s: float) -> bool:
        """Return whether *wanted* came true before the process ended and before *limit_s* passed."""
        assert self._process
        hoped, ended = asyncio.ensure_future(wanted), asyncio.ensure_future(self._process.wait())
        try:
            await asyncio.wait({hoped, ended}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
            return hoped.done()
        finally:
            hoped.cancel()
            ended.cancel()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._connections.add(task)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                method, path, headers = _request(head)
                body = await _body(reader, headers)
                reply = await self._next() if method == "GET" else self._posted(path, body)
                writer.write(reply)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the process ended, or is being ended
        finally:
            self._connections.discard(task)
            writer.close()

    async def _next(self) -> bytes:
        """Answer the worker that asks for its next event, once there is one."""
        self._settled.set()
        request_id, event = await self._jobs.get()
        headers = {
            "Lambda-Runtime-Aws-Request-Id": request_id,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + self.code.timeout_s) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": (
                f"arn:aws:lambda:{self.code.environment.get('AWS_REGION', 'us-east-1')}"
                f":000000000000:function:{self.code.name}"
            ),
            "Lambda-Runtime-Trace-Id": f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]};Sampled=0",
            "Content-Type": "application/json",
        }
        return _reply("200 OK", event, headers)

    def _posted(self, path: str, body: bytes) -> bytes:
        """Take what the worker posts: an answer, an error, or that its code cannot be imported."""
        if path.endswith("/init/error"):
            self.broken = Answer(payload=body, failed=True)
            self._settled.set()
        elif self._answer and not self._answer.done():
            self._answer.set_result(Answer(payload=body, failed=path.endswith("/error")))
        return _reply("202 Accepted", b'{"status":"OK"}')


def _failure(kind: str, message: str) -> Answer:
    return Answer(payload=json.dumps({"errorType": kind, "errorMessage": message}).encode(), failed=True)


def _request(head: bytes) -> tuple[str, str, dict[str, str]]:
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, path, _ = first.split(" ", 2)
    pairs: Iterable[tuple[str, str, str]] = (line.partition(":") for line in lines)
    return method, path, {name.strip().lower(): value.strip() for name, _, value in pairs}


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await reader.readexactly(int(headers.get("content-length", 0)))
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return body


def _reply(status: str, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    fields = {**(headers or {}), "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body
