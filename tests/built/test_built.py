"""What `sam build` makes: every function runs from it under Lambda's own runtime, with its layers unpacked at /opt.

Where this machine lets nobody mount a folder (a container without the right to), they stay where they were unpacked,
and the test that looks for them at /opt is skipped (it fails with PAIDUP_SKIP_NOTHING=1).
"""

import importlib.util
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from paidup.model.fact import Channel

from tests import patient
from tests.alone import in_a_thread
from tests.handlers import sample
from tests.skipping import skip
from tests.world import WEBHOOK_SECRET
from tools import offers
from tools.fakes.server import Fakes, serve
from tools.local import ministack, template
from tools.local.cloud import Cloud
from tools.local.functions import Function, runtime_folder
from tools.local.template import ROOT
from tools.local.worker import Answer, Code
from tools.signing import signed

DESCRIBED = template.read()
LAYERS = ("DependenciesLayer", "PaidupLayer")
# Starts a command ("$@") that sees what a folder ("$0") holds in /opt, above what is there already; nobody else does.
MOUNT = 'mount -t overlay overlay -o lowerdir="$0":/opt /opt && exec "$@"'
OWN_MOUNTS = ("unshare", "--mount", *(() if os.geteuid() == 0 else ("--map-root-user",)), "sh", "-c", MOUNT)
LAMBDA_LIMIT = 250 * 1024 * 1024
UNCHECKED_HASH = 0b01
# A purchase is made with these first: the others' events are about it.
IN_ORDER = ("create_payment_token", "receive_webhook")


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


@dataclass(frozen=True, slots=True)
class Layers:
    """Where a function finds its layers, and the command that starts it so that it does."""

    folder: Path
    within: tuple[str, ...]

    def code(self, function: template.Function, folder: Path, environment: Mapping[str, str], runtime: Path) -> Code:
        """Return *function*, whose code is in *folder*, with the layers and awslambdaric behind it."""
        path = (self.folder / "python", runtime)
        return Code.of(function, folder=folder, path=path, environment=environment, within=self.within)


