"""How soon open pages follow the money, beside what is promised: `make bench`, or with `--runs 200` for good figures.

The stack is started as `make run` starts it. A customer has the members' page open in three tabs of one browser and in
another browser. They pay: how long until each page has opened? The subscription is cancelled at the provider: how long
until the gate refuses a client that keeps its old token, and until each page has closed? A first customer is not
counted, so that every function has started by then.

All times are of one machine's clock: pages note by it when they show another title. They count from just before the
request that makes the provider's event. Only the gate's count from the webhook's arrival: a second endpoint, which is
ours and gets the same event at the same moment, notes when that is. Between two events of a subscription the provider's
clock is put on, so that they do not share a second.
"""

import argparse
import json
import math
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import httpx
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from websockets import Origin, Subprotocol
from websockets.sync.client import connect

from tools import chromium
from tools.bench.stack import AT_THE_STAND_INS, CARD, GIVE_UP_S
from tools.fakes.server import API_KEY
from tools.local import background
from tools.local.background import Background
from tools.serving import Silent, serving

RUNS, FLOOR_RUNS = 20, 100
RUNS_EACH = 8  # a customer may open ten payment pages in ten minutes
TABS = 3
OFFER, ENDED = "monthly", "customer.subscription.deleted"
OPEN, SHUT = "Welcome, member", "Members only"
ASK_EVERY_S = 0.02
WAIT_MS = GIVE_UP_S * 1_000

NOTES = """
globalThis.seen = [];
new MutationObserver(() => {
    const title = document.querySelector("h1")?.textContent;
    if (title && title !== seen.at(-1)?.[0]) seen.push([title, Date.now()]);
}).observe(document, { childList: true, subtree: true });
"""
SHOWS = "(title) => globalThis.seen?.at(-1)?.[0] === title && seen.at(-1)[1]"


@dataclass(slots=True)
class Figures:
    """What was measured, in seconds, and the promises that it broke."""

    opened: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    closed: list[float] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def row(self, what: str, took: Sequence[float], p50: float | None = None, p99: float | None = None) -> None:
        """Print what *took* so long beside what is promised, and note each promise that is broken."""
        found = (statistics.median(took), percentile(took, 99))
        cells = "".join(f"{'' if one is None else f'{one:g}':>8}" for one in (p50, p99))
        print(f"{what:58}{len(took):>6}{cells}{found[0]:>9.3f}{found[1]:>9.3f}{max(took):>9.3f}", flush=True)
        for name, promised, seen in zip(("p50", "p99"), (p50, p99), found, strict=True):
            if promised is not None and seen > promised:
                self.broken.append(f"{what}: {name} {seen:.2f} s, not {promised:g}")


def percentile(took: Sequence[float], share: int) -> float:
    """Return the least of *took* that is not exceeded by *share* percent of them."""
    return sorted(took)[math.ceil(len(took) * share / 100) - 1]


@contextmanager
def hearing(stack: Background) -> Iterator[dict[str, float]]:
    """Be another endpoint of the provider's webhooks while the block runs. Yield when the end of each subscription was
    told, by the subscription's id.
    """
    heard: dict[str, float] = {}

    class Handler(Silent):
        def do_POST(self) -> None:
            at = time.time()
            told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            heard.setdefault(told["data"]["object"]["id"], at)
            self.answer(200)

    with serving(Handler) as url:
        asked = {"url": f"{url}/", "enabled_events[]": ENDED}
        endpoints = f"{stack.fakes_url}/stripe/v1/webhook_endpoints"
        httpx.post(endpoints, data=asked, auth=(API_KEY, ""), timeout=GIVE_UP_S).raise_for_status()
        yield heard


