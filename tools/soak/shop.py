"""A shop with a table in memory, at Stripe's stand-in by HTTP: its functions' flows, its webhooks, its clock."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import httpx
import stripe
from paidup.flows.check_endpoints import check_endpoints
from paidup.flows.events import AGAIN_IN_S, receive, retry_event
from paidup.flows.expire import expire
from paidup.flows.objects import reconcile_objects
from paidup.flows.reconcile import reconcile
from paidup.flows.services import Services
from paidup.model.bucket import Limits
from paidup.model.errors import SecondNotOver
from paidup.model.fact import Channel
from paidup.model.policy import Policy
from paidup.outside.dynamo.budget import Budgets
from paidup.outside.dynamo.table import Table
from paidup.outside.stripe import provider as stripe_provider

from tools.fakes.memory.queue import MemoryQueue
from tools.fakes.memory.table import MemoryTable
from tools.fakes.server import API_KEY, Fakes, serve
from tools.soak.pace import Asked
from tools.soak.uptime import slept_through

SECRET = "whsec_localstackonly000000000000"  # noqa: S105 - of the stand-in alone
SWEEP_S, RECONCILE_S = 60, 300  # how often their functions run, and for how long at most
SWEEPS_FOR_S, RECONCILES_FOR_S, WORKS_FOR_S = 50, 240, 60
Webhook = tuple[bytes, Mapping[str, str]]
Run = Callable[[], None]


@dataclass(slots=True, kw_only=True)
class Shop:
    """The shop at `url`, and what its clock-driven functions found. `received` are webhooks that nobody dealt with yet.

    `failures` counts what the functions report that should not be. `meanwhile` lets happen what people do by now, also
    while a function waits.
    """

    fakes: Fakes
    url: str
    http: httpx.Client
    services: Services
    rows: MemoryTable
    queue: MemoryQueue
    received: deque[Webhook]
    now: int
    delivers: bool = True
    failures: Counter[str] = field(default_factory=Counter)
    meanwhile: Run = lambda: None
    _instances: dict[str, Services] = field(default_factory=dict)
    _swept: int = 0
    _reconciled: int = 0

    @contextmanager
    def running(self, name: str) -> Iterator[Services]:
        """Run the function *name* in the block, with services of its own: instances share nothing but the table.

        Stripe sees the name in each request.
        """
        budgets = Budgets(client=self.services.table.client, name=self.services.table.name)
        before = stripe.app_info
        stripe.set_app_info(name)
        try:
            yield self._instances.setdefault(name, replace(self.services, budgets=budgets))
        finally:
            stripe.app_info = before

    def pass_time(self, until: int, *, look: Run = lambda: None) -> None:
        """Let time pass, and functions run when they are due. *look* is called after each of them.

        The sweep would run each minute. Where it would find nothing, it does not.
        """
        while True:
            at, run = min(self._upcoming(), key=lambda one: one[0])
            if at > until:
                break
            self.advance(at - self.now)
            self.hear()
            self.meanwhile()
            run()
            look()
        self.advance(until - self.now)
        self.hear()

    def advance(self, seconds: int) -> None:
        """Let time pass, and nothing run."""
        if seconds > 0:
            self._post("/dev/clock", advance_s=seconds)
            self.now += seconds

    def sleep(self, seconds: int) -> None:
        """Let time pass while a function waits. Others do not: they run as in processes of their own."""
        for _ in range(seconds):
            self.advance(1)
            Context().run(self.meanwhile)

    def leap(self, to: int) -> None:
        """Let time pass until the second *to*, while the functions that go by the clock rest."""
        self.advance(to - self.now)
        self._swept = self.now // SWEEP_S * SWEEP_S
        self._reconciled = self.now // RECONCILE_S * RECONCILE_S
        self.hear()

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

    def change(self, path: str, **fields: Any) -> Any:
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

    def asked(self) -> list[Asked]:
        """Return what Stripe's API was asked, second by second."""
        return [Asked(**one) for one in self.http.get(f"{self.fakes.url}/dev/stripe/seconds").json()["seconds"]]

    def _undelivered(self) -> bool:
        counts = self.http.get(f"{self.fakes.url}/dev/deliveries", params={"limit": "1"}).json()["counts"]
        return bool(counts.get("pending"))

    def _upcoming(self) -> Iterator[tuple[int, Run]]:
        """Yield what runs when next, and at which second."""
        if self.queue.messages:
            yield min(one.at for one in self.queue.messages), self._work
        if (due_at := self.rows.next_due()) is not None:
            yield max(-(-due_at // SWEEP_S) * SWEEP_S, self._swept + SWEEP_S), self._sweep
        yield self._reconciled + RECONCILE_S, self._reconcile

    def _sweep(self) -> None:
        self._swept = self.now // SWEEP_S * SWEEP_S
        with self.running("sweep") as services:
            report = expire(services, now=self.now, time_left=self._left(SWEEPS_FOR_S))
        self.failures["sweeps that ended early"] += report.unfinished

    def _reconcile(self) -> None:
        self._reconciled = self.now // RECONCILE_S * RECONCILE_S
        left = self._left(RECONCILES_FOR_S)
        with self.running("reconciler") as services:
            events = reconcile(services, run_id="run", now=self.now, time_left=left)
            faults = check_endpoints(services, self.url, run_id="run", now=self.now, time_left=left)
            objects = reconcile_objects(services, run_id="run", now=self.now, time_left=left)
        self.failures["reconciliations that ended early"] += events.unfinished or objects.unfinished
        self.failures["endpoints that could hear nothing"] += len(faults)
        self.failures["objects that could not be read"] += objects.problems

    def _left(self, seconds: int) -> Callable[[], float]:
        ends = self.now + seconds
        return lambda: float(ends - self.now)

    def _take(self) -> None:
        while self.received:
            body, headers = self.received.popleft()
            with self.running("webhook") as services:
                event = services.provider("stripe").verify(body, headers, now=self.now)
                receive(event, services, now=self.now)
        self._work()

    def _work(self) -> None:
        for message in self.queue.ready:
            with self.running("worker") as services:
                event = services.provider(message.provider).read_event(message.body)
                try:
                    retry_event(
                        event,
                        services,
                        now=self.now,
                        attempt=message.attempt,
                        left_s=WORKS_FOR_S,
                        channel=Channel(message.channel),
                        heard_at=message.heard_at,
                    )
                except SecondNotOver:
                    self.queue.returns(message, in_s=AGAIN_IN_S)
                else:
                    self.queue.done(message)

    def _post(self, path: str, **fields: Any) -> None:
        self.http.post(f"{self.fakes.url}{path}", json=fields).raise_for_status()


@contextmanager
def opened(state: Path, *, at: int, reads: Limits) -> Iterator[Shop]:
    """Open a shop with its own stand-in, whose state lies in *state*, at the epoch second *at*, which is to come.

    Its functions may ask Stripe as often as *reads* allows.
    """
    received: deque[Webhook] = deque()
    with (
        _endpoint(received) as url,
        serve(state=state, webhooks={f"{url}/webhooks/stripe": SECRET}) as fakes,
        httpx.Client() as http,
    ):
        shop = _shop(fakes, url, http, received, reads)
        shop.http.post(f"{fakes.url}/dev/clock", json={"stand_still": True}).raise_for_status()
        shop.now = int(http.get(f"{fakes.url}/dev/clock").json()["now"])
        shop.leap(at)
        with slept_through(shop.sleep):
            yield shop


def _shop(fakes: Fakes, url: str, http: httpx.Client, received: deque[Webhook], reads: Limits) -> Shop:
    known = {"api_key": API_KEY, "webhook_secrets": [SECRET]}
    provider = stripe_provider.connect(lambda _: known, fakes.stripe_api_base)
    rows = MemoryTable()
    table = Table(client=cast("Any", rows), name=rows.name)
    queue = MemoryQueue(lambda: shop.now)
    services = Services(
        table=table,
        budgets=Budgets(client=table.client, name=table.name),
        provider=lambda _: provider,
        providers=("stripe",),
        webhooks=lambda: cast("Any", queue),
        policy=Policy(reads=reads),
    )
    shop = Shop(fakes=fakes, url=url, http=http, services=services, rows=rows, queue=queue, received=received, now=0)
    return shop


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

    class Server(ThreadingHTTPServer):
        request_queue_size = 128  # who finds no room in it tries again a second later

    with Server(("127.0.0.1", 0), Endpoint) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
