"""Pages that stay right by themselves, as far as a server of our own can play it. test_scenes.py has the rest."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, WebSocketRoute, expect

from tests import patient
from tests.storefront.conftest import forget, visiting
from tests.storefront.scene import SEEN, no_renewal_is_under_way
from tests.storefront.web import (
    ADA,
    LOST,
    SILENT,
    Answer,
    Web,
    a_purchase,
    a_token,
    access,
    account,
    billing,
    members,
    purchase,
    refusal,
)

MONTHLY = access("co_1", "monthly", until=None)
NO_LOCKS = "Object.defineProperty(navigator, 'locks', { value: undefined })"
NO_CHANNELS = "delete globalThis.BroadcastChannel"


class Socket:
    """The server's end of every page's WebSocket: what was said to it, and what it answers."""

    def __init__(self) -> None:
        self.lines: list[WebSocketRoute] = []
        self.heard: list[dict[str, Any]] = []
        self.version, self.access = 1, list[dict[str, Any]]()
        self.answers = True

    def open(self, line: WebSocketRoute) -> None:
        """Take a page's connection in."""
        self.lines.append(line)
        line.on_message(lambda message: self._hear(line, json.loads(str(message))))

    def tell(self, version: int, *grants: dict[str, Any]) -> None:
        """Let the billing be so from now on, and tell every page."""
        self.version, self.access = version, list(grants)
        for line in self.lines:
            line.send(self._changed())

    def _hear(self, line: WebSocketRoute, message: dict[str, Any]) -> None:
        self.heard.append(message)
        if not self.answers:
            return
        if message["action"] == "ping":
            line.send(json.dumps({"type": "pong"}))
        elif message["billing_version"] < self.version:
            line.send(self._changed())
        else:
            line.send(json.dumps({"type": "billing.unchanged", "billing_version": self.version}))

    def _changed(self) -> str:
        told = {"type": "billing.changed", "billing_version": self.version, "access": self.access}
        return json.dumps(told)


@pytest.fixture
def customer(chromium: Any, web: Web) -> Iterator[Callable[..., BrowserContext]]:
    """Give browsers of Ada's whose clock a test may move on, with an identity token that has so much time left."""
    opened = ExitStack()

    def browser(*, left_s: int = 3_000, socket: Socket | None = None, script: str = "") -> BrowserContext:
        context = opened.enter_context(visiting(chromium, base_url=web.shop))
        context.clock.install()
        kept = {"token": a_token(ADA), "name": "ada@example.com", "sub": "usr_ada", "refresh": web.refresh_tokens[0]}
        context.add_init_script(
            "if (location.protocol.startsWith('http')) {"
            f"const until = Date.now() + {left_s * 1000}, at = until - 3_600_000;"
            f"const kept = {{ ...{json.dumps(kept)}, until, at }};"
            f"localStorage['paidup.session'] ??= JSON.stringify(kept); {script} }}"
        )
        if socket:
            context.route_web_socket("**/realtime", socket.open)
        return context

    with opened:
        yield browser


@pytest.fixture
def socket(web: Web) -> Iterator[Socket]:
    """A server's end for the pages of a shop that has a WebSocket."""
    with pytest.MonkeyPatch.context() as patch:  # `monkeypatch` would be undone after `web`
        patch.setenv("PAIDUP_REALTIME_URL", f"{web.shop.replace('http', 'ws')}/realtime")
        forget()
        yield Socket()


def is_member(web: Web, version: int, *grants: dict[str, Any]) -> None:
    """Let the API say what the customer may use."""
    web.answers["GET /subscription-status"] = account(access=list(grants), billing_version=version)
    web.answers["POST /billing-token"] = billing(version, *grants)
    web.answers["GET /members"] = members(version, *grants) if grants else refusal(403, "access-required")