@dataclass(slots=True, kw_only=True)
class Customer:
    """A customer who is signed in, and whose pages are open. `heard` is as in `hearing`."""

    stack: Background
    heard: dict[str, float]
    http: httpx.Client
    customer_id: str
    token: str
    pages: list[Page]

    @property
    def signed_in(self) -> dict[str, str]:
        """The headers that say who asks."""
        return {"authorization": f"Bearer {self.token}"}

    def order(self) -> dict[str, Any]:
        """Open a checkout, and return it."""
        answer = self.http.post(f"{self.stack.url}/payment-tokens", json={"offer_id": OFFER}, headers=self.signed_in)
        return dict(answer.raise_for_status().json())

    def pay(self, checkout: dict[str, Any]) -> list[float]:
        """Pay, and return after how many seconds each page has opened."""
        began = time.time()
        if not self.http.post(checkout["url"], data={"card": CARD}).has_redirect_location:
            raise SystemExit(f"{self.customer_id} could not pay.")
        return self.shown(OPEN, since=began)

    def cancel(self, checkout: dict[str, Any], pool: ThreadPoolExecutor) -> tuple[float, list[float]]:
        """Let the subscription be cancelled at the provider. Return how many seconds after the webhook's arrival the
        gate let the old token in no more, and after how many seconds each page has closed.
        """
        stripe, key = f"{self.stack.fakes_url}/stripe/v1", (API_KEY, "")
        session = self.http.get(f"{stripe}/checkout/sessions/{checkout['token']}", auth=key).raise_for_status().json()
        answer = self.http.post(f"{self.stack.url}/billing-token", headers=self.signed_in)
        old_token = answer.raise_for_status().json()["token"]
        began, over = time.time(), Event()
        refused: Future[float] = pool.submit(self._ask_until_refused, old_token, over)
        subscription = session["subscription"]
        self.http.delete(f"{stripe}/subscriptions/{subscription}", auth=key).raise_for_status()
        closed = self.shown(SHUT, since=began)
        over.set()
        while subscription not in self.heard and time.time() < began + GIVE_UP_S:
            time.sleep(ASK_EVERY_S)
        return refused.result() - self.heard[subscription], closed

    def shown(self, title: str, *, since: float) -> list[float]:
        """Wait until each page is headed *title*, and return how many seconds after *since* it was."""
        return [page.wait_for_function(SHOWS, arg=title).json_value() / 1000 - since for page in self.pages]

    def _ask_until_refused(self, old_token: str, over: Event) -> float:
        """Ask for what members see again and again, and return when that was first refused for good."""
        headers, refused_at, until = {"authorization": f"Bearer {old_token}"}, 0.0, time.time() + GIVE_UP_S
        with httpx.Client(timeout=GIVE_UP_S) as http:
            while not (refused_at and over.is_set()):
                status = http.get(f"{self.stack.url}/members", headers=headers).status_code
                if status not in (200, 403) or time.time() > until:
                    raise SystemExit(f"A client with an old token was answered {status}.")
                refused_at = 0.0 if status == 200 else refused_at or time.time()
                time.sleep(ASK_EVERY_S)
        return refused_at


@contextmanager
def visiting(stack: Background, browsers: Sequence[Browser], name: str, heard: dict[str, float]) -> Iterator[Customer]:
    """Let a customer open the members' page in three tabs of the first browser and in one of the second."""
    customer_id = f"live-{name}"
    who = {"sub": customer_id, "email": f"{customer_id}@example.com", "roles": ["customer"]}
    with httpx.Client(timeout=GIVE_UP_S) as http, ExitStack() as opened:
        token = http.post(f"{stack.fakes_url}/identity/token", json=who).raise_for_status().json()["token"]
        pages: list[Page] = []
        for browser, tabs in zip(browsers, (TABS, 1), strict=True):
            context = opened.enter_context(browser.new_context())
            _sign_in(context, customer_id, token)
            pages += [context.new_page() for _ in range(tabs)]
        for page in pages:
            page.goto(f"{stack.url}/members-area")
        customer = Customer(stack=stack, heard=heard, http=http, customer_id=customer_id, token=token, pages=pages)
        customer.shown(SHUT, since=0)
        yield customer


