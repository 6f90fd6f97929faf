"""A signed-in customer on the whole local stack, whose browser's clock stands still, and whose network a test spoils.

Time passes by `passes` alone, and waits for whatever the pages have asked for: so it makes no difference how slow the
machine is. `Line` stands between the pages' sockets and the real one.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from playwright.sync_api import BrowserContext, Locator, Page, Request, Response, Route, WebSocketRoute, expect

from tests import patient
from tests.storefront.whole import PAYS, Stack, pay, sign_in

STEP_MS = 1_000
QUIET_MS = 20
KEPT = "paidup.session"
TURNS = "navigator.locks.query().then(({ held, pending }) => held.length + pending.length)"
SEEN = """(state) => {
    Object.defineProperty(document, 'visibilityState', { value: state, configurable: true });
    Object.defineProperty(document, 'hidden', { value: state === 'hidden', configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
}"""


def no_renewal_is_under_way(page: Page) -> None:
    """Wait until no tab renews a token, or waits for its turn to do so."""
    patient.eventually(lambda: page.evaluate(TURNS) == 0)


class Line:
    """What lies between the pages and the real WebSocket: what it told them, and whether it goes on telling."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.is_up = True
        self._open: list[WebSocketRoute] = []

    @property
    def versions(self) -> list[int]:
        """The billing versions of the changes that the pages were told."""
        return [one["billing_version"] for one in self.told if one["type"] == "billing.changed"]

    def cut(self) -> None:
        """Close every socket."""
        opened, self._open = self._open, []
        for line in opened:
            line.close()

    def join(self, line: WebSocketRoute) -> None:
        """Join a page's socket to the real one."""
        server = line.connect_to_server()
        self._open.append(line)
        line.on_message(lambda message: server.send(message) if self.is_up else None)

        def tell(message: str | bytes) -> None:
            if self.is_up:
                self.told.append(json.loads(message))
                line.send(message)

        server.on_message(tell)


@dataclass
class Customer:
    """A customer with a browser. `refreshed` are the statuses with which the identity provider answered renewals."""

    stack: Stack
    context: BrowserContext
    line: Line = field(default_factory=Line)
    refreshed: list[int] = field(default_factory=list)
    _under_way: set[Request] = field(default_factory=set)

    def comes(self, email: str) -> None:
        """Sign in, and let the clock stand still from now on."""
        self.context.route_web_socket("**/realtime", self.line.join)
        page = self.context.new_page()
        page.goto("/account")
        page.get_by_role("main").get_by_role("button", name="Sign in").click()
        sign_in(page, email)
        expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
        self._kept = self._read(page)
        page.goto("/assets/icon.svg")  # the page's own socket and timers end
        self.context.clock.install()
        self.context.clock.pause_at(datetime.now(UTC) + timedelta(seconds=60))
        self.line.told.clear()
        self.context.on("request", self._begun)
        self.context.on("requestfinished", self._over)
        self.context.on("requestfailed", self._over)
        self.context.on("response", self._answered)

    # -- what the browser does

    def tab(self, path: str) -> Page:
        """Open *path* in another tab."""
        page = self.context.new_page()
        page.goto(path)
        return page

    def passes(self, seconds: float) -> None:
        """Let time pass on the pages, and let what they ask for meanwhile be answered."""
        for _ in range(int(seconds * 1_000 / STEP_MS)):
            self.context.clock.run_for(STEP_MS)
            self.settles()

    def sees(self, what: Locator, *, within_s: int = 30) -> None:
        """Let time pass until *what* is to be seen: *within_s* seconds of the pages' clock at most."""
        self.settles()
        for _ in range(within_s):
            if what.is_visible():
                return
            self.passes(1)
        assert what.is_visible(), f"{what} is not there after {within_s} s"

    def settles(self) -> None:
        """Wait until nothing is under way that a page has asked for. What is held is not waited for."""
        page, quiet = self.context.pages[-1], 0

        def is_quiet() -> bool:
            nonlocal quiet
            page.wait_for_timeout(QUIET_MS)
            quiet = 0 if self._under_way else quiet + 1
            return quiet > 1

        patient.eventually(is_quiet)

    def until(self, holds: Callable[[], object]) -> None:
        """Wait until *holds* returns something true, while the clock stands still."""

        def look() -> object:
            self.context.pages[-1].wait_for_timeout(QUIET_MS)
            return holds()

        patient.eventually(look)

    def ages(self, *, left_s: int) -> None:
        """Let the identity token have so much time left, as far as the browser knows."""
        page = self.context.pages[0]
        page.evaluate(
            """([key, leftMs]) => {
                const until = Date.now() + leftMs, at = until - 3_600_000;
                localStorage[key] = JSON.stringify({ ...JSON.parse(localStorage[key]), at, until });
            }""",
            [KEPT, left_s * 1_000],
        )

    @contextmanager
    def holding(self, pattern: str, *, goes_on: bool = False) -> Iterator[list[Route]]:
        """Let no request to *pattern* be answered while the block runs. After it, they *go on* or are lost."""
        held: list[Route] = []

        def hold(route: Route) -> None:
            self._under_way.discard(route.request)
            held.append(route)

        self.context.route(pattern, hold)
        yield held
        for route in held if goes_on else ():
            self._under_way.add(route.request)
            route.continue_()
        self.context.unroute(pattern, hold)

    @contextmanager
    def offline(self) -> Iterator[None]:
        """Let there be no network while the block runs."""
        self.line.is_up = False
        self.context.set_offline(True)
        yield
        self.line.is_up = True
        self.context.set_offline(False)

    # -- what the customer does elsewhere

    def renews_elsewhere(self) -> dict[str, Any]:
        """Use the refresh token as another tab does, and return what that tab is about to share."""
        form = {"grant_type": "refresh_token", "refresh_token": self._kept["refresh"], "client_id": "paidup"}
        answer = patient.post(f"{self.stack.running.fakes_url}/identity/token", data=form).raise_for_status().json()
        return {**self._kept, "token": answer["id_token"], "refresh": answer["refresh_token"]}

    def shares(self, page: Page, kept: dict[str, Any]) -> None:
        """Let *page* find what another tab has got."""
        until = "until: Date.now() + 3_000_000"
        page.evaluate(
            f"(kept) => localStorage['{KEPT}'] = JSON.stringify({{ ...kept, at: Date.now(), {until} }})", kept
        )

    def orders(self, offer_id: str) -> dict[str, Any]:
        """Open a checkout in another client."""
        answer = patient.post(f"{self.stack.url}/payment-tokens", json={"offer_id": offer_id}, headers=self._signed_in)
        return dict(answer.raise_for_status().json())

    def buys(self, offer_id: str) -> dict[str, Any]:
        """Buy in another client, and return the checkout. The account shows it by then."""
        before, checkout = self.version, self.orders(offer_id)
        assert patient.post(checkout["url"], data={"card": PAYS}).is_redirect
        patient.eventually(lambda: self.version > before)
        return checkout

    def pays(self, page: Page) -> None:
        """Pay on the provider's *page*. The account shows it by then."""
        before = self.version
        pay(page)
        patient.eventually(lambda: self.version > before)

    def is_cancelled(self, checkout: dict[str, Any]) -> None:
        """Let the subscription of *checkout* be cancelled at the provider. The account shows it by then."""
        before, stripe, key = self.version, f"{self.stack.running.fakes_url}/stripe/v1", ("sk_test_local", "")
        self.stack.pass_time(5)  # so that it is no tie
        session = patient.get(f"{stripe}/checkout/sessions/{checkout['token']}", auth=key).raise_for_status().json()
        url = f"{stripe}/subscriptions/{session['subscription']}"
        patient.request("DELETE", url, auth=key).raise_for_status()
        patient.eventually(lambda: self.version > before)

    @property
    def account(self) -> dict[str, Any]:
        """The account as the API shows it."""
        answer = patient.get(f"{self.stack.url}/subscription-status", headers=self._signed_in)
        return dict(answer.raise_for_status().json())

    @property
    def version(self) -> int:
        """The billing version of the account."""
        return int(self.account["billing_version"])

    # -- what is seen of it

    @property
    def _signed_in(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._kept['token']}"}

    @staticmethod
    def _read(page: Page) -> dict[str, Any]:
        return dict(json.loads(page.evaluate(f"localStorage['{KEPT}']")))

    def _begun(self, request: Request) -> None:
        if not request.url.endswith("/client-metrics"):  # nobody waits for those
            self._under_way.add(request)

    def _over(self, request: Request) -> None:
        self._under_way.discard(request)

    def _answered(self, response: Response) -> None:
        sent = response.request
        if sent.url.endswith("/identity/token") and "refresh_token" in (sent.post_data or ""):
            self.refreshed.append(response.status)
