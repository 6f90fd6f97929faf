"""What `sam build` makes: every function runs from it under Lambda's own runtime, layers and all."""

import importlib.util
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.alone import in_a_thread
from tools import offers
from tools.local import ministack, template
from tools.local.cloud import Cloud
from tools.local.functions import Function, runtime_folder
from tools.local.template import ROOT
from tools.local.worker import Answer, Code
from tools.standins import serve

DESCRIBED = template.read()
LAMBDA_LIMIT = 250 * 1024 * 1024
UNCHECKED_HASH = 0b01


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template, built once; the layer of dependencies for this machine."""
    folder = tmp_path_factory.mktemp("built")
    environment = {
        **os.environ,
        "PATH": f"{ROOT / '.venv/bin'}{os.pathsep}{os.environ['PATH']}",
        "SAM_CLI_TELEMETRY": "0",
        "PAIDUP_LAYER_PLATFORM": "",
    }
    sam = ROOT / ".venv/sam/bin/sam"
    done = subprocess.run(  # noqa: S603 - our own template, built by our own tools
        [sam, "build", "--build-dir", folder / "build", "--cache-dir", folder / "cache"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "build"


@pytest.fixture(scope="module")
def answers(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Answer]]:
    """What each built function answers to its sample event, as the first event of a cold start."""
    folder = tmp_path_factory.mktemp("answers")
    with (
        ministack.running() as aws,
        serve(state=folder / "standins", clock_file=folder / "clock") as standins,
    ):
        settings = aws.account(
            StripeApiBase=f"{standins.url}/stripe",
            IdentityJwksUrl=f"{standins.url}/identity/.well-known/jwks.json",
        )
        offers.load(Cloud.of(settings).table(settings["PAIDUP_TABLE"]), offers.read())
        yield in_a_thread(_ask_all(built, folder, settings))


async def _ask_all(built: Path, folder: Path, settings: Mapping[str, str]) -> dict[str, Answer]:
    layers = tuple(built / layer / "python" for layer in ("DependenciesLayer", "PaidupLayer"))
    path = (*layers, runtime_folder(folder / "runtime"))
    found = {}
    for described in DESCRIBED.functions.values():
        code = Code.of(described, folder=built / described.logical_id, path=path, environment=settings)
        function = Function(code, log=folder / f"{described.name}.log", most=1)
        event = (ROOT / f"events/{described.name}.json").read_bytes()
        found[described.name] = await function.invoke(event, wait_s=30)
        await function.stop()
    return found


def told(answer: Answer) -> Any:
    said = json.loads(answer.payload)
    assert not answer.failed, said
    return said


def test_every_function_of_the_template_answers_its_sample_event(answers: Mapping[str, Answer]) -> None:
    assert set(answers) == set(DESCRIBED.functions)
    broken = {name: answer.error for name, answer in answers.items() if answer.failed and name != "authorize"}
    assert not broken


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("bookings", 200),
        ("create_payment_token", 201),
        ("manage_checkout", 404),
        ("manual_sync", 200),
        ("receive_webhook", 400),  # the sample was signed too long ago
        ("storefront", 200),
        ("subscription_status", 200),
    ],
)
def test_what_answers_http_does_so(answers: Mapping[str, Answer], name: str, status: int) -> None:
    assert told(answers[name])["statusCode"] == status


def test_the_authorizer_refuses_a_forged_token_as_api_gateway_expects(answers: Mapping[str, Answer]) -> None:
    assert answers["authorize"].failed
    assert json.loads(answers["authorize"].payload)["errorMessage"] == "Unauthorized"


def test_the_worker_says_which_messages_failed(answers: Mapping[str, Answer]) -> None:
    assert "batchItemFailures" in told(answers["process_webhook"])


def test_a_function_with_its_layers_fits_lambda(built: Path) -> None:
    def size(folder: Path) -> int:
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

    layers = size(built / "DependenciesLayer") + size(built / "PaidupLayer")
    largest = max(size(built / one.logical_id) for one in DESCRIBED.functions.values())
    assert layers + largest < LAMBDA_LIMIT / 2


def test_layers_carry_byte_code_that_python_trusts_unchecked(built: Path) -> None:
    for layer in ("DependenciesLayer", "PaidupLayer"):
        sources = list((built / layer).rglob("*.py"))
        assert sources
        for source in sources:
            cached = Path(importlib.util.cache_from_source(str(source)))
            assert int.from_bytes(cached.read_bytes()[4:8], "little") == UNCHECKED_HASH, source


def test_the_paidup_layer_holds_our_package_alone(built: Path) -> None:
    assert [path.name for path in (built / "PaidupLayer/python").iterdir()] == ["paidup"]