def _sign_in(context: BrowserContext, customer_id: str, token: str) -> None:
    context.set_default_timeout(WAIT_MS)
    times = "at: Date.now(), until: Date.now() + 3_600_000"
    kept = f"{{ token: '{token}', name: '{customer_id}', sub: '{customer_id}', {times} }}"
    context.add_init_script(f"localStorage['paidup.session'] ??= JSON.stringify({kept}); {NOTES}")


def follow(stack: Background, browsers: Sequence[Browser], runs: int) -> Figures:
    """Let customers pay and be cancelled *runs* times, and return what was measured."""
    found, first = Figures(), Figures()
    with hearing(stack) as heard, ThreadPoolExecutor(1) as pool:
        with visiting(stack, browsers, "first", heard) as customer:
            _live_through(customer, 1, first, pool)
        for begun in range(0, runs, RUNS_EACH):
            with visiting(stack, browsers, str(begun), heard) as customer:
                _live_through(customer, min(RUNS_EACH, runs - begun), found, pool)
    return found


def _live_through(customer: Customer, runs: int, found: Figures, pool: ThreadPoolExecutor) -> None:
    for _ in range(runs):
        checkout = customer.order()
        _pass_time(customer.stack)
        found.opened += customer.pay(checkout)
        _pass_time(customer.stack)
        refused, closed = customer.cancel(checkout, pool)
        found.refused.append(refused)
        found.closed += closed


def _pass_time(stack: Background) -> None:
    httpx.post(f"{stack.fakes_url}/dev/clock", json={"advance_s": 5}, timeout=GIVE_UP_S).raise_for_status()


def floors(stack: Background) -> tuple[list[float], list[float]]:
    """Return the seconds of the least that both ways need: a request through the front door, and a message through the
    gateway to a function and back.
    """
    asset, who = f"{stack.url}/assets/style.css", {"sub": "floor", "roles": []}
    with httpx.Client(timeout=GIVE_UP_S) as http:
        token = http.post(f"{stack.fakes_url}/identity/token", json=who).raise_for_status().json()["token"]
        asked = [_timed(lambda: http.get(asset).raise_for_status()) for _ in range(FLOOR_RUNS)]
    url = stack.where["settings"]["realtime"]["PAIDUP_REALTIME_URL"]
    offered = [Subprotocol("paidup.v1"), Subprotocol(f"bearer.{token}")]
    with connect(url, subprotocols=offered, origin=Origin(stack.url), proxy=None) as socket:

        def ping() -> None:
            socket.send('{"action": "ping"}')
            socket.recv(GIVE_UP_S)

        return asked, [_timed(ping) for _ in range(FLOOR_RUNS)]


def _timed(act: Any) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def main() -> None:
    """Print the table, and fail if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.live", description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=RUNS, help="how often a customer pays and is cancelled")
    runs = parser.parse_args().runs
    with (
        tempfile.TemporaryDirectory(prefix="paidup-bench-") as folder,
        sync_playwright() as playwright,
        background.running(Path(folder) / "stack", environment=AT_THE_STAND_INS) as stack,
        ExitStack() as opened,
    ):
        path = chromium.find(playwright.chromium.executable_path)
        if path is None:
            raise SystemExit(f"Nothing was measured: {chromium.MISSING}.")
        arguments = list(chromium.ARGUMENTS)
        launched = [playwright.chromium.launch(executable_path=path, args=arguments) for _ in range(2)]
        browsers = [opened.enter_context(one) for one in launched]
        request, message = floors(stack)
        found = follow(stack, browsers, runs)
    print(f"{'s':58}{'times':>6}{'promised p50, p99':>18}{'p50':>7}{'p99':>9}{'worst':>9}")
    found.row("floor: one request through the front door", request)
    found.row("floor: one message to the gateway's function and back", message)
    found.row(f"paid, until a members' page is open ({TABS} tabs, 2 browsers)", found.opened, 1, 2)
    found.row("webhook of the end, until the gate refuses an old token", found.refused, None, 1)
    found.row("cancelled, until a members' page has closed", found.closed)
    if found.broken:
        raise SystemExit(f"Promises broken: {'; '.join(found.broken)}.")


if __name__ == "__main__":
    main()
