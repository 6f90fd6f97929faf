"""The storefront's settings, its table, and a browser."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from paidup.edge import pages
from paidup.outside.aws import session
from paidup.outside.dynamo import table
from paidup.outside.dynamo.table import Table
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests import patient
from tests.skipping import skip
from tests.storefront.web import Server, Web
from tests.storefront.whole import Stack
from tools import chromium as finding
from tools.local import background, ministack

# Chromium writes these itself: for every answer of 400 and more, for answers that never came, and for sockets refused.
NOT_OURS = ("Failed to load resource", "WebSocket connection to")
# What a page is to show may be as late as the machine is slow; what never comes is late enough then.
WAIT_MS = patient.WAIT_S * 1_000
expect.set_options(timeout=WAIT_MS)


SETTINGS = {
    "PAIDUP_TABLE": "storefront",
    "PAIDUP_IDENTITY_ISSUER": "https://identity.example/pool",
    "PAIDUP_IDENTITY_AUDIENCE": "paidup",
}


def forget() -> None:
    """Let the storefront read its settings anew."""
    pages.site.cache_clear()
    pages.guards.cache_clear()


def aws_anew() -> None:
    """Let the storefront find its account anew."""
    session.cache_clear()
    table.connect.cache_clear()


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The storefront's settings, and no memory of any others."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    forget()
    yield
    forget()


@pytest.fixture
def shelf(aws: ministack.Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    """The table as the template describes it, empty, where the storefront finds it."""
    environment = aws.account()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    aws_anew()
    yield table.connect(environment["PAIDUP_TABLE"])
    aws_anew()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A headless Chromium; without one the test is skipped, or fails where nothing may be skipped."""
    with sync_playwright() as playwright:
        path = finding.find(playwright.chromium.executable_path)
        if path is None:
            skip(finding.MISSING)
        with playwright.chromium.launch(executable_path=path, args=list(finding.ARGUMENTS)) as browser:
            yield browser


@contextmanager
def visiting(browser: Browser, **known: Any) -> Iterator[BrowserContext]:
    """Return a visitor with a phone, on whose pages nothing may go wrong unseen."""
    troubles: list[str] = []

    def note(trouble: str) -> None:
        if not trouble.startswith(NOT_OURS):
            troubles.append(trouble)

    def watch(page: Page) -> None:
        page.on("pageerror", lambda error: note(str(error)))
        page.on("console", lambda line: note(line.text) if line.type in ("error", "warning") else None)

    phone: Any = {"viewport": {"width": 360, "height": 740}, "locale": "en-GB", "timezone_id": "Europe/Paris"}
    with browser.new_context(**phone, **known) as context:
        context.set_default_timeout(WAIT_MS)
        context.on("page", watch)
        yield context
    assert troubles == []


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """What the browser talks to."""
    with Server() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


@contextmanager
def serving(server: Server) -> Iterator[Web]:
    """Serve a web of its own to whoever asks within the block."""
    server.web = Web(server.origin)
    with pytest.MonkeyPatch.context() as patch:
        # Without a socket, changes are asked for; a test that plays the socket says where it is.
        own = {"PAIDUP_IDENTITY_ISSUER": server.web.issuer, "PAIDUP_REALTIME_URL": ""}
        for name, value in (SETTINGS | own).items():
            patch.setenv(name, value)
        forget()
        yield server.web
        server.web.over.set()


@pytest.fixture
def web(server: Server) -> Iterator[Web]:
    """What a test's pages reach."""
    with serving(server) as web:
        yield web


@pytest.fixture
def page(chromium: Browser, web: Web) -> Iterator[Page]:
    """A tab of a visitor who was never here."""
    with visiting(chromium, base_url=web.shop) as stranger:
        yield stranger.new_page()


@pytest.fixture(scope="session")
def signed_in(chromium: Browser, server: Server) -> Any:
    """What a browser keeps of Ada, who has signed in."""
    with serving(server) as web, visiting(chromium, base_url=web.shop) as stranger:
        page = stranger.new_page()
        page.goto("/account")
        page.get_by_role("banner").get_by_role("button", name="Sign in").click()
        page.get_by_role("link", name="Sign in as Ada").click()
        expect(page.get_by_role("banner")).to_contain_text("ada@example.com")
        return stranger.storage_state()


@pytest.fixture
def ada(chromium: Browser, signed_in: Any, web: Web) -> Iterator[Page]:
    """A tab of Ada's, who is signed in."""
    with visiting(chromium, base_url=web.shop, storage_state=signed_in) as context:
        yield context.new_page()


@pytest.fixture(scope="package")
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
        yield stranger.new_page()
