"""Where the command line's tests are at work: a stack that says back what reaches it, and one that is deployed."""

import json
import os
import threading
from collections.abc import Iterator
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
        self._answer({"event": json.loads(self.rfile.read(int(self.headers["content-length"])))})

    def _answer(self, body: Any) -> None:
        there = "/functions/shop-" in self.path
        text = json.dumps(body if there else {"Message": f"Function not found: {self.path}"}).encode()
        self.send_response(200 if there else 404)
        self.send_header("content-length", str(len(text)))
        if not there:
            self.send_header("x-amzn-errortype", "ResourceNotFoundException")
        self.end_headers()
        self.wfile.write(text)

    def log_request(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def shop(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world that is deployed as `shop`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Lambda) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", f"http://127.0.0.1:{server.server_port}")
        yield world
        server.shutdown()
