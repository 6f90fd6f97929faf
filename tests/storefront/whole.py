"""What buyers do in a browser on the whole local stack, and what a test can make happen to the stack."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from paidup.outside.stripe.webhook import HANDLED
from playwright.sync_api import Page, expect

from tests import patient
from tests.handlers import EVENTS
from tools.local.background import Background

PAYS, IS_DECLINED, ASKS_FIRST = "4242 4242 4242 4242", "4000 0000 0000 0002", "4000 0025 0000 3155"
PAYS_ONCE = "4000 0000 0000 0341"


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
        self._clock(advance_s=seconds)

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Let time pass for the providers and the functions by `pass_time` alone while the block runs."""
        self._clock(stand_still=True)
        try:
            yield
        finally:
            self._clock(stand_still=False)

    def undelivered(self) -> list[str]:
        """The ids of the provider's events that are on their way to the webhook, and that it does not ignore."""
        answer = patient.get(f"{self.running.fakes_url}/dev/deliveries?status=pending").raise_for_status()
        return [one["event"] for one in answer.json()["deliveries"] if one["type"] in HANDLED]

    def outcome(self, event_id: str) -> str:
        """Wait until the provider's event was processed, and return what became of it."""
        who = {"sub": "supporter", "roles": ["support"]}
        token = patient.post(f"{self.running.fakes_url}/identity/token", json=who).raise_for_status().json()["token"]
        url, known = f"{self.url}/support/events/stripe/{event_id}", {"authorization": f"Bearer {token}"}
        patient.eventually(lambda: patient.get(url, headers=known).is_success)
        return str(patient.get(url, headers=known).json()["event"]["status"])

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

    def _clock(self, **moves: Any) -> None:
        patient.post(f"{self.running.fakes_url}/dev/clock", json=moves).raise_for_status()


def choose(page: Page, offer: str) -> None:
    """Choose *offer* in the shop and go as far as the provider's page."""
    page.goto("/")
    page.get_by_role("button", name=f"Buy {offer}").click()


def sign_in(page: Page, email: str, *, gives_sessions: bool = False, is_support: bool = False) -> None:
    """Sign in as *email* on the identity provider's page."""
    if gives_sessions:
        page.get_by_label("Host (gives live sessions)").check()
    if is_support:
        page.get_by_label("Support desk").check()
    page.get_by_role("textbox", name="E-mail", exact=True).fill(email)
    page.get_by_role("button", name="Sign in").click()


def pay(page: Page, card: str = PAYS) -> None:
    """Pay on the provider's page."""
    page.get_by_label("Card number").fill(card)
    page.get_by_role("button", name=re.compile("^Pay ")).click()


def title(page: Page, text: str) -> None:
    """Wait until the page is headed *text*."""
    expect(page.get_by_role("heading", level=1)).to_have_text(text)
