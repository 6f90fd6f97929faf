"""A shop with a table in memory, at Stripe's stand-in by HTTP: its functions' flows, its webhooks, its clock."""

import threading
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import httpx
from paidup.flows.events import receive, retry_event
from paidup.flows.expire import expire
from paidup.flows.objects import reconcile_objects
from paidup.flows.reconcile import reconcile
from paidup.flows.services import Services
from paidup.model.bucket import Limits
from paidup.model.errors import SecondNotOver
from paidup.model.policy import Policy
from paidup.outside.dynamo.budget import Budgets
from paidup.outside.dynamo.table import Table
from paidup.outside.queue import Queue
from paidup.outside.stripe import provider as stripe_provider

from tools.fakes.memory.table import MemoryTable
from tools.fakes.server import API_KEY, Fakes, serve

SECRET = "whsec_localstackonly000000000000"  # noqa: S105 - of the stand-in alone
SWEEP_S, RECONCILE_S = 60, 300
RUN_S = 240.0
Webhook = tuple[bytes, Mapping[str, str]]
UNLIMITED = Limits(per_second=10_000, least_a_month=10**9)  # its seconds are not those in which it runs


class MemoryQueue:
    """SQS, as far as webhooks are put into it."""

    def __init__(self) -> None:
        """Begin empty."""
        self.bodies: deque[str] = deque()

    def send_message(self, *, MessageBody: str, **_: Any) -> None:  # noqa: N803 - boto3's own name
        """Keep the body of a webhook."""
        self.bodies.append(MessageBody)


@dataclass(slots=True, kw_only=True)
class Shop:
    """The shop, and what its clock-driven functions found. `received` are webhooks that nobody has dealt with yet."""

    fakes: Fakes
    http: httpx.Client
    services: Services
    queue: MemoryQueue
    received: deque[Webhook]
    now: int
    delivers: bool = True
    channels: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    _acted: int = 0

    def pass_time(self, until: int) -> None:
        """Let time pass, and the functions run when they are due: each minute, and each five minutes."""
        while self.now < until:
            every_s = RECONCILE_S if self.delivers else SWEEP_S  # with webhooks, nobody waits for a sweep
            nearest = min(until, (self.now // every_s + 1) * every_s)
            self.advance(nearest - self.now)
            self.hear()
            if self.now % SWEEP_S == 0:
                expire(self.services, now=self.now, time_left=lambda: RUN_S)
            if self.now % RECONCILE_S == 0:
                reconcile(self.services, run_id="run", now=self.now, time_left=lambda: RUN_S)
                report = reconcile_objects(self.services, run_id="run", now=self.now, time_left=lambda: RUN_S)
                self.failures["objects that could not be read"] += report.problems
                self._work()

    def advance(self, seconds: int) -> None:
        """Let time pass, and nothing run."""
        self._post("/dev/clock", advance_s=seconds)
        self.now += seconds

    def drop_webhooks(self) -> None:
        """Let no webhook arrive from now on."""
        self.hear()
        self._post("/dev/faults", drop=1)
        self.delivers = False

    def hear(self) -> None:
        """Wait until Stripe has delivered what it has to say, and settle it."""
        while self.delivers and self._undelivered():
            self._take()
        self._take()

    def stripe(self, path: str, **fields: Any) -> Any:
        """Change something at Stripe, as its dashboard does."""
        answer = self.http.post(f"{self.fakes.url}/stripe/v1/{path}", data=fields, auth=(API_KEY, ""))
        return answer.raise_for_status().json()

    def ended(self, plan: str) -> None:
        """End a subscription at Stripe at once, as its dashboard does."""
        url = f"{self.fakes.url}/stripe/v1/subscriptions/{plan}"
        self.http.delete(url, auth=(API_KEY, "")).raise_for_status()

    def pays(self, url: str, card: str) -> None:
        """Pay on the page at *url*."""
        self.http.post(url, data={"card": card})

    def calls(self) -> int:
        """Return how many calls Stripe's API got."""
        return int(self.http.get(f"{self.fakes.url}/dev/stripe/requests").json()["total"])

    def _undelivered(self) -> bool:
        counts = self.http.get(f"{self.fakes.url}/dev/deliveries", params={"limit": "1"}).json()["counts"]
        return bool(counts.get("pending"))

    def _take(self) -> None:
        provider = self.services.provider("stripe")
        while self.received:
            body, headers = self.received.popleft()
            receive(provider.verify(body, headers, now=self.now), self.services, now=self.now)
        self._work()

    def _work(self) -> None:
        provider = self.services.provider("stripe")
        for _ in range(len(self.queue.bodies)):
            body = self.queue.bodies.popleft()
            try:
                retry_event(provider.read_event(body), self.services, now=self.now, attempt=1, left_s=RUN_S)
            except SecondNotOver:
                self.queue.bodies.append(body)  # it comes back when the second is over

    def _post(self, path: str, **fields: Any) -> None:
        self.http.post(f"{self.fakes.url}{path}", json=fields).raise_for_status()


@contextmanager
def opened(state: Path, *, at: int) -> Iterator[Shop]:
    """Open a shop with its own stand-in, whose state lies in *state*, at the epoch second *at*, which is to come."""
    received: deque[Webhook] = deque()
    with _endpoint(received) as url, serve(state=state, webhooks={url: SECRET}) as fakes, httpx.Client() as http:
        shop = _shop(fakes, http, received)
        shop.http.post(f"{fakes.url}/dev/clock", json={"stand_still": True}).raise_for_status()
        shop.now = int(http.get(f"{fakes.url}/dev/clock").json()["now"])
        shop.advance(at - shop.now)
        yield shop


def _shop(fakes: Fakes, http: httpx.Client, received: deque[Webhook]) -> Shop:
    queue = MemoryQueue()
    known = {"api_key": API_KEY, "webhook_secrets": [SECRET]}
    provider = stripe_provider.connect(lambda _: known, fakes.stripe_api_base)
    table = Table(client=cast("Any", MemoryTable()), name="paidup")
    services = Services(
        table=table,
        budgets=Budgets(client=table.client, name=table.name),
        provider=lambda _: provider,
        providers=("stripe",),
        webhooks=lambda: Queue(client=cast("Any", queue), url=""),
        policy=Policy(reads=UNLIMITED),
    )
    return Shop(fakes=fakes, http=http, services=services, queue=queue, received=received, now=0)


@contextmanager
def _endpoint(received: deque[Webhook]) -> Iterator[str]:
    """Run an endpoint that keeps each webhook, and give its address to the block."""

    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Keep it."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((body, {name.lower(): value for name, value in self.headers.items()}))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its base's name
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/webhooks/stripe"
        finally:
            server.shutdown()
            thread.join()
