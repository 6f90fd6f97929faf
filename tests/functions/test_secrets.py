"""Secrets: read once in five minutes, used further while Secrets Manager is away, and named where they are wrong."""

import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from paidup.outside import secrets
from paidup.outside.secrets import BadSecret

from tests.functions.clocks import Uptime
from tests.functions.wire import Exchange, Spoil, Wire, be_down, lose_the_request, wire_to
from tests.world import WEBHOOK_SECRET, World

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

# Of a type that needs nothing but the signing secret.
IGNORED: dict[str, Any] = {
    "id": "evt_1",
    "object": "event",
    "type": "charge.captured",
    "created": 1,
    "data": {"object": {"id": "ch_1"}},
}


OLD, NEW = (f"whsec_{word * 8}" for word in ("old", "new"))


@pytest.fixture
def store(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """The wire to Secrets Manager, which the functions never asked yet; the secret is as before afterwards."""
    before = manager().get_secret_value(SecretId=os.environ["PAIDUP_STRIPE_SECRET"])["SecretString"]
    with wire_to(os.environ["AWS_ENDPOINT_URL"]) as made, monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", made.url)
        secrets.connect.cache_clear()
        yield made
    put(before)
    secrets.connect.cache_clear()


def manager() -> "SecretsManagerClient":
    """Return Secrets Manager itself, reached by no wire."""
    return boto3.client("secretsmanager", endpoint_url=os.environ["AWS_ENDPOINT_URL"])


def put(value: str) -> None:
    manager().put_secret_value(SecretId=os.environ["PAIDUP_STRIPE_SECRET"], SecretString=value)


def sign_with(secret: str) -> None:
    """Let *secret* be the one that Stripe's webhooks are signed with."""
    put(json.dumps({"api_key": "sk_test_local", "webhook_secrets": [secret]}))


def believed(world: World, secret: str) -> bool:
    """Whether a webhook signed with *secret* is believed."""
    return world.deliver(IGNORED, secret=secret).status == 200


def test_a_secret_is_read_again_after_five_minutes_and_not_before(world: World, store: Wire, uptime: Uptime) -> None:
    sign_with(OLD)
    assert believed(world, OLD)
    asked = len(store.asked)  # more than once on a machine that is slower than the client's patience
    sign_with(NEW)

    uptime.now += 299
    assert believed(world, OLD)
    assert len(store.asked) == asked

    uptime.now += 1
    assert believed(world, NEW)
    assert not believed(world, OLD)
    assert len(store.asked) > asked


@pytest.mark.parametrize("trouble", [be_down, lose_the_request], ids=["is down", "does not answer"])
def test_the_last_good_value_is_used_while_the_store_is_away(
    world: World, store: Wire, uptime: Uptime, trouble: Spoil
) -> None:
    sign_with(OLD)
    assert believed(world, OLD)
    store.inject("POST", trouble)
    uptime.now += 301

    assert believed(world, OLD)
    asked = len(store.asked)
    uptime.now += 29
    assert believed(world, OLD)
    assert len(store.asked) == asked

    store.mend()
    sign_with(NEW)
    uptime.now += 1
    assert believed(world, NEW)


def test_a_secret_that_was_never_read_stops_what_needs_it_while_the_store_is_away(world: World, store: Wire) -> None:
    store.inject("POST", be_down)

    with pytest.raises(ClientError):
        believed(world, WEBHOOK_SECRET)

    store.mend()
    assert believed(world, WEBHOOK_SECRET)


def test_a_secret_that_may_not_be_read_any_more_is_used_no_further(world: World, store: Wire, uptime: Uptime) -> None:
    assert believed(world, WEBHOOK_SECRET)
    store.inject("POST", deny)

    uptime.now += 301
    with pytest.raises(ClientError, match="AccessDenied"):
        believed(world, WEBHOOK_SECRET)


def deny(exchange: Exchange) -> None:
    """Answer that the function's role may not read the secret."""
    exchange.answer(400, [("Content-Type", "application/x-amz-json-1.1")], b'{"__type": "AccessDeniedException"}')


@pytest.mark.parametrize("value", [WEBHOOK_SECRET, f'["{WEBHOOK_SECRET}"]', "{}", '{"webhook_secrets": []}'])
def test_a_wrong_secret_is_named_and_mended_at_once(world: World, store: Wire, value: str) -> None:
    put(value)
    with pytest.raises(BadSecret, match="The secret 'paidup/stripe' must be a JSON object with 'webhook_secrets'"):
        believed(world, WEBHOOK_SECRET)

    sign_with(WEBHOOK_SECRET)
    assert believed(world, WEBHOOK_SECRET)