@pytest.fixture(scope="module")
def layers(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Layers:
    """The layers in one folder, in the template's order, as Lambda unpacks them; at /opt if that can be."""
    unpacked = tmp_path_factory.mktemp("opt")
    for layer in LAYERS:
        shutil.copytree(built / layer, unpacked, dirs_exist_ok=True)
    at_opt = (*OWN_MOUNTS, str(unpacked))
    mounted = subprocess.run([*at_opt, "true"], capture_output=True, check=False)  # noqa: S603 - our own command
    return Layers(unpacked, ()) if mounted.returncode else Layers(Path("/opt"), at_opt)


@dataclass(frozen=True, slots=True)
class Answers:
    """What a built function answers: to its sample event, as the first of a cold start, and to others after it."""

    first: Answer
    others: list[Answer]


@dataclass(frozen=True, slots=True)
class Told:
    """What each built function answers, and the account that they all worked in."""

    by: Mapping[str, Answers]
    cloud: Cloud
    settings: Mapping[str, str]


type Further = Mapping[str, Callable[[Mapping[str, Answers]], list[Any]]]


@pytest.fixture(scope="module")
def all_told(built: Path, layers: Layers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """What comes of asking every built function."""
    folder = tmp_path_factory.mktemp("answers")
    with (
        ministack.running() as aws,
        serve(state=folder / "fakes", clock_file=folder / "clock") as fakes,
    ):
        settings = aws.account(
            StripeApiBase=f"{fakes.url}/stripe",
            IdentityIssuer=fakes.issuer,
            IdentityJwksUrl=f"{fakes.issuer}/.well-known/jwks.json",
        )
        offers.load(Cloud.of(settings).table(settings["PAIDUP_TABLE"]), offers.read())
        further: Further = {
            "authorize": lambda _: _callers(fakes),
            "process_webhook": lambda _: [_batch_with_a_broken_message()],
            "receive_webhook": lambda found: _webhooks(fakes, said(found["create_payment_token"].first)),
            "manage_checkout": lambda found: [_look_at(said(found["create_payment_token"].first))],
        }
        found = in_a_thread(_ask_all(built, layers, folder, settings, further))
        yield Told(found, Cloud.of(settings), settings)


@pytest.fixture(scope="module")
def answers(all_told: Told) -> Mapping[str, Answers]:
    """What each built function answers."""
    return all_told.by


async def _ask_all(
    built: Path, layers: Layers, folder: Path, settings: Mapping[str, str], further: Further
) -> dict[str, Answers]:
    runtime = runtime_folder(folder / "runtime")
    found: dict[str, Answers] = {}
    for name in dict.fromkeys((*IN_ORDER, *DESCRIBED.functions)):
        described = DESCRIBED.functions[name]
        code = layers.code(described, built / described.logical_id, settings, runtime)
        others = further[name](found) if name in further else []
        first, *rest = await _ask(code, folder / f"{name}.log", [sample(name), *others])
        found[name] = Answers(first, rest)
    return found


async def _ask(code: Code, log: Path, events: list[Any]) -> list[Answer]:
    """Return what a cold start of *code* answers to *events*, one after the other."""
    function = Function(code, log=log, most=1)
    try:
        return [await function.invoke(json.dumps(event).encode(), wait_s=30) for event in events]
    finally:
        await function.stop()


def _callers(fakes: Fakes) -> list[Any]:
    """Return events for the authorizer: a good token of every algorithm, then one that says more than was signed."""

    def token(subject: str, alg: str) -> str:
        answer = patient.post(f"{fakes.issuer}/token", json={"sub": subject, "roles": ["customer"], "alg": alg})
        return str(answer.raise_for_status().json()["token"])

    header, _, signature = token("ada", "ES256").split(".")
    _, eves, _ = token("eve", "ES256").split(".")
    tokens = [*(token("ada", alg) for alg in ("RS256", "ES256", "EdDSA")), f"{header}.{eves}.{signature}"]
    plain = sample("authorize")
    return [{**plain, "headers": {**plain["headers"], "authorization": f"Bearer {one}"}} for one in tokens]


def _batch_with_a_broken_message() -> Any:
    batch = sample("process_webhook")
    batch["Records"].append({**batch["Records"][0], "messageId": "broken", "body": "{"})
    return batch


def _webhooks(fakes: Fakes, checkout: Mapping[str, Any]) -> list[Any]:
    """Pay *checkout*, and return the webhook that says so and one that may wait, both signed now."""
    assert patient.post(checkout["url"], data={"card": "4242424242424242"}).has_redirect_location
    asked = {"type": "checkout.session.completed"}
    listed = patient.get(f"{fakes.url}/stripe/v1/events", params=asked, auth=("sk_test_local", ""))
    (paid,) = listed.raise_for_status().json()["data"]
    ended = {**paid, "id": "evt_later", "type": "checkout.session.expired"}
    plain, at = sample("receive_webhook"), int(time.time())
    return [signed({**plain, "body": json.dumps(one)}, WEBHOOK_SECRET, at=at) for one in (paid, ended)]


def _look_at(checkout: Mapping[str, Any]) -> Any:
    path = f"/checkouts/{checkout['checkout_id']}"
    event = sample("manage_checkout")
    event["rawPath"] = event["requestContext"]["http"]["path"] = path
    return event


def said(answer: Answer) -> Any:
    """Return what an HTTP function says in the body of its answer."""
    return json.loads(told(answer)["body"])


def told(answer: Answer) -> Any:
    found = json.loads(answer.payload)
    assert not answer.failed, found
    return found


def refused(answer: Answer) -> bool:
    """Say whether an authorizer answers so that the function behind it answers 401."""
    found = told(answer)
    return bool(found["isAuthorized"]) and set(found["context"]) == {"refused", "why"}


def test_every_function_of_the_template_answers_its_sample_event(answers: Mapping[str, Answers]) -> None:
    assert set(answers) == set(DESCRIBED.functions)
    broken = {name: one.first.error for name, one in answers.items() if one.first.failed}
    assert not broken


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("bookings", 200),
        ("create_payment_token", 201),
        ("manage_checkout", 404),
        ("manage_purchase", 404),
        ("manual_sync", 200),
        ("realtime", 401),
        ("receive_webhook", 400),  # the sample was signed too long ago
        ("storefront", 200),
        ("subscription_status", 200),
    ],
)
def test_what_answers_http_does_so(answers: Mapping[str, Answers], name: str, status: int) -> None:
    assert told(answers[name].first)["statusCode"] == status


def test_the_authorizer_passes_on_that_it_refused_a_forged_token(answers: Mapping[str, Answers]) -> None:
    assert refused(answers["authorize"].first)


