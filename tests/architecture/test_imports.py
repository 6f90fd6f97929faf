"""What each function may import, since a cold start pays for every module: held in a fresh interpreter, by name."""

import json
import os
import subprocess
import sys
from collections.abc import Collection
from typing import Any

import pytest

from tests import patient
from tests.handlers import addressed, sample
from tests.world import OFFERS, World
from tools.local import template

pytestmark = pytest.mark.ministack  # the interpreters share a table

# Nobody uses these; what they do for us is done by botocore's session, edge/routes, or a loop.
NEVER = {"boto3", "s3transfer", "aws_xray_sdk", "aws_lambda_powertools.utilities.batch"}
NEVER |= {f"aws_lambda_powertools.utilities.{name}" for name in ("idempotency", "parameters", "parser", "validation")}
PROVIDER = {"stripe", "requests", "charset_normalizer", "paidup.outside.stripe"}
TOKENS = {"jwt", "cryptography", "paidup.outside.identity"}
OTHER_TOKENS = {"jwt", "paidup.outside.identity", "cryptography.x509", "cryptography.hazmat.primitives.asymmetric.rsa"}
SERVICES = {"paidup.edge.services", "paidup.edge.views", "paidup.flows", "paidup.outside.secrets"}
RESOLVER = {"aws_lambda_powertools.event_handler", "aws_lambda_powertools.utilities.data_classes"}
VALIDATION = {"pydantic"} | RESOLVER
AWS = {"botocore.session", "urllib3"}

# What each function may not import to start. A provider is imported by the first call that is made to it.
FORBIDDEN = {
    "authorize": PROVIDER | VALIDATION | AWS,
    "bookings": PROVIDER | TOKENS,
    "client_metrics": PROVIDER | TOKENS | RESOLVER | AWS,
    "create_payment_token": PROVIDER | TOKENS | VALIDATION | {"paidup.edge.views.account"},
    "expire_sessions": PROVIDER | TOKENS | VALIDATION,
    "issue_billing_token": PROVIDER | OTHER_TOKENS | VALIDATION,
    "manage_checkout": PROVIDER | TOKENS,
    "manage_purchase": PROVIDER | TOKENS | RESOLVER,
    "manual_sync": PROVIDER | TOKENS | VALIDATION,
    "members": PROVIDER | OTHER_TOKENS | VALIDATION | SERVICES,
    "process_webhook": PROVIDER | TOKENS | VALIDATION,
    "push_billing_changes": PROVIDER | TOKENS | VALIDATION,
    "realtime": PROVIDER | VALIDATION,
    "receive_webhook": PROVIDER | TOKENS | VALIDATION,
    "reconcile_payments": PROVIDER | TOKENS | VALIDATION,
    "storefront": PROVIDER | TOKENS,
    "subscription_status": PROVIDER | TOKENS | VALIDATION,
    "support_desk": PROVIDER | TOKENS | RESOLVER,
}

# These are held to it when they have answered, too, in TestWhatAsksNoProvider.
ANSWERING = ("bookings", "subscription_status", "storefront", "expire_sessions", "issue_billing_token")

# Imports a function, lets it answer the events given, and prints its answers with the modules that are loaded then.
PROGRAM = """
import importlib, json, sys
from types import SimpleNamespace
name, *events = json.loads(sys.argv[1])
handler = importlib.import_module(f"functions.{name}.app").handler
context = SimpleNamespace(get_remaining_time_in_millis=lambda: 60_000)
answers = [handler(event, context) for event in events]
print("\\n" + json.dumps([answers, sorted(sys.modules)]))
"""


def run(name: str, *events: Any, **environment: str) -> tuple[list[Any], set[str]]:
    """Return what a new process of the function *name* answers to *events*, and the modules that it has imported."""
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", PROGRAM, json.dumps([name, *events])],
        cwd=template.ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers, modules = json.loads(done.stdout.splitlines()[-1])
    return answers, set(modules)


def not_allowed(modules: Collection[str], name: str) -> set[str]:
    return (FORBIDDEN[name] | NEVER) & set(modules)


def test_every_function_has_a_budget() -> None:
    assert set(FORBIDDEN) == set(template.read().functions)


@pytest.mark.parametrize("name", sorted(FORBIDDEN.keys() - set(ANSWERING)))
def test_a_function_imports_nothing_that_it_does_not_use(name: str) -> None:
    _, modules = run(name)

    assert f"functions.{name}.app" in modules
    assert not_allowed(modules, name) == set()


class TestWhatAsksNoProvider:
    """It answers without the provider's module, and with its secret gone."""

    @pytest.mark.parametrize("name", ANSWERING)
    def test_answers_its_sample(self, world: World, name: str) -> None:
        (answer,), modules = run(name, sample(name), PAIDUP_STRIPE_SECRET="gone")

        assert answer.get("statusCode", 200) == 200
        assert not_allowed(modules, name) == set()

    def test_answers_the_poll_of_a_known_purchase(self, world: World) -> None:
        token = world.buy().json
        world.pay(token["url"])
        world.hear_everything()
        poll = addressed(sample("subscription_status_checkout"), "GET", f"/subscription-status/{token['checkout_id']}")

        (answer,), modules = run("subscription_status", poll, PAIDUP_STRIPE_SECRET="gone")

        assert json.loads(answer["body"])["state"] == "active"
        assert not_allowed(modules, "subscription_status") == set()

    def test_lists_what_is_for_sale(self, world: World) -> None:
        (answer,), modules = run("storefront", addressed(sample("storefront"), "GET", "/offers"))

        assert len(json.loads(answer["body"])["offers"]) == len(OFFERS)
        assert not_allowed(modules, "storefront") == set()

    def test_lets_a_caller_in(self, world: World) -> None:
        who = {"sub": "ada", "roles": ["customer"]}
        token = patient.post(f"{world.fakes.issuer}/token", json=who).raise_for_status().json()["token"]
        asked = sample("authorize")
        asked["headers"]["authorization"] = f"Bearer {token}"

        (answer,), modules = run("authorize", asked, PAIDUP_STRIPE_SECRET="gone")

        assert answer["context"]["customer_id"] == "ada"
        assert not_allowed(modules, "authorize") == set()
