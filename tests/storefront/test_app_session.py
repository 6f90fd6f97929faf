"""An app that signs people in itself, on the whole local stack: a small page of its own uses the client."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from tests import patient
from tests.storefront.conftest import visiting
from tests.storefront.scene import no_renewal_is_under_way
from tests.storefront.whole import Stack, pay

MINUTE_MS = 60_000
PAGE = """<!doctype html><html lang="en"><title>An app</title>
<button id="buy">Buy</button> <button id="look">Look inside</button> <button id="leave">Sign out</button>
<p id="access" role="status"></p> <p id="told" role="alert"></p>
<script type="module">
  import { connect } from "/assets/paidup.js";
  import { appSession } from "/assets/app.js";

  const session = appSession(async ({ fresh }) => (await (await fetch(`/app/token?fresh=${fresh}`)).json()).token);
  const paidup = connect({ session, realtime: "REALTIME" });
  const show = (id, text) => (document.getElementById(id).textContent = text);
  const when = (id, act) =>
    document.getElementById(id).addEventListener("click", () => {
      act().catch((failure) => show("told", failure.title));
    });
  const back = `${location.origin}/`;
  const cart = { offer_id: "ten_class_pass", success_url: back, cancel_url: back };

  session.onChange(() => show("access", ""));
  paidup.onBilling(() => show("access", paidup.has(cart.offer_id) ? "Member" : "Guest"));
  when("buy", async () => location.assign((await paidup.pay(cart)).url));
  when("look", async () => show("told", `Answered ${(await paidup.authorizedFetch("/members")).status}`));
  when("leave", async () => (await fetch("/app/leave"), session.forget()));
</script></html>"""


@dataclass
class App:
    """The app's own server: who is signed in, and how it was `asked` for tokens (whether for a fresh one)."""

    stack: Stack
    context: BrowserContext
    customer: str | None
    asked: list[bool] = field(default_factory=list)
    lives_s: list[int] = field(default_factory=list)
    fails: bool = False
    held: list[Callable[[], None]] | None = None

    def opens(self) -> Page:
        """Open the app's page in another tab."""
        page = self.context.new_page()
        page.goto("/app")
        return page

    def serve(self) -> None:
        """Answer what the app's page asks of its server."""
        self.context.route("**/app", self._page)
        self.context.route("**/app/token*", self._token)
        self.context.route("**/app/leave", self._leave)

    def _page(self, route: Route) -> None:
        realtime = self.stack.running.where["settings"]["realtime"]["PAIDUP_REALTIME_URL"]
        route.fulfill(content_type="text/html", body=PAGE.replace("REALTIME", realtime))

    def _token(self, route: Route) -> None:
        self.asked.append(route.request.url.endswith("fresh=true"))
        if self.fails:
            route.abort()
            return
        who: dict[str, Any] = {"sub": self.customer, "roles": []}
        who |= {"expires_in": self.lives_s.pop(0)} if self.lives_s else {}
        url = f"{self.stack.running.fakes_url}/identity/token"
        token = patient.post(url, json=who).raise_for_status().json()["token"] if self.customer else None
        answer = partial(route.fulfill, content_type="application/json", body=json.dumps({"token": token}))
        if self.held is None:
            answer()
        else:
            self.held.append(answer)

    @contextmanager
    def slow(self) -> Iterator[list[Callable[[], None]]]:
        """Answer nobody who asks for a token in the block, until it is over: then as it was when they asked."""
        held: list[Callable[[], None]] = []
        self.held = held
        yield held
        self.held = None
        for answer in held:
            answer()

    def _leave(self, route: Route) -> None:
        self.customer = None
        route.fulfill(status=204)


@pytest.fixture
def own_app(chromium: Browser, stack: Stack, request: pytest.FixtureRequest) -> Iterator[App]:
    """An app in which a customer is signed in who has bought nothing yet."""
    with visiting(chromium, base_url=stack.url) as context:
        running = App(stack, context, customer=f"app-{request.node.name}")
        running.serve()
        yield running


def says(page: Page, text: str) -> None:
    expect(page.get_by_role("status")).to_have_text(text)


def told(page: Page, text: str) -> None:
    expect(page.get_by_role("alert")).to_have_text(text)


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).click()


def bought(page: Page) -> None:
    """Buy, and come back to the app."""
    press(page, "Buy")
    pay(page)
    page.wait_for_url("**/?checkout_id=*")
    page.goto("/app")
    says(page, "Member")


def test_what_is_bought_opens_in_every_tab_of_the_app(own_app: App) -> None:
    page, other = own_app.opens(), own_app.opens()
    says(page, "Guest")
    says(other, "Guest")
    press(other, "Look inside")
    told(other, "Answered 403")

    bought(page)

    says(other, "Member")
    press(other, "Look inside")
    told(other, "Answered 200")


def test_a_token_that_is_refused_is_asked_for_once_more_and_nobody_notices(own_app: App) -> None:
    own_app.lives_s = [-60]
    page = own_app.opens()

    press(page, "Buy")

    expect(page.get_by_label("Card number")).to_be_visible()
    assert own_app.asked == [False, True]


def test_a_token_is_renewed_before_it_ends_and_no_sooner(own_app: App) -> None:
    own_app.lives_s = [3_600] * 2
    own_app.context.clock.install()
    page = own_app.opens()
    says(page, "Guest")

    own_app.context.clock.fast_forward(53 * MINUTE_MS)
    no_renewal_is_under_way(page)
    assert own_app.asked == [False]
    own_app.context.clock.fast_forward(2 * MINUTE_MS)
    no_renewal_is_under_way(page)

    assert own_app.asked == [False, True]


def test_an_app_that_cannot_be_reached_for_a_moment_is_asked_again(own_app: App) -> None:
    page = own_app.opens()
    says(page, "Guest")
    own_app.fails = True
    page = own_app.opens()
    press(page, "Buy")
    told(page, "We cannot reach the shop")

    own_app.fails = False
    press(page, "Buy")

    expect(page.get_by_label("Card number")).to_be_visible()


def test_who_signs_out_is_forgotten_in_every_tab_and_the_next_customer_gets_their_own(own_app: App) -> None:
    page, other = own_app.opens(), own_app.opens()
    bought(page)
    says(other, "Member")

    press(page, "Sign out")

    says(page, "")
    says(other, "")
    for tab in (page, other):
        press(tab, "Buy")
        told(tab, "Please sign in again")
    own_app.customer = "app-somebody-else"
    for tab in (page, other):
        says(tab, "Guest")


def test_who_signs_out_while_another_tab_asks_for_their_token_is_forgotten_there_too(own_app: App) -> None:
    page = own_app.opens()
    says(page, "Guest")
    with own_app.slow() as held:
        with own_app.context.expect_event("request", lambda request: "/app/token" in request.url):
            other = own_app.opens()
        press(page, "Sign out")
        says(page, "")
        assert held

    no_renewal_is_under_way(page)
    for tab in (page, other):
        press(tab, "Buy")
        told(tab, "Please sign in again")


def test_who_signs_in_while_an_older_token_is_on_its_way_is_not_told_to_sign_in(own_app: App) -> None:
    with own_app.slow() as held:
        with own_app.context.expect_event("request", lambda request: "/app/token" in request.url):
            page = own_app.opens()
        press(page, "Sign out")
        press(page, "Buy")
        own_app.customer = "app-the-next-customer"
        assert held

    expect(page.get_by_label("Card number")).to_be_visible()
