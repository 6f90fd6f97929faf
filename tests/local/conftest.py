"""Where the command line's tests are at work: a stack that says back what reaches it, and one that is deployed."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.world import World
from tools.local import background
from tools.local.background import Background

ECHO = Path(__file__).parent / "echo/template.yaml"


@pytest.fixture(scope="package")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Background]:
    """A stack of tests/local/echo/template.yaml with two workers a function."""
    folder = tmp_path_factory.mktemp("echo") / "stack"
    with background.running(folder, "--template", str(ECHO), "--workers", "2") as stack:
        yield stack


class Lambda(BaseHTTPRequestHandler):
    """Lambda's API in front of a stack called `shop`: how its functions are configured, and what they answer."""

    def do_GET(self) -> None:
        settings = {name: value for name, value in os.environ.items() if name.startswith("PAIDUP_")}
        self._answer({"Environment": {"Variables": settings}})

    def do_POST(self) -> None:
        event = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self._answer({"event": event}, failed=isinstance(event, dict) and event.get("do") == "crash")

    def _answer(self, body: Any, *, failed: bool = False) -> None:
        there = "/functions/shop-" in self.path
        text = json.dumps(body if there else {"Message": f"Function not found: {self.path}"}).encode()
        self.send_response(200 if there else 404)
        self.send_header("content-length", str(len(text)))
        if failed:
            self.send_header("x-amz-function-error", "Unhandled")
        if not there:
            self.send_header("x-amzn-errortype", "ResourceNotFoundException")
        self.end_headers()
        self.wfile.write(text)

    def log_request(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def deployed(made: World) -> Iterator[World]:
    """Deploy the world *made* as `shop` while the block runs."""
    with pytest.MonkeyPatch.context() as patch, ThreadingHTTPServer(("127.0.0.1", 0), Lambda) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        patch.setenv("AWS_ENDPOINT_URL_LAMBDA", f"http://127.0.0.1:{server.server_port}")
        yield made
        server.shutdown()


@pytest.fixture
def shop(world: World) -> Iterator[World]:
    """A world that is deployed as `shop`."""
    with deployed(world) as made:
        yield made


@pytest.fixture
def new_shop(fresh_world: World) -> Iterator[World]:
    """A world that is deployed as `shop`, in which nothing has happened yet."""
    with deployed(fresh_world) as made:
        yield made


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let a command hear Ctrl-C, also if a shell has started the tests in the background, deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
