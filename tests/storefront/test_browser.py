"""Purchases from end to end: a phone's browser, the whole local stack, and the providers' own pages."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, expect

from tests import patient
from tests.handlers import EVENTS
from tests.storefront.conftest import visiting
from tools.local import background
from tools.local.background import Background

TOLD_WITHIN_MS = 30_000  # as long as the page itself goes on asking
PAYS, IS_DECLINED, ASKS_FIRST = "4242 4242 4242 4242", "4000 0000 0000 0002", "4000 0025 0000 3155"


@dataclass(frozen=True, slots=True)
class Stack:
    """A local stack that is ready, and what a test can make happen to it."""

    running: Background

    @property
    def url(self) -> str:
        """Where the shop is."""
        return self.running.url

    def faults(self, **faults: float) -> None:
        """Let providers misbehave from now on as *faults* say; without any, behave."""
        patient.post(f"{self.running.fakes_url}/dev/faults", json=faults).raise_for_status()

    def pass_time(self, seconds: int) -> None:
        """Let time pass for the providers and the functions alike."""
        patient.post(f"{self.running.fakes_url}/dev/clock", json={"advance_s": seconds}).raise_for_status()

    def begin_a_minute(self) -> None:
        """Be at the beginning of a minute: the sweep has just run, and does not close a page for almost another."""
        now: int = patient.get(f"{self.running.fakes_url}/dev/clock").json()["now"]
        self.pass_time(61 - now % 60)
        self.sweep()

    def sweep(self) -> None:
        """Let the minute's sweep run now."""
        event = (EVENTS / "expire_sessions.json").read_bytes()
        answer = self.running.functions.invoke(FunctionName="expire_sessions", Payload=event)
        assert "FunctionError" not in answer, answer["Payload"].read()


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole local stack on free ports, started and ended as `make run` does."""
    with background.running(tmp_path_factory.mktemp("storefront") / "stack") as stack:
        yield Stack(stack)


@pytest.fixture
def stack(started: Stack) -> Iterator[Stack]:
    """The stack, with providers that behave, and behave again afterwards."""
    started.faults()
    yield started
    started.faults()


@pytest.fixture
def visitor(chromium: Browser, stack: Stack) -> Iterator[Page]:
    """A tab of somebody who was never here."""
    with visiting(chromium, base_url=stack.url) as stranger:
        stranger.set_default_timeout(TOLD_WITHIN_MS)
        yield stranger.new_page()


def choose(page: Page, offer: str) -> None:
    """Choose *offer* in the shop and go as far as the provider's page."""
    page.goto("/")
    page.get_by_role("button", name=f"Buy {offer}").click()


def sign_in(page: Page, email: str, *, gives_sessions: bool = False) -> None:
    """Sign in as *email* on the identity provider's page."""
    if gives_sessions:
        page.get_by_label("Host (gives live sessions)").check()
    page.get_by_role("textbox", name="E-mail", exact=True).fill(email)
    page.get_by_role("button", name="Sign in").click()


def pay(page: Page, card: str = PAYS) -> None:
    """Pay on the provider's page."""
    page.get_by_label("Card number").fill(card)
    page.get_by_role("button", name=re.compile("^Pay ")).click()


def title(page: Page, text: str) -> None:
    """Wait until the page is headed *text*."""
    expect(page.get_by_role("heading", level=1)).to_have_text(text, timeout=TOLD_WITHIN_MS)


def test_a_pass_and_a_subscription_are_bought_and_active(visitor: Page) -> None:
    choose(visitor, "Ten classes")
    sign_in(visitor, "ada@example.com")
    pay(visitor)
    title(visitor, "Your pass is active")
    expect(visitor.get_by_role("main")).to_contain_text("Ten classes")

    choose(visitor, "Monthly membership")
    pay(visitor, ASKS_FIRST)
    visitor.get_by_role("button", name="Complete authentication").click()
    title(visitor, "Your pass is active")
    expect(visitor.get_by_role("main")).to_contain_text("Monthly membership")

    visitor.get_by_role("link", name="See your account").click()
    purchases = visitor.get_by_role("main").get_by_role("listitem")
    expect(purchases).to_have_count(2)
    expect(purchases.filter(has_text="Ten classes")).to_contain_text("Active")
    expect(purchases.filter(has_text="Ten classes")).to_contain_text("Valid until")
    expect(purchases.filter(has_text="Monthly membership")).to_contain_text("Active")
    expect(purchases.filter(has_text="Monthly membership")).to_contain_text("Renews on")


def test_without_any_webhook_the_page_that_asks_makes_it_active(visitor: Page, stack: Stack) -> None:
    stack.faults(drop=1)
    choose(visitor, "Monthly membership")
    sign_in(visitor, "grace@example.com")
    pay(visitor)
    title(visitor, "Your pass is active")
    visitor.get_by_text("What happened").click()
    expect(visitor.get_by_role("main")).to_contain_text("by poll")