def test_the_authorizer_lets_in_whom_a_served_key_vouches_for_and_nobody_who_changed_what_it_signed(
    answers: Mapping[str, Answers],
) -> None:
    *good, changed = answers["authorize"].others
    context = {"customer_id": "ada", "email": "", "roles": ["customer"]}
    for one in good:
        assert told(one)["isAuthorized"]
        assert context.items() <= told(one)["context"].items()
    assert refused(changed)


def test_what_was_paid_is_there_once_its_webhook_is_answered_and_another_webhook_waits_in_the_queue(
    all_told: Told,
) -> None:
    bought = said(all_told.by["create_payment_token"].first)
    paid, ended = all_told.by["receive_webhook"].others
    assert (told(paid)["statusCode"], said(paid)) == (200, {"received": "settled"})
    assert (told(ended)["statusCode"], said(ended)) == (200, {"received": "queued"})

    table = all_told.cloud.table(all_told.settings["PAIDUP_TABLE"])
    assert table.purchase("ada", bought["checkout_id"])
    assert {one.channel for one in table.timeline("ada")} == {Channel.WEBHOOK}
    queue = all_told.settings["PAIDUP_WEBHOOK_QUEUE_URL"]
    (waiting,) = all_told.cloud.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    assert json.loads(waiting["Body"])["id"] == "evt_later"


def test_a_checkout_is_shown_to_its_buyer(answers: Mapping[str, Answers]) -> None:
    bought = said(answers["create_payment_token"].first)
    (seen,) = answers["manage_checkout"].others
    assert told(seen)["statusCode"] == 200
    shown = said(seen)
    assert (shown["checkout_id"], shown["status"], shown["next"]) == (bought["checkout_id"], "completed", "done")


def test_the_worker_says_which_messages_failed(answers: Mapping[str, Answers]) -> None:
    settled, (mixed,) = answers["process_webhook"].first, answers["process_webhook"].others
    assert told(settled) == {"batchItemFailures": []}
    assert told(mixed) == {"batchItemFailures": [{"itemIdentifier": "broken"}]}


def test_functions_find_their_layers_at_opt(layers: Layers, tmp_path: Path) -> None:
    if not layers.within:
        skip("nobody may mount a folder at /opt: be root, in a container with CAP_SYS_ADMIN")
    told_where = (
        "import paidup, stripe\n\ndef handler(event, context):\n    return [paidup.__file__, stripe.__file__]\n"
    )
    (tmp_path / "app.py").write_text(told_where)
    any_of_them = DESCRIBED.functions["storefront"]
    code = layers.code(any_of_them, tmp_path, {}, runtime_folder(tmp_path / "runtime"))
    (answer,) = in_a_thread(_ask(code, tmp_path / "log", [{}]))
    assert told(answer) == ["/opt/python/paidup/__init__.py", "/opt/python/stripe/__init__.py"]


def test_layers_know_the_services_that_are_called_and_no_other(layers: Layers, tmp_path: Path) -> None:
    asks = """
from importlib.util import find_spec
from botocore.exceptions import UnknownServiceError
from botocore.session import get_session

def handler(event, context):
    session = get_session()
    try:
        session.create_client("s3")
    except UnknownServiceError:
        return [session.get_available_services(), find_spec("boto3")]
"""
    (tmp_path / "app.py").write_text(asks)
    code = layers.code(DESCRIBED.functions["storefront"], tmp_path, {}, runtime_folder(tmp_path / "runtime"))

    (answer,) = in_a_thread(_ask(code, tmp_path / "log", [{}]))

    assert told(answer) == [["apigatewaymanagementapi", "dynamodb", "secretsmanager", "sqs"], None]


def test_a_function_with_its_layers_fits_lambda(built: Path) -> None:
    def size(folder: Path) -> int:
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

    layers = sum(size(built / layer) for layer in LAYERS)
    largest = max(size(built / one.logical_id) for one in DESCRIBED.functions.values())
    assert layers + largest < LAMBDA_LIMIT / 2


def test_layers_carry_byte_code_that_python_trusts_unchecked(built: Path) -> None:
    for layer in LAYERS:
        sources = list((built / layer).rglob("*.py"))
        assert sources
        for source in sources:
            cached = Path(importlib.util.cache_from_source(str(source)))
            assert int.from_bytes(cached.read_bytes()[4:8], "little") == UNCHECKED_HASH, source


def test_the_paidup_layer_holds_our_packages_alone(built: Path) -> None:
    assert {path.name for path in (built / "PaidupLayer/python").iterdir()} == {"paidup", "paidup_gate"}
