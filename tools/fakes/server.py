"""How the stand-ins run: on a port of 127.0.0.1, in this thread or in one of their own."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from tools.fakes import app
from tools.fakes.clock import Clock
from tools.fakes.store import Store
from tools.fakes.stripe import events, portal
from tools.fakes.stripe.handlers import HANDLERS
from tools.fakes.stripe.world import World

HOST = "127.0.0.1"
API_KEY = "sk_test_local"
IDLE_S = 600  # a connection that is closed just when its next request comes fails that request

_monotonic = time.monotonic


@dataclass(frozen=True, slots=True)
class Fakes:
    """Stand-ins that run."""

    url: str
    clock_file: Path

    @property
    def stripe_api_base(self) -> str:
        """Return where a client of Stripe's is to look for its API."""
        return f"{self.url}/stripe"

    @property
    def issuer(self) -> str:
        """Return the issuer of the identity tokens."""
        return f"{self.url}/identity"


class _OwnClock(asyncio.SelectorEventLoop):
    """An event loop whose timers go by the machine's clock, even while somebody in this process stops `time`."""

    def time(self) -> float:
        """Return the seconds of a clock that only runs on."""
        return _monotonic()


def _run(server: uvicorn.Server, sock: socket.socket) -> None:
    with asyncio.Runner(loop_factory=_OwnClock) as runner:
        runner.run(server.serve(sockets=[sock]))


def listen(port: int) -> socket.socket:
    """Return a socket that listens on *port* (0: a free one)."""
    sock = socket.socket(proto=socket.IPPROTO_TCP)  # named, so that asyncio sets TCP_NODELAY
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((HOST, port))
    sock.listen(512)
    return sock


def prepare(
    sock: socket.socket, state: Path, clock_file: Path | None, webhooks: Mapping[str, str], api_key: str
) -> tuple[uvicorn.Server, World]:
    """Return a server for *sock*, and the world kept in *state* that it serves."""
    store = Store(state)
    file = clock_file or state / "clock"
    clock = Clock(file, at_least=store.noted("clock", "offset", 0))
    base = f"http://{HOST}:{sock.getsockname()[1]}"
    world = World(store=store, clock=clock, base=base, handlers=HANDLERS, api_key=api_key, seen_as=base)
    events.register(world, dict(webhooks))
    if webhooks:  # a whole shop, whose merchant has set up the portal
        portal.save_settings(world)
    config = uvicorn.Config(
        app.build(world),
        http="h11",
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        date_header=False,
        server_header=False,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=IDLE_S,
    )
    return uvicorn.Server(config), world


@contextmanager
def serve(
    *,
    state: Path,
    clock_file: Path | None = None,
    webhooks: Mapping[str, str] | None = None,
    sock: socket.socket | None = None,
    api_key: str = API_KEY,
) -> Iterator[Fakes]:
    """Run the stand-ins in a thread while the block runs.

    *state* is the folder that they keep their state in, *clock_file* what they publish their clock's offset in
    (default: a file in *state*), *webhooks* the secret of every endpoint's URL that gets all events, *sock* a socket
    that listens already (default: one on a free port).
    """
    sock = sock or listen(0)
    server, world = prepare(sock, state, clock_file, webhooks or {}, api_key)
    thread = threading.Thread(target=_run, args=(server, sock), name="fakes", daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.005)
    try:
        if not server.started:
            raise RuntimeError("the stand-ins could not start; their log says why")
        yield Fakes(world.base, clock_file or state / "clock")
    finally:
        server.should_exit = True
        thread.join()
        sock.close()
        world.store.close()
