"""A customer at the browser: their pages are open, and each page notes when it shows another title."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from threading import Event
from typing import Any

import httpx
from playwright.sync_api import Browser, BrowserContext, Page

from tools.bench.stack import CARD, GIVE_UP_S
from tools.fakes.server import API_KEY
from tools.local.background import Background

TABS = 3
OFFER = "monthly"
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


@dataclass(slots=True, kw_only=True)
class Customer:
    """A customer who is signed in, and whose pages are open.

    `heard` says when the end of each subscription was told (epoch seconds), by the subscription's id.
    """

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
