"""When Stripe fails: the answer says whether trying again helps, keeps what was chosen, and gives nothing away."""

import json
import os
import socket
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from paidup.outside import secrets as kept

from tests.functions.wire import Exchange, Wire, never_answer, pass_on
from tests.handlers import Answer
from tests.world import World

CUSTOMERS, SESSIONS = "POST /v1/customers", "POST /v1/checkout/sessions"
BROKEN = json.dumps({"error": {"type": "api_error", "message": "sk_test_local broke on ada@example.com"}}).encode()


def answer(status: int, error: dict[str, Any] | None = None, **headers: str) -> Any:
    """Return how a request fares that Stripe answers so."""
    text = json.dumps({"error": error}).encode() if error else BROKEN
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return lambda exchange: exchange.answer(status, [("Content-Type", "application/json"), *named], text)


class Replaying:
    """Stripe's memory: it answers an outage under an idempotency key again, whenever the key comes again."""

    def __init__(self) -> None:
        self.struck: set[str] = set()
        self.broken = True

    def __call__(self, exchange: Exchange) -> None:
        key = exchange.headers["Idempotency-Key"]
        if self.broken:
            self.struck.add(key)
        if key in self.struck:
            answer(500, Stripe_Should_Retry="false")(exchange)
        else:
            pass_on(exchange)


def assert_problem(found: Answer, status: int, kind: str, *, retryable: bool) -> Any:
    assert found.status == status, found.text
    assert found.headers["content-type"] == "application/problem+json"
    problem = found.json
    assert problem["type"] == f"urn:paidup:problem:{kind}"
    assert problem["retryable"] is retryable
    assert ("retry-after" in found.headers) is retryable
    for secret in ("sk_test", "whsec", "@example.com"):
        assert secret not in found.text
    return problem


def assert_kept(world: World, buyer: str) -> None:
    """Check that what was chosen is kept, and that the next click goes on with it."""
    seen = world.services.table.load_open(buyer)
    assert seen.checkout
    assert seen.checkout.context == {"step": 3}
    world.pass_time(3)  # a click that comes sooner waits for the one before
    again = world.buy(customer=buyer)
    assert again.json["status"] == "open"
    assert again.json["checkout_id"] == seen.checkout.checkout_id


@pytest.mark.parametrize("request_", [CUSTOMERS, SESSIONS])
class TestAnOutage:
    def test_lets_the_request_be_tried_again(self, world: World, buyer: str, wire: Wire, request_: str) -> None:
        wire.inject(request_, answer(500, Stripe_Should_Retry="false"))
        found = world.buy(customer=buyer, context={"step": 3})
        problem = assert_problem(found, 503, "provider-unavailable", retryable=True)
        assert "nothing was charged" in problem["next"]
        assert "what you chose is kept" in problem["next"]
        wire.mend()
        assert_kept(world, buyer)

    def test_is_not_replayed_for_ever(self, world: World, buyer: str, wire: Wire, request_: str) -> None:
        """Stripe replays a 500 under its idempotency key for a day: the next click has a new key."""
        stripe = Replaying()
        wire.inject(request_, stripe)
        assert world.buy(customer=buyer, context={"step": 3}).status == 503
        stripe.broken = False
        assert_kept(world, buyer)

    def test_can_be_a_rate_limit(self, world: World, buyer: str, wire: Wire, request_: str) -> None:
        limited = {"type": "invalid_request_error", "code": "rate_limit", "message": "Request rate limit exceeded."}
        wire.inject(request_, answer(429, limited, Stripe_Should_Retry="false"))
        found = world.buy(customer=buyer, context={"step": 3})
        assert_problem(found, 503, "provider-unavailable", retryable=True)
        wire.mend()
        assert_kept(world, buyer)

    def test_can_be_the_same_request_that_is_still_under_way(
        self, world: World, buyer: str, wire: Wire, request_: str
    ) -> None:
        in_use = {"type": "idempotency_error", "code": "idempotency_key_in_use", "message": "In progress."}
        wire.inject(request_, answer(409, in_use, Stripe_Should_Retry="false"))
        found = world.buy(customer=buyer, context={"step": 3})
        assert_problem(found, 503, "provider-unavailable", retryable=True)
        wire.mend()
        assert_kept(world, buyer)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, {"type": "invalid_request_error", "message": "Invalid API Key provided: sk_test_*****cal"}),
        (403, {"type": "invalid_request_error", "message": "The key sk_test_local may not do this."}),
        (400, {"type": "invalid_request_error", "param": "customer_email", "message": "Invalid: ada@example.com"}),
        (400, {"type": "invalid_request_error", "code": "url_invalid", "param": "success_url", "message": "Not a URL"}),
    ],
)
def test_a_refusal_is_not_worth_another_try(
    world: World, buyer: str, wire: Wire, status: int, error: dict[str, Any]
) -> None:
    wire.inject(SESSIONS, answer(status, error))
    found = world.buy(customer=buyer, context={"step": 3})
    problem = assert_problem(found, 502, "provider-refused", retryable=False)
    assert "will not help" in problem["next"]
    assert "what you chose is kept" in problem["next"]
    wire.mend()
    assert_kept(world, buyer)


