"""Purchases from end to end: a phone's browser, the whole local stack, and the providers' own pages."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.storefront.conftest import visiting
from tools.local import state

pytestmark = pytest.mark.xdist_group("storefront")

READY_WITHIN_S = 90
TOLD_WITHIN_MS = 30_000  # as long as the page itself goes on asking
PAYS, IS_DECLINED, ASKS_FIRST = "4242 4242 4242 4242", "4000 0000 0000 0002", "4000 0025 0000 3155"


@dataclass(frozen=True, slots=True)
class Stack:
    """A local stack that is ready, and where."""

    url: str
    standins_url: str

    def faults(self, **faults: float) -> None:
        """Let providers misbehave from now on as *faults* say; without any, behave."""
        httpx.post(f"{self.standins_url}/dev/faults", json=faults).raise_for_status()


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole local stack on free ports, started and ended as `make run` does."""
    folder = tmp_path_factory.mktemp("stack")
    argv = [sys.executable, "-m", "tools.local", "--port", "0", "--folder", str(folder)]
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PAIDUP_", "AWS_", "STRIPE_"))}
    with (folder / "console").open("w") as console:
        process = subprocess.Popen(argv, env=own, stdout=console, stderr=subprocess.STDOUT, start_new_session=True)  # noqa: S603 - our own
        try:
            yield _announced(folder, process)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def _announced(folder: Path, process: subprocess.Popen[bytes]) -> Stack:
    last = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < last and process.poll() is None:
        try:
            where = state.announcement(folder)
            return Stack(where["url"], where["standins_url"])
        except state.NotRunning:
            time.sleep(0.2)
    pytest.fail(f"The local stack does not start:\n{(folder / 'console').read_text()}")


@pytest.fixture
def stack(running: Stack) -> Iterator[Stack]:
    """The stack, with providers that behave, and behave again afterwards."""
    running.faults()
    yield running
    running.faults()


@pytest.fixture
def buyer(chromium: Browser, stack: Stack) -> Iterator[Page]:
    """A tab of somebody who was never here."""
    with visiting(chromium, base_url=stack.url) as stranger:
        stranger.set_default_timeout(TOLD_WITHIN_MS)
        yield stranger.new_page()


def choose(page: Page, offer: str) -> None:
    """Choose *offer* in the shop and go as far as the provider's page."""
    page.goto("/")
    page.get_by_role("button", name=f"Buy {offer}").click()


def sign_in(page: Page, email: str) -> None:
    """Sign in as *email* on the identity provider's page."""
    page.get_by_role("textbox", name="E-mail", exact=True).fill(email)
    page.get_by_role("button", name="Sign in").click()


def pay(page: Page, card: str = PAYS) -> None:
    """Pay on the provider's page."""
    page.get_by_label("Card number").fill(card)
    page.get_by_role("button", name=re.compile("^Pay ")).click()


def title(page: Page, text: str) -> None:
    """Wait until the page is headed *text*."""
    expect(page.get_by_role("heading", level=1)).to_have_text(text, timeout=TOLD_WITHIN_MS)


def test_a_pass_and_a_subscription_are_bought_and_active(buyer: Page) -> None:
    choose(buyer, "Ten classes")
    sign_in(buyer, "ada@example.com")
    pay(buyer)
    title(buyer, "Your pass is active")
    expect(buyer.get_by_role("main")).to_contain_text("Ten classes")

    choose(buyer, "Monthly membership")
    pay(buyer, ASKS_FIRST)
    buyer.get_by_role("button", name="Complete authentication").click()
    title(buyer, "Your pass is active")
    expect(buyer.get_by_role("main")).to_contain_text("Monthly membership")

    buyer.get_by_role("link", name="See your account").click()
    passes = buyer.get_by_role("main").get_by_role("listitem")
    expect(passes).to_have_count(2)
    expect(passes.filter(has_text="Ten classes")).to_contain_text("Active")
    expect(passes.filter(has_text="Ten classes")).to_contain_text("Valid until")
    expect(passes.filter(has_text="Monthly membership")).to_contain_text("Active")
    expect(passes.filter(has_text="Monthly membership")).to_contain_text("Renews on")


def test_without_any_webhook_the_page_that_asks_makes_it_active(buyer: Page, stack: Stack) -> None:
    stack.faults(drop=1)
    choose(buyer, "Monthly membership")
    sign_in(buyer, "grace@example.com")
    pay(buyer)
    title(buyer, "Your pass is active")
    buyer.get_by_text("What happened").click()
    expect(buyer.get_by_role("main")).to_contain_text("by poll")


def test_a_buyer_who_closed_the_tab_finds_the_missing_pass(buyer: Page, stack: Stack) -> None:
    stack.faults(drop=1)
    choose(buyer, "Ten classes")
    sign_in(buyer, "joan@example.com")
    expect(buyer.get_by_label("Card number")).to_be_visible()
    page = buyer.url
    buyer.close()
    assert httpx.post(page, data={"card": PAYS}).is_redirect

    other = buyer.context.new_page()
    other.goto("/account")
    expect(other.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    other.get_by_role("button", name="Missing a pass?").click()
    expect(other.get_by_text("Found: one pass was added to your account.")).to_be_visible()
    expect(other.get_by_role("main").get_by_role("listitem").filter(has_text="Ten classes")).to_contain_text("Active")


def test_a_declined_card_a_way_back_and_then_the_same_payment_page(buyer: Page) -> None:
    choose(buyer, "Yearly membership")
    sign_in(buyer, "mary@example.com")
    pay(buyer, IS_DECLINED)
    expect(buyer.get_by_role("alert")).to_be_visible()
    page = buyer.url
    buyer.get_by_role("link", name="Back").click()
    title(buyer, "Nothing was charged")

    buyer.get_by_role("link", name="Your account").or_(buyer.get_by_role("link", name="Account")).first.click()
    buyer.get_by_role("link", name="Continue to payment").click()
    expect(buyer).to_have_url(page)
    pay(buyer)
    title(buyer, "Your pass is active")


def test_a_payment_that_takes_days_is_active_when_the_buyer_comes_back_to_it(buyer: Page, stack: Stack) -> None:
    choose(buyer, "Ten classes")
    sign_in(buyer, "lise@example.com")
    buyer.get_by_label("Bank debit that succeeds later").check()
    buyer.get_by_role("button", name=re.compile("^Pay ")).click()
    expect(buyer).to_have_url(re.compile("/success"))
    expect(buyer.get_by_role("heading", level=1)).to_contain_text("Confirming your purchase…")
    httpx.post(f"{stack.standins_url}/dev/clock", json={"advance_s": 7 * 86_400}).raise_for_status()
    title(buyer, "Sign in to see your purchase")
    buyer.get_by_role("main").get_by_role("button", name="Sign in").click()
    sign_in(buyer, "lise@example.com")
    title(buyer, "Your pass is active")


def test_signing_out_leaves_nothing_behind(buyer: Page) -> None:
    choose(buyer, "Ten classes")
    sign_in(buyer, "emmy@example.com")
    expect(buyer.get_by_label("Card number")).to_be_visible()
    buyer.goto("/account")
    buyer.get_by_role("button", name="Sign out").click()
    expect(buyer.get_by_role("banner").get_by_role("button", name="Sign in")).to_be_visible()
    buyer.goto("/account")
    expect(buyer.get_by_role("heading", name="Sign in to see your passes")).to_be_visible()
    assert "paidup.session" not in json.dumps(buyer.evaluate("Object.keys(localStorage)"))