def titled(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(text)


def passes(page: Page, seconds: int, *, step_s: int = 1) -> None:
    """Let time pass, in steps between which what the page has asked for can be answered."""
    for _ in range(seconds // step_s):
        page.clock.run_for(step_s * 1_000)
        page.request.get("/assets/icon.svg")


def buy(page: Page) -> Any:
    page.goto("/")
    button = page.get_by_role("button", name="Buy Ten classes")
    with page.expect_request(lambda request: request.method == "POST"):
        button.click()
    return button


def test_a_checkout_without_an_answer_is_asked_for_again_under_the_same_key(customer: Any, web: Web) -> None:
    page = customer().new_page()
    opened = web.answers["POST /payment-tokens"]
    web.answers["POST /payment-tokens"] = SILENT
    button = buy(page)

    page.clock.run_for(10_000)
    expect(page.get_by_role("alert")).to_contain_text("This is taking too long")
    expect(button).to_be_enabled()
    web.answers["POST /payment-tokens"] = opened
    button.click()
    page.wait_for_url(web.payment_page)

    keys = [key for key in web.keys if key]
    assert len(keys) >= 3
    assert len(set(keys)) == 1


@pytest.mark.parametrize("missing", ["", NO_LOCKS, NO_CHANNELS, f"{NO_LOCKS}; {NO_CHANNELS}"])
def test_of_two_tabs_one_renews_for_both(customer: Any, web: Web, missing: str) -> None:
    context = customer(left_s=-1, script=missing)
    tabs = [context.new_page(), context.new_page()]

    for tab in tabs:
        tab.goto("/account", wait_until="commit")

    for tab in tabs:
        tab.clock.run_for(1_000)
        expect(tab.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    assert web.refresh_tokens == ["refresh-1", "refresh-2"]


def test_a_refresh_token_that_is_good_no_more_leads_to_a_sign_in(customer: Any, web: Web) -> None:
    page = customer(left_s=-1).new_page()
    web.answers["POST /pool/token"] = Answer(status=400, body={"error": "invalid_grant"})
    with page.expect_response("**/pool/token"):
        page.goto("/account")

    page.clock.run_for(3_000)

    expect(page.get_by_role("alert")).to_contain_text("Please sign in again")


def test_the_members_page_opens_and_closes_by_itself_in_every_tab(customer: Any, web: Web, socket: Socket) -> None:
    is_member(web, 1)
    context = customer(socket=socket)
    tabs = [context.new_page(), context.new_page()]
    for tab in tabs:
        tab.goto("/members-area")
        titled(tab, "Members only")
    assert socket.heard[-1] == {"action": "since", "billing_version": 1} or len(socket.lines) == 2

    is_member(web, 2, MONTHLY)
    socket.tell(2, MONTHLY)
    for tab in tabs:
        titled(tab, "Welcome, member")
    socket.tell(1)  # what comes late says nothing any more
    for tab in tabs:
        titled(tab, "Welcome, member")

    is_member(web, 3)
    socket.tell(3)
    for tab in tabs:
        titled(tab, "Members only")
        expect(tab.locator("#connection")).to_be_hidden()


def test_without_a_socket_the_account_is_asked_every_fifteen_seconds(customer: Any, web: Web) -> None:
    web.answers["GET /subscription-status"] = account(a_purchase(), access=[MONTHLY])
    page = customer().new_page()
    page.goto("/account")
    expect(page.get_by_role("listitem").filter(has_text="Monthly membership")).to_contain_text("Active")
    page.clock.fast_forward(120_000)

    web.answers["GET /subscription-status"] = account(a_purchase(status="unpaid"), billing_version=2)
    page.clock.run_for(16_000)

    expect(page.get_by_role("listitem").filter(has_text="Monthly membership")).to_contain_text("Unpaid")


FAILS = Answer(status=500, body={})
TRIES = 4  # of one call, in calls.js


def test_an_account_that_could_not_be_read_after_a_change_is_read_again(
    customer: Any, web: Web, socket: Socket
) -> None:
    web.answers["GET /subscription-status"] = account(a_purchase(), access=[MONTHLY])
    page = customer(socket=socket).new_page()
    page.goto("/account")
    card = page.get_by_role("listitem").filter(has_text="Monthly membership")
    expect(card).to_contain_text("Active")
    page.clock.fast_forward(120_000)  # by then it looks because of a change alone

    unpaid = account(a_purchase(status="unpaid"), billing_version=2)
    web.answers["GET /subscription-status"] = [*[FAILS] * TRIES, unpaid]
    socket.tell(2)

    expect(card).to_contain_text("Unpaid")


@pytest.mark.parametrize("was_member", [False, True])
def test_a_members_page_that_could_not_look_looks_again(
    customer: Any, web: Web, socket: Socket, *, was_member: bool
) -> None:
    yearly = access("co_2", "yearly", until=None)
    is_member(web, 1, *[yearly] * was_member)
    page = customer(socket=socket).new_page()
    page.goto("/members-area")
    titled(page, "Welcome, member" if was_member else "Members only")

    is_member(web, 2, MONTHLY)
    then = refusal(403, "access-required") if was_member else members(2, MONTHLY)
    web.answers["GET /members"] = [*[LOST] * TRIES, then]
    socket.tell(2, MONTHLY)

    titled(page, "Members only" if was_member else "Welcome, member")


def test_names_that_could_not_be_read_at_first_are_read_later(customer: Any, web: Web) -> None:
    web.answers["GET /subscription-status"] = account(a_purchase(), access=[MONTHLY])
    offers = web.answers["GET /offers"]
    web.answers["GET /offers"] = FAILS
    page = customer().new_page()
    page.goto("/account")
    expect(page.get_by_role("heading", name="monthly", exact=True)).to_be_visible()

    web.answers["GET /offers"] = offers
    page.clock.fast_forward(3_000)

    expect(page.get_by_role("heading", name="Monthly membership")).to_be_visible()


def test_a_purchase_is_confirmed_as_soon_as_its_customer_is_told(customer: Any, web: Web, socket: Socket) -> None:
    page = customer(socket=socket).new_page()
    web.answers["GET /subscription-status/co_1"] = purchase("confirming", again_ms=60_000)
    page.goto("/success?checkout_id=co_1")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Confirming")

    web.answers["GET /subscription-status/co_1"] = purchase("active", a_purchase())
    socket.tell(2, MONTHLY)

    titled(page, "Your subscription is active")


def test_a_choice_that_the_buyer_must_make_is_no_failure_of_paying(customer: Any, web: Web) -> None:
    web.answers["POST /payment-tokens"] = refusal(409, "replaced")
    page = customer(left_s=240).new_page()
    page.goto("/")
    page.get_by_role("button", name="Buy Ten classes").click()
    expect(page.get_by_role("alert")).to_be_visible()

    with page.expect_request("**/client-metrics") as asked:
        page.clock.run_for(10_000)

    assert [one["name"] for one in asked.value.post_data_json["metrics"]] == ["session_refresh"]


def test_what_took_how_long_is_reported_as_numbers_alone(customer: Any, web: Web) -> None:
    web.answers["GET /subscription-status/co_1"] = [LOST, purchase("active", a_purchase())]
    page = customer(left_s=240).new_page()
    page.goto("/success?checkout_id=co_1")
    passes(page, 5)
    titled(page, "Your subscription is active")

    with page.expect_request("**/client-metrics") as asked:
        page.clock.run_for(10_000)

    reported = asked.value.post_data_json["metrics"]
    assert sorted((one["name"], one["outcome"]) for one in reported) == [
        ("confirm", "failure"),
        ("confirm", "success"),
        ("session_refresh", "success"),
    ]
    assert all(set(one) == {"name", "outcome", "ms"} and isinstance(one["ms"], int) for one in reported)
    assert "Authorization" not in asked.value.headers


AHEAD_S = 300
JITTER_S = 60


def stands_still(context: BrowserContext) -> None:
    """Let the pages' time pass by the test alone from now on."""
    context.clock.pause_at(context.pages[0].evaluate("Date.now() + 5000") / 1_000)


def test_a_token_is_renewed_within_a_minute_before_its_last_five_and_no_sooner_by_one_tab_alone(
    customer: Any, web: Web
) -> None:
    context = customer(left_s=AHEAD_S + JITTER_S + 600)
    tabs = [context.new_page(), context.new_page()]
    for tab in tabs:
        tab.goto("/account")
        expect(tab.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    stands_still(context)
    left_s = tabs[0].evaluate("(JSON.parse(localStorage['paidup.session']).until - Date.now()) / 1000")

    context.clock.fast_forward(int((left_s - AHEAD_S - JITTER_S - 1) * 1_000))
    no_renewal_is_under_way(tabs[0])
    assert web.times("POST /pool/token") == 0
    context.clock.fast_forward((JITTER_S + 2) * 1_000)
    patient.eventually(lambda: web.times("POST /pool/token"))
    no_renewal_is_under_way(tabs[0])

    assert web.times("POST /pool/token") == 1
    assert web.refresh_tokens == ["refresh-1", "refresh-2"]


def test_a_click_returns_at_once_and_a_session_that_never_answers_is_told_in_time(customer: Any, web: Web) -> None:
    context = customer(left_s=-1)
    web.answers["POST /pool/token"] = SILENT
    page = context.new_page()
    page.goto("/", wait_until="commit")
    page.clock.run_for(6_000)
    button = page.get_by_role("button", name="Buy Ten classes")
    expect(button).to_be_visible()
    stands_still(context)

    seen = button.evaluate("(node) => { node.click(); return [node.textContent, node.ariaDisabled, node.className]; }")
    page.clock.run_for(10_000)

    assert seen == ["Opening the payment page…", "true", "primary busy"]
    expect(page.get_by_role("alert")).to_contain_text("This is taking too long")
    expect(button).to_be_enabled()
    assert json.loads(page.evaluate("sessionStorage['paidup.cart']"))["cart"]["offer_id"] == "ten"


NEVER = """async (act) => {
    const { connect } = await import('/assets/paidup.js');
    const paidup = connect({ session: { getToken: () => new Promise(() => {}) }, metrics: false });
    window.ended = null;
    const acts = {
        call: () => paidup.call('POST', '/sync'),
        pay: () => paidup.pay({ offer_id: 'ten' }),
    };
    acts[act]().catch(({ reason }) => (window.ended = [reason, paidup.cart?.offer_id ?? null]));
}"""


@pytest.mark.parametrize(("act", "waits_ms", "cart"), [("call", 5_000, None), ("pay", 9_000, "ten")])
def test_a_session_that_never_answers_is_waited_for_five_seconds_and_while_paying_for_nine(
    customer: Any, act: str, waits_ms: int, cart: str | None
) -> None:
    page = customer().new_page()
    page.goto("/assets/icon.svg")
    stands_still(page.context)
    page.evaluate(NEVER, act)

    page.clock.run_for(waits_ms - 1)
    assert page.evaluate("window.ended") is None
    page.clock.run_for(1)

    assert page.evaluate("window.ended") == ["timeout", cart]


def seen_again(page: Page) -> None:
    page.evaluate(SEEN, "hidden")
    page.evaluate(SEEN, "visible")


def online_again(page: Page) -> None:
    page.evaluate("dispatchEvent(new Event('online'))")


@pytest.mark.parametrize("comes_back", [seen_again, online_again])
def test_a_tab_that_comes_back_looks_at_once(
    customer: Any, web: Web, socket: Socket, comes_back: Callable[[Page], None]
) -> None:
    is_member(web, 1)
    context = customer(socket=socket)
    page = context.new_page()
    page.goto("/members-area")
    titled(page, "Members only")
    patient.eventually(lambda: page.evaluate("true") and socket.heard)  # which lets the socket be heard
    stands_still(context)
    is_member(web, 2, MONTHLY)
    socket.version, socket.access = 2, [MONTHLY]  # and nobody tells the page

    comes_back(page)

    titled(page, "Welcome, member")


@pytest.mark.parametrize("comes_back", [seen_again, online_again])
def test_a_tab_without_a_socket_that_comes_back_asks_at_once(
    customer: Any, web: Web, comes_back: Callable[[Page], None]
) -> None:
    is_member(web, 1)
    context = customer()
    page = context.new_page()
    page.goto("/members-area")
    titled(page, "Members only")
    stands_still(context)
    is_member(web, 2, MONTHLY)

    comes_back(page)

    titled(page, "Welcome, member")
