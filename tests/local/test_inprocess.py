"""Functions in one process: `paidup invoke --in-process`, run as an engineer runs it, with nothing else running."""

import json
import os
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.handlers import EVENTS
from tools import offers
from tools.local import template

TRIES = 10
PAIDUP = Path(sysconfig.get_path("scripts")) / "paidup"


def invoke(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `paidup invoke --in-process` with *words*, and more variables in its *environment*.

    On a machine that does much else a function may not answer within its own limit. It then says 503, and to try again.
    """
    command = [PAIDUP, "invoke", "--in-process", *words]
    for _ in range(TRIES):
        done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)  # noqa: S603 - ours
        if not (done.stdout.startswith("HTTP 503") or '"statusCode": 503' in done.stdout):
            break
    return done


def answers(text: str) -> list[Any]:
    """Return the answers in *text*: one, or the list of several."""
    found = json.loads(text)
    return found if isinstance(found, list) else [found]


def body(answer: Any) -> Any:
    """Return the body of an HTTP answer, with the status in it."""
    found = json.loads(answer["body"])
    assert found.setdefault("status", answer["statusCode"])
    return found


def is_a_page_to_pay_on(answer: Any) -> bool:
    told, price = body(answer), {one.offer_id: one.amount for one in offers.read()}
    return told["amount"] == price["ten_class_pass"] and "/stripe/pay/cs_test_" in told["url"]


SHOWS: dict[str, Callable[[Any], bool]] = {
    "authorize": lambda answer: answer["context"]["refused"] == "invalid-token",
    "bookings": lambda answer: body(answer)["bookings"] == [],
    "client_metrics": lambda answer: (answer["statusCode"], answer["body"]) == (204, ""),
    "create_payment_token": is_a_page_to_pay_on,
    "expire_sessions": lambda answer: (answer["ended"], answer["failed"]) == (0, 0),
    "issue_billing_token": lambda answer: (body(answer)["access"], body(answer)["token"].count(".")) == ([], 2),
    "issue_billing_token_keys": lambda answer: [one["alg"] for one in body(answer)["keys"]] == ["EdDSA"],
    "manage_checkout": lambda answer: body(answer)["type"] == "urn:paidup:problem:not-found",
    "manage_purchase": lambda answer: body(answer)["type"] == "urn:paidup:problem:not-found",
    "manage_purchase_cancel": lambda answer: body(answer)["type"] == "urn:paidup:problem:not-found",
    "manage_purchase_portal": lambda answer: body(answer)["type"] == "urn:paidup:problem:nothing-to-manage",
    "manage_purchase_use": lambda answer: body(answer)["type"] == "urn:paidup:problem:not-found",
    "manual_sync": lambda answer: body(answer)["scanned"] == 0,
    "members": lambda answer: body(answer)["type"] == "urn:paidup:problem:invalid-billing-token",
    "process_webhook": lambda answer: answer == {"batchItemFailures": []},
    "push_billing_changes": lambda answer: answer == {"batchItemFailures": []},
    "realtime": lambda answer: body(answer)["type"] == "urn:paidup:problem:invalid-token",
    "realtime_disconnect": lambda answer: answer == {"statusCode": 200},
    "realtime_message": lambda answer: answer == {"statusCode": 200},
    "realtime_ticket": lambda answer: body(answer)["status"] == 201,
    "receive_webhook": lambda answer: body(answer)["received"] == "settled",
    "reconcile_payments": lambda answer: (answer["queued"], answer["unfinished"]) == (0, False),
    "storefront": lambda answer: "<title>Shop" in answer["body"],
    "support_desk": lambda answer: body(answer)["customers"] == [],
    "subscription_status": lambda answer: body(answer)["customer_id"] == "ada",
    "subscription_status_checkout": lambda answer: body(answer)["type"] == "urn:paidup:problem:not-found",
}


# These leave something that others would find, or would find it. All others share a process, which takes a second.
ALONE = ["create_payment_token", "process_webhook", "receive_webhook", "support_desk"]
TOGETHER = sorted({file.stem for file in EVENTS.iterdir()} - set(ALONE))


@pytest.mark.parametrize("names", [TOGETHER, *([name] for name in ALONE)], ids=lambda names: names[0])
def test_every_sample_event_is_answered_from_nothing(names: list[str]) -> None:
    functions = [max((one for one in template.read().functions if name.startswith(one)), key=len) for name in names]
    events = [EVENTS / f"{name}.json" for name in names]
    calls = [word for call in zip(functions, events, strict=True) for word in call]
    sign = ["--sign"] if "receive_webhook" in names else []

    done = invoke(*calls, "--json", *sign)

    found = dict(zip(names, answers(done.stdout), strict=True))
    assert {name: answer for name, answer in found.items() if not SHOWS[name](answer)} == {}
    assert done.returncode == 0


def test_functions_that_are_invoked_together_work_on_the_same_data() -> None:
    webhook = ("receive_webhook", EVENTS / "receive_webhook.json")
    polls = ("subscription_status", EVENTS / "subscription_status_checkout.json")

    done = invoke(*polls, *webhook, *polls, "--sign", "--json")

    before, received, after = (body(answer) for answer in answers(done.stdout))
    assert (before["status"], received["received"], after["state"]) == (404, "settled", "active")


def test_the_log_is_on_standard_error_and_the_answer_alone_on_standard_output() -> None:
    done = invoke("create_payment_token", EVENTS / "create_payment_token.json")

    head, _, told = done.stdout.partition("\n\n")
    assert head.startswith("HTTP 201\n")
    assert json.loads(told)["offer_id"] == "ten_class_pass"
    said = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["message"] for line in said if "_aws" not in line] == ["checkout.reserved", "checkout.opened"]


def test_a_handler_that_raises_fails_the_command_and_shows_where(tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    event.write_text("{}")

    done = invoke("process_webhook", event)

    assert done.returncode == 1
    assert json.loads(done.stdout)["errorType"] == "KeyError"
    assert "functions/process_webhook/app.py" in done.stderr


def test_a_function_that_is_not_there_is_named_in_one_sentence() -> None:
    done = invoke("nobody", EVENTS / "bookings.json")

    assert done.returncode == 1
    there = ", ".join(sorted(template.read().functions))
    assert done.stderr == f"paidup: Function not found: nobody. There are {there}.\n"


def test_nothing_of_the_engineers_own_aws_reaches_a_function(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("[profile work]\nendpoint_url = http://127.0.0.1:9\n")
    own = {"AWS_PROFILE": "work", "AWS_CONFIG_FILE": str(config), "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}

    done = invoke("bookings", EVENTS / "bookings.json", **own, PAIDUP_TABLE="production", PAIDUP_GRACE_S="none")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("HTTP 200\n")
