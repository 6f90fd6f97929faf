"""Whom the local stack pays at: a stand-in for Stripe, or with a test key in the environment Stripe itself."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.alone import in_a_thread
from tests.handlers import sample
from tools.local import deployment, ministack, template
from tools.local.__main__ import options
from tools.local.cloud import Cloud
from tools.local.deployment import Addresses, Deployment, StripeAccount
from tools.local.functions import Function
from tools.signing import signed

AT_THE_STAND_IN = "http://127.0.0.1:2/stripe"
KEY = "sk_test_of_somebody"
PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")


@dataclass(slots=True)
class Proxy:
    """A proxy that lets nothing through, and who it was asked for."""

    url: str
    asked: set[str] = field(default_factory=set)


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """The proxy by which this machine reaches the world."""

    class Handler(BaseHTTPRequestHandler):
        def refuse(self) -> None:
            made.asked.add(self.path)
            self.send_error(403)

        do_CONNECT = do_GET = do_POST = refuse

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = Proxy(f"http://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            for name in PROXIES:
                monkeypatch.setenv(name, made.url)
            for name in ("no_proxy", "NO_PROXY"):
                monkeypatch.setenv(name, "127.0.0.1")
            yield made
        finally:
            server.shutdown()
            thread.join()


@dataclass(frozen=True, slots=True)
class Deployed:
    """What is deployed for an engineer with such an environment, and nothing of the stack beside it."""

    made: Deployment
    stripe: StripeAccount
    folder: Path

    @property
    def secret(self) -> dict[str, Any]:
        """What the functions know of Stripe."""
        return self.made.at.aws.secret(self.made.stripe_secret)

    @property
    def environments(self) -> list[Mapping[str, str]]:
        """What each function runs in."""

        async def look() -> list[Mapping[str, str]]:
            async with self._functions() as functions:
                return [one.code.environment for one in functions.values()]

        return in_a_thread(look())

    def ask(self, function: str, *events: Any) -> list[Any]:
        """Return what *function* answers to *events*, in a process of its own as in the stack."""

        async def ask() -> list[Any]:
            async with self._functions() as functions:
                said = [await functions[function].invoke(json.dumps(one).encode(), wait_s=30) for one in events]
                return [json.loads(one.payload) for one in said]

        return in_a_thread(ask())

    @asynccontextmanager
    async def _functions(self) -> AsyncIterator[dict[str, Function]]:
        (self.folder / "logs").mkdir(exist_ok=True)
        functions = self.made.functions(self.folder, self.stripe, most=1)
        try:
            yield functions
        finally:
            await asyncio.gather(*(one.stop() for one in functions.values()))


type Deploy = Callable[..., Deployed]


@pytest.fixture
def deploy(aws: ministack.Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deploy:
    """How an engineer deploys with some variables in the environment."""

    def deploy(**variables: str) -> Deployed:
        for name in ("STRIPE_API_KEY", "STRIPE_WEBHOOK_SECRET"):
            monkeypatch.setenv(name, variables.get(name, ""))
        at = Addresses(port=1, fakes_port=2, invocations_port=3, aws=Cloud(endpoint=aws.endpoint))
        stripe = options([]).stripe
        return Deployed(deployment.deploy(template.read(), at, stripe), stripe, tmp_path)

    return deploy


def webhook(secret: str) -> dict[str, Any]:
    """Return a webhook of no concern to anybody, signed with *secret* just now."""
    event = sample("receive_webhook")
    about = json.loads(event["body"]) | {"type": "customer.created"}
    return signed({**event, "body": json.dumps(about)}, secret, at=int(time.time()))


def test_without_a_key_buyers_pay_at_the_stand_in_and_nothing_may_leave_the_machine(
    deploy: Deploy, proxy: Proxy
) -> None:
    deployed = deploy()
    environments = deployed.environments
    assert {one.get("PAIDUP_STRIPE_API_BASE", AT_THE_STAND_IN) for one in environments} == {AT_THE_STAND_IN}
    assert not [one for one in environments if set(PROXIES) & set(one)]
    assert deployed.secret == {"api_key": "sk_test_local", "webhook_secrets": ["whsec_localstackonly000000000000"]}


def test_with_a_test_key_buyers_pay_at_stripe_itself_by_the_machines_own_proxy(deploy: Deploy, proxy: Proxy) -> None:
    deployed = deploy(STRIPE_API_KEY=KEY)
    assert deployed.secret["api_key"] == KEY
    for environment in deployed.environments:
        assert not environment.get("PAIDUP_STRIPE_API_BASE")
        assert {environment[name] for name in PROXIES} == {proxy.url}
    (refused,) = deployed.ask("create_payment_token", sample("create_payment_token"))
    assert refused["statusCode"] == 503, refused
    assert proxy.asked == {"api.stripe.com:443"}


def test_of_stripe_itself_no_webhook_is_believed_without_the_secret_that_it_gave(deploy: Deploy) -> None:
    once = deploy(STRIPE_API_KEY=KEY).secret["webhook_secrets"]
    deployed = deploy(STRIPE_API_KEY=KEY)
    assert deployed.secret["webhook_secrets"] != once, "a secret that is the same every time can be known"
    (refused,) = deployed.ask("receive_webhook", webhook("whsec_localstackonly000000000000"))
    assert refused["statusCode"] == 400, refused


def test_the_secret_that_stripe_gave_is_believed_and_the_stand_ins_no_more(deploy: Deploy) -> None:
    deployed = deploy(STRIPE_API_KEY=KEY, STRIPE_WEBHOOK_SECRET="whsec_thatstripeitselfhasshown00")
    believed, refused = deployed.ask(
        "receive_webhook", webhook("whsec_thatstripeitselfhasshown00"), webhook("whsec_localstackonly000000000000")
    )
    assert [believed["statusCode"], refused["statusCode"]] == [200, 400]


def test_a_secret_without_a_key_changes_nothing(deploy: Deploy) -> None:
    assert deploy(STRIPE_WEBHOOK_SECRET="whsec_thatstripeitselfhasshown00").secret["webhook_secrets"] == [
        "whsec_localstackonly000000000000"
    ]