def test_a_buyer_who_closed_the_tab_finds_the_missing_pass(visitor: Page, stack: Stack) -> None:
    stack.faults(drop=1)
    choose(visitor, "Ten classes")
    sign_in(visitor, "joan@example.com")
    expect(visitor.get_by_label("Card number")).to_be_visible()
    page = visitor.url
    visitor.close()
    assert patient.post(page, data={"card": PAYS}).is_redirect

    other = visitor.context.new_page()
    other.route("**/checkouts/*", lambda route: route.abort())  # so that nothing but the button finds it
    other.goto("/account")
    expect(other.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    other.get_by_role("button", name="Missing a pass?").click()
    expect(other.get_by_text("Found: one pass was added to your account.")).to_be_visible()
    expect(other.get_by_role("main").get_by_role("listitem").filter(has_text="Ten classes")).to_contain_text("Active")


def test_a_declined_card_and_a_way_back_lead_to_the_same_payment_page(visitor: Page) -> None:
    choose(visitor, "Yearly membership")
    sign_in(visitor, "mary@example.com")
    pay(visitor, IS_DECLINED)
    expect(visitor.get_by_role("alert")).to_be_visible()
    page = visitor.url
    visitor.get_by_role("link", name="Back").click()
    title(visitor, "Nothing was charged")

    visitor.get_by_role("link", name="Your account").or_(visitor.get_by_role("link", name="Account")).first.click()
    visitor.get_by_role("link", name="Continue to payment").click()
    expect(visitor).to_have_url(page)
    pay(visitor)
    title(visitor, "Your pass is active")


def test_a_payment_that_takes_days_is_active_when_the_buyer_comes_back_to_it(visitor: Page, stack: Stack) -> None:
    choose(visitor, "Ten classes")
    sign_in(visitor, "lise@example.com")
    visitor.get_by_label("Bank debit that succeeds later").check()
    visitor.get_by_role("button", name=re.compile("^Pay ")).click()
    expect(visitor).to_have_url(re.compile("/success"))
    expect(visitor.get_by_role("heading", level=1)).to_contain_text("Confirming your purchase…")
    stack.pass_time(7 * 86_400)
    title(visitor, "Sign in to see your purchase")
    visitor.get_by_role("main").get_by_role("button", name="Sign in").click()
    sign_in(visitor, "lise@example.com")
    title(visitor, "Your pass is active")


def two_tabs(visitor: Page, email: str) -> Page:
    """Choose ten classes in the tab *buyer*, and then a membership in another; return the other, both ready to pay."""
    choose(visitor, "Ten classes")
    sign_in(visitor, email)
    expect(visitor.get_by_label("Card number")).to_be_visible()
    other = visitor.context.new_page()
    other.goto("/")
    expect(other.get_by_text("You may choose something else below")).to_be_visible()
    other.get_by_role("button", name="Buy Monthly membership").click()
    expect(other.get_by_label("Card number")).to_be_visible()
    return other


def test_who_changed_the_package_and_pays_in_the_old_tab_has_what_they_paid_for(visitor: Page, stack: Stack) -> None:
    stack.begin_a_minute()
    other = two_tabs(visitor, "rosa@example.com")
    pay(visitor)
    title(visitor, "Your pass is active")
    main = visitor.get_by_role("main")
    expect(main).to_contain_text("Your other choice, Monthly membership, is closed. Nothing was charged for it.")

    stack.sweep()
    pay(other)
    expect(other.get_by_label("Card number")).to_have_count(0)  # the page has been closed
    other.goto("/cancel")
    title(other, "You have paid for Ten classes")
    expect(other.get_by_role("main")).to_contain_text("You were buying Monthly membership")
    other.get_by_role("link", name="See your purchase").click()
    title(other, "Your pass is active")


def test_who_went_back_to_change_the_package_and_paid_in_the_old_tab_too_is_told_why_that_comes_back(
    visitor: Page, stack: Stack
) -> None:
    stack.begin_a_minute()
    choose(visitor, "Ten classes")
    sign_in(visitor, "vera@example.com")
    expect(visitor.get_by_label("Card number")).to_be_visible()
    old = visitor.context.new_page()
    old.goto(visitor.url)
    expect(old.get_by_role("main")).to_contain_text("Ten classes")

    visitor.get_by_role("link", name="Back").click()
    title(visitor, "Nothing was charged")
    visitor.get_by_role("link", name="Back to the shop").click()
    visitor.get_by_role("button", name="Buy Monthly membership").click()
    expect(visitor.get_by_label("Card number")).to_be_visible()
    page = visitor.url
    visitor.go_back()
    main = visitor.get_by_role("main")
    expect(main.get_by_role("heading", name="You were buying Monthly membership")).to_be_visible()
    expect(main).to_contain_text("It took the place of your earlier choice, which was closed.")
    main.get_by_role("link", name="Continue to payment").click()
    expect(visitor).to_have_url(page)
    pay(visitor)
    title(visitor, "Your pass is active")

    stack.pass_time(2)  # of two payments in one second, either may be the later one
    pay(old)
    title(old, "Your money is on its way back")
    why = "You had paid for Monthly membership already, so this payment of €120"
    expect(old.get_by_role("main")).to_contain_text(f"{why} goes back to your card or account by itself.")

    old.get_by_role("link", name="See your account").click()
    purchases = old.get_by_role("main").get_by_role("listitem")
    expect(purchases.filter(has_text="Monthly membership").filter(has_text="Active")).to_have_count(1)
    stack.sweep()
    fully_refunded = purchases.filter(has_text="Ten classes")
    expect(fully_refunded).to_contain_text(f"{why} was sent back", timeout=TOLD_WITHIN_MS)  # the page looks by itself
    expect(fully_refunded).to_contain_text("Refunded€120")


def test_who_comes_back_the_next_day_goes_on_where_they_were(visitor: Page, stack: Stack) -> None:
    choose(visitor, "Yearly membership")
    sign_in(visitor, "kate@example.com")
    expect(visitor.get_by_label("Card number")).to_be_visible()
    page = visitor.url
    stack.pass_time(90_000)
    visitor.goto("/account")
    visitor.get_by_role("button", name="Sign in and go on").click()
    sign_in(visitor, "kate@example.com")
    expect(visitor.get_by_role("heading", name="The payment page has expired")).to_be_visible()
    expect(visitor.get_by_role("main")).to_contain_text("You were buying Yearly membership.")
    visitor.get_by_role("button", name="Go on where you were").click()
    expect(visitor.get_by_label("Card number")).to_be_visible()
    assert visitor.url != page
    expect(visitor.get_by_role("main")).to_contain_text("Yearly membership")
    pay(visitor)
    title(visitor, "Your pass is active")


def test_a_live_session_that_nobody_accepts_gives_the_money_back(visitor: Page, stack: Stack) -> None:
    choose(visitor, "Live session")
    sign_in(visitor, "lena@example.com")
    pay(visitor)
    title(visitor, "Your live session is paid for")
    visitor.get_by_role("link", name="See your account").click()
    expect(visitor.get_by_role("timer")).to_have_text(re.compile(r"^1[345]:\d\d$"))

    stack.pass_time(901)
    past = visitor.get_by_role("region", name="Earlier live sessions")
    expect(past).to_contain_text("Nobody accepted it in time", timeout=TOLD_WITHIN_MS)
    expect(visitor.get_by_role("timer")).to_have_count(0)
    stack.sweep()
    why = "Nobody accepted it in time, so this payment of €65 was sent back"
    expect(past).to_contain_text(why, timeout=TOLD_WITHIN_MS)


def test_a_live_session_is_accepted_and_takes_place(visitor: Page, stack: Stack, chromium: Browser) -> None:
    choose(visitor, "Live session")
    sign_in(visitor, "dora@example.com")
    pay(visitor)
    title(visitor, "Your live session is paid for")
    visitor.goto("/account")
    expect(visitor.get_by_role("timer")).to_be_visible()

    with visiting(chromium, base_url=stack.url) as colleague:
        desk = colleague.new_page()
        desk.goto("/sessions")
        desk.get_by_role("main").get_by_role("button", name="Sign in").click()
        sign_in(desk, "max@example.com", gives_sessions=True)
        desk.get_by_role("button", name="Accept Live session").click()
        expect(desk.get_by_role("heading", name="Nobody waits")).to_be_visible(timeout=TOLD_WITHIN_MS)
        session = visitor.get_by_role("region", name="Live session")
        expect(session).to_contain_text("Accepted", timeout=TOLD_WITHIN_MS)
        expect(session.get_by_role("button")).to_have_count(0)
        desk.get_by_role("button", name="It took place").click()
        expect(desk.get_by_role("heading", name="Yours")).to_have_count(0)
    past = visitor.get_by_role("region", name="Earlier live sessions")
    expect(past).to_contain_text("Took place", timeout=TOLD_WITHIN_MS)


def test_signing_out_leaves_nothing_behind(visitor: Page) -> None:
    choose(visitor, "Ten classes")
    sign_in(visitor, "emmy@example.com")
    expect(visitor.get_by_label("Card number")).to_be_visible()
    visitor.goto("/account")
    visitor.get_by_role("button", name="Sign out").click()
    expect(visitor.get_by_role("banner").get_by_role("button", name="Sign in")).to_be_visible()
    visitor.goto("/account")
    expect(visitor.get_by_role("heading", name="Sign in to see your passes")).to_be_visible()
    assert "paidup.session" not in json.dumps(visitor.evaluate("Object.keys(localStorage)"))
