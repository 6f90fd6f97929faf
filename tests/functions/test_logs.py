"""Logs: what operators read says what happened to whom, and holds nothing that a stranger could use."""

import json
import logging
import os
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from paidup.outside.log import logger

from tests import patient
from tests.functions.sockets import Sockets
from tests.functions.story import Story
from tests.functions.wire import Spoil, Wire, lose_the_request
from tests.handlers import invoke, request, sample

SECRET = "a-secret-that-the-caller-sent"


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Everything that was logged and printed since the test began, as it would stand in the function's log group."""
    caplog.set_level(logging.WARNING, "httpx")  # the test's own
    caplog.set_level(logging.INFO, "paidup")
    caplog.set_level(logging.INFO)  # of all others, as Lambda sets it where logs are JSON
    ours, others = logger.registered_formatter, logging.Formatter()

    def read() -> str:
        logged = [(ours if one.name == "paidup" else others).format(one) for one in caplog.records]
        return "\n".join([*logged, *capfd.readouterr()])

    return read


def assert_discreet(text: str, story: Story, *secrets: str) -> None:
    """Check that *text* holds no address, secret, card, provider's token, or any of *secrets*."""
    assert text
    token = [story.token["token"], story.token["url"]] if story.token else []
    for secret in ("@example.com", "sk_test", "whsec", "42424242", SECRET, *token, *secrets):
        assert secret not in text, [line for line in text.splitlines() if secret in line]


def test_a_purchase_leaves_a_trace_without_anything_secret(story: Story, lines: Callable[[], str]) -> None:
    headers = {"Idempotency-Key": SECRET, "Authorization": f"Bearer {SECRET}"}
    story.buys("ten_class_pass", context={"card": "4242424242424242", "mail": "eve@example.com"}, headers=headers)
    story.world.pass_time(4)
    story.world.status(story.token["checkout_id"], customer=story.buyer)
    story.hear()
    story.world.sync(customer=story.buyer)
    story.post("refunds", payment_intent=story.session()["payment_intent"]["id"])
    story.hear()
    story.world.sweep()
    text = lines()
    assert_discreet(text, story)
    said = [json.loads(line) for line in text.splitlines() if line.startswith('{"level"')]
    names = {line["message"] for line in said}
    assert {"checkout.reserved", "checkout.opened", "fact.settled", "account.synced", "clock.swept"} <= names
    settled = [line for line in said if line["message"] == "fact.settled"]
    assert {line["customer_id"] for line in settled} == {story.buyer}
    assert {line["purchase_id"] for line in settled} == {story.token["checkout_id"]}
    assert {line["channel"] for line in settled} == {"poll", "webhook"}


def test_a_refused_request_leaves_no_part_of_it(story: Story, lines: Callable[[], str]) -> None:
    story.world.buy(SECRET, customer=story.buyer)
    story.world.buy(customer=story.buyer, quantity=SECRET)
    story.world.buy(customer=story.buyer, context=SECRET)
    story.world.buy(customer=story.buyer, success_url=f"https://evil.example/?{SECRET}=eve@example.com")
    request("POST /payment-tokens", customer=story.buyer, raw="{" + SECRET)
    text = lines()
    assert text.count("request.refused") == 5
    assert_discreet(text, story)


def test_a_webhook_leaves_no_part_of_its_body(
    story: Story, lines: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    story.buys("monthly")
    completed, paid = story.news("checkout.session.completed", "invoice.paid")
    assert "@example.com" in json.dumps(completed)
    story.world.deliver(completed, secret=SECRET)
    story.world.deliver(completed, at=1)
    with monkeypatch.context() as broken:
        broken.setenv("PAIDUP_TABLE", "a-table-that-is-away")
        story.world.deliver(completed)
    story.world.deliver(paid | {"data": {"object": {"customer_email": "eve@example.com", "parent": 5}}})
    story.world.deliver(completed | {"type": "customer.updated"})
    story.world.work_queue()
    text = lines()
    assert {"event.unsettled", "event.queued", "event.failed", "event.ignored"} <= {
        json.loads(line)["message"] for line in text.splitlines() if line.startswith('{"level"')
    }
    assert_discreet(text, story)


def test_trouble_at_stripe_leaves_none_of_its_words(story: Story, lines: Callable[[], str], wire: Wire) -> None:
    """Its errors may quote what it was sent, and its key."""
    words = {"type": "invalid_request_error", "message": f"sk_test_local {SECRET} eve@example.com", "param": "email"}
    for status in (400, 401, 402, 403, 404, 409, 429, 500):
        wire.inject("", answer(status, words))
        assert story.world.buy(customer=story.buyer).status in (502, 503)
        story.world.pass_time(3)
    wire.inject("", lose_the_request)
    story.world.sync(customer=story.buyer)
    assert_discreet(lines(), story)


def answer(status: int, error: dict[str, str]) -> Spoil:
    """Return how a request fares that Stripe answers so."""
    text = json.dumps({"error": error}).encode()
    return lambda exchange: exchange.answer(status, [("Stripe-Should-Retry", "false")], text)


def test_a_caller_who_is_let_in_or_not_leaves_no_token(story: Story, lines: Callable[[], str]) -> None:
    claims: Any = {"sub": story.buyer, "email": "ada@example.com"}
    issuer = os.environ["PAIDUP_IDENTITY_ISSUER"]
    good = patient.post(f"{issuer}/token", json=claims).json()["token"]
    old = patient.post(f"{issuer}/token", json=claims | {"expires_in": -1}).json()["token"]
    event = sample("authorize")
    for bearer in (good, old, SECRET, good + SECRET):
        event["headers"]["authorization"] = f"Bearer {bearer}"
        with suppress(Exception):
            invoke("authorize", event)
    text = lines()
    assert text.count("caller.refused") == 3
    assert_discreet(text, story, *good.split("."), *old.split("."))


@pytest.mark.parametrize("route", ["POST /payment-tokens", "POST /checkouts/co_1/recover"])
def test_an_unforeseen_error_leaves_no_secret_in_its_traceback(
    story: Story, lines: Callable[[], str], monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    """Lambda's runtime logs what a function raises; Powertools' resolver, where a function has it, logs it as well."""
    body = {"offer_id": "ten_class_pass", "context": {"x": SECRET}} if route.endswith("tokens") else None
    monkeypatch.setenv("PAIDUP_TABLE", "a-table-that-is-away")

    with pytest.raises(Exception, match="ResourceNotFound") as crash:
        request(route, customer=story.buyer, body=body, headers={"Idempotency-Key": SECRET})

    assert_discreet("\n".join([lines(), *traceback.format_exception(crash.value)]), story)


def test_a_handshake_leaves_no_token_and_no_ticket(sockets: Sockets, story: Story, lines: Callable[[], str]) -> None:
    token, ticket = sockets.token(story.buyer), sockets.ticket(story.buyer)
    for offered in (f"bearer.{token}", f"ticket.{ticket}", f"ticket.{ticket}", f"bearer.{token}x"):
        sockets.connect("paidup.v1", offered)
    text = lines()
    assert_discreet(text, story, ticket, *token.split("."))
    assert text.count("socket.opened") == 2
