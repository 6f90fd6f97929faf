"""The gate as docs/api.md shows it to other backends: each of its samples runs, as it stands there."""

import json
import subprocess
import sys
from typing import Any

import httpx
import pytest
from paidup.edge.gate import gate
from paidup.model.gate import AccessRequired

from tests import patient
from tests.alone import in_a_thread
from tests.documents import blocks
from tests.functions.billing import Issuer, issued
from tests.functions.clocks import Uptime
from tests.functions.test_billing_token import day, give
from tests.handlers import Context, sample
from tests.world import World
from tools.local.template import ROOT

SAMPLES = blocks(ROOT / "docs/api.md", "python")


def run(named: str, issuer: Issuer) -> Any:
    """Run the sample that has *named* in it, for paidup's API at *issuer*, and return its names."""
    (text,) = (one for one in SAMPLES if named in one)
    names: dict[str, Any] = {}
    exec(text.replace("https://api.shop.example", issuer.url), names)  # noqa: S102 - our own document
    return names


@pytest.fixture
def tokens(world: World, issuer: Issuer) -> dict[str, str]:
    """The billing tokens of a subscriber, and of somebody who has something else."""
    subscriber, other = world.customer(), world.customer()
    give(world, subscriber, day(1, until=None, offer_id="monthly"))
    give(world, other, day(2, until=None))
    return {"subscriber": issued(subscriber)["token"], "other": issued(other)["token"]}


def test_a_plain_function_lets_subscribers_in(issuer: Issuer, tokens: dict[str, str]) -> None:
    may_watch = run("def may_watch", issuer)["may_watch"]

    assert may_watch(f"Bearer {tokens['subscriber']}")
    assert not may_watch(f"Bearer {tokens['other']}")
    assert not may_watch(f"Bearer {tokens['subscriber'][:-4]}AAAA")
    assert not may_watch(None)


def lessons(issuer: Issuer, token: str | None) -> httpx.Response:
    """Ask the documented application for its lessons."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(run("FastAPI", issuer)["app"])
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with httpx.AsyncClient(transport=transport, base_url="http://shop", timeout=patient.WAIT_S) as client:
            return await client.get("/lessons", headers=headers)

    return in_a_thread(ask())


def test_a_dependency_of_fastapi_lets_subscribers_in(issuer: Issuer, tokens: dict[str, str]) -> None:
    assert lessons(issuer, tokens["subscriber"]).status_code == 200
    assert lessons(issuer, tokens["other"]).status_code == 403
    assert lessons(issuer, tokens["other"] + "x").status_code == 401
    assert lessons(issuer, None).headers["www-authenticate"] == "Bearer"


def test_a_dependency_of_fastapi_tells_an_outage(issuer: Issuer, tokens: dict[str, str]) -> None:
    issuer.away = True

    answer = lessons(issuer, tokens["subscriber"])

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


class TestAnAuthorizer:
    @pytest.fixture
    def verdict(self, issuer: Issuer, uptime: Uptime) -> Any:
        handler = run("import authorizer", issuer)["handler"]

        def ask(token: str | None) -> Any:
            event = sample("authorize")
            event["headers"] = {"Authorization": f"Bearer {token}"} if token else {}
            return handler(event, Context())

        return ask

    def test_lets_subscribers_in_and_says_who_they_are(self, tokens: dict[str, str], verdict: Any) -> None:
        found = verdict(tokens["subscriber"])

        assert found["isAuthorized"] is True
        assert found["context"]["customer_id"].startswith("customer-")
        assert found["context"]["billing_version"] == 1
        assert json.loads(found["context"]["access"]) == [{"offer_id": "monthly", "until": None}]

    def test_lets_nobody_else_in(self, tokens: dict[str, str], verdict: Any) -> None:
        assert verdict(tokens["other"]) == {"isAuthorized": False, "context": {"refused": "access-required"}}
        assert verdict(None) == {"isAuthorized": False, "context": {"refused": "invalid-billing-token"}}

    def test_hears_of_a_payment_that_the_token_does_not_know(
        self, world: World, buyer: str, issuer: Issuer, verdict: Any
    ) -> None:
        empty = issued(buyer)["token"]
        give(world, buyer, day(1, until=None, offer_id="yearly"))

        assert verdict(empty)["isAuthorized"] is True


def test_the_package_for_other_backends_loads_neither_aws_nor_paidup(issuer: Issuer) -> None:
    program = "import sys, paidup_gate; print(*sorted({name.partition('.')[0] for name in sys.modules}))"

    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    loaded = set(done.stdout.split())
    assert {"paidup_gate", "cryptography"} <= loaded
    assert not {"paidup", "botocore", "boto3", "pydantic", "stripe", "jwt", "aws_lambda_powertools"} & loaded


def test_in_the_mode_of_claims_the_token_decides_and_the_gate_looks_once_more_before_it_denies(
    world: World, buyer: str, issuer: Issuer, uptime: Uptime
) -> None:
    entrance = gate(mode="claims")
    empty = issued(buyer)["token"]
    give(world, buyer, day(1, until=None))
    token = issued(buyer)["token"]
    give(world, buyer)

    assert entrance.admit(f"Bearer {token}", "day_pass", now=world.now()).customer_id == buyer
    with pytest.raises(AccessRequired):
        entrance.admit(f"Bearer {empty}", now=world.now())

    give(world, buyer, day(2, until=None))
    uptime.now += 1
    (found,) = entrance.admit(f"Bearer {empty}", "day_pass", now=world.now()).access
    assert found.purchase_id == "co_2"


def test_in_the_mode_of_claims_no_table_is_needed(
    world: World, buyer: str, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(world, buyer, day(1, until=None))
    token = issued(buyer)["token"]
    monkeypatch.delenv("PAIDUP_TABLE")
    entrance = gate(mode="claims")

    assert entrance.admit(f"Bearer {token}", "day_pass", now=world.now()).customer_id == buyer
    with pytest.raises(AccessRequired):
        entrance.admit(f"Bearer {token}", "monthly", now=world.now())
