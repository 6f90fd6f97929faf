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
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, sync_playwright
from websockets import Origin, Subprotocol
from websockets.sync.client import connect

from tools import chromium
from tools.bench.stack import AT_THE_STAND_INS, GIVE_UP_S
from tools.bench.visitor import TABS, Customer, visiting
from tools.fakes.server import API_KEY
from tools.local import background
from tools.local.background import Background
from tools.serving import Silent, serving

RUNS, FLOOR_RUNS = 20, 100
RUNS_EACH = 8  # a customer may open ten payment pages in ten minutes
ENDED = "customer.subscription.deleted"


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