@pytest.mark.parametrize("status", [404, 502])
def test_an_answer_of_a_gateway_before_stripe_can_be_tried_again(
    world: World, buyer: str, wire: Wire, status: int
) -> None:
    """Stripe's own errors are objects; nobody knows here what became of the request, so its key stays the same."""
    text = b'{"error": "upstream connect error"}'
    wire.inject(SESSIONS, lambda exchange: exchange.answer(status, [], text))
    found = world.buy(customer=buyer, context={"step": 3})
    assert_problem(found, 503, "provider-unavailable", retryable=True)
    wire.mend()
    assert_kept(world, buyer)


@pytest.mark.parametrize("text", [b"<html>Bad gateway</html>", b"", b"[]", b'{"object": "list"}'])
def test_an_answer_that_is_not_stripes_can_be_tried_again(world: World, buyer: str, wire: Wire, text: bytes) -> None:
    wire.inject(SESSIONS, lambda exchange: exchange.answer(502, [("Stripe-Should-Retry", "false")], text))
    found = world.buy(customer=buyer, context={"step": 3})
    assert_problem(found, 503, "provider-unavailable", retryable=True)
    wire.mend()
    assert_kept(world, buyer)


def test_a_wrong_api_key_is_refused_without_showing_it(world: World, buyer: str) -> None:
    secrets, name = boto3.client("secretsmanager"), "PAIDUP_STRIPE_SECRET"
    right = json.dumps({"api_key": "sk_test_local", "webhook_secrets": ["whsec_localstackonly000000000000"]})
    put_secret(secrets, name, right.replace("sk_test_local", "sk_test_of_somebody_else"))
    try:
        found = world.buy(customer=buyer, context={"step": 3})
    finally:
        put_secret(secrets, name, right)
    problem = assert_problem(found, 502, "provider-refused", retryable=False)
    assert "somebody_else" not in found.text
    assert "set-up" in problem["next"]
    assert_kept(world, buyer)


def put_secret(secrets: Any, setting: str, value: str) -> None:
    """Give the secret another value, and let the functions read it anew, as they do after five minutes."""
    secrets.put_secret_value(SecretId=os.environ[setting], SecretString=value)
    kept.connect.cache_clear()


@pytest.mark.parametrize("request_", [CUSTOMERS, SESSIONS])
def test_a_request_that_is_lost_is_made_twice_more_under_its_own_key(
    world: World, buyer: str, wire: Wire, request_: str
) -> None:
    keys: list[str] = []
    wire.inject(request_, lambda exchange: keys.append(exchange.headers["Idempotency-Key"]))
    found = world.buy(customer=buyer, context={"step": 3})
    assert_problem(found, 503, "provider-unavailable", retryable=True)
    assert len(keys) == wire.count(request_) == 3
    assert len(set(keys)) == 1
    wire.mend()
    assert_kept(world, buyer)


def test_a_stripe_that_takes_no_connection_is_waited_for_two_seconds_at_a_time(
    world: World, buyer: str, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the network says at once what it says when they are over, so that nobody waits for it."""
    port, connect = urlsplit(wire.url).port, socket.socket.connect
    waited_s: list[float | None] = []

    def time_out(one: socket.socket, address: Any) -> None:
        if address[1] != port:
            connect(one, address)
            return
        waited_s.append(one.gettimeout())
        raise TimeoutError

    with monkeypatch.context() as network:
        network.setattr(socket.socket, "connect", time_out)
        found = world.buy(customer=buyer, context={"step": 3})
    assert_problem(found, 503, "provider-unavailable", retryable=True)
    assert waited_s == [2, 2, 2]
    assert wire.asked == []
    assert_kept(world, buyer)


def test_a_stripe_that_never_answers_is_given_up_in_time(world: World, buyer: str, wire: Wire) -> None:
    """At most two tries fit into the 7 s that a click may take, however long each of them would wait."""
    wire.inject(CUSTOMERS, never_answer)
    found = world.buy(customer=buyer, context={"step": 3})
    assert_problem(found, 503, "provider-unavailable", retryable=True)
    assert set(wire.asked) == {CUSTOMERS}
    assert len(wire.asked) <= 2
    wire.mend()
    assert_kept(world, buyer)
