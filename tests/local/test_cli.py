"""The command `paidup` against a local stack."""

import json
from pathlib import Path

import pytest
from paidup.outside.stripe import webhook

from tests import patient
from tests.handlers import EVENTS
from tools import cli, offers
from tools.local.background import Background
from tools.offers import BadOffers

WEBHOOK = EVENTS / "receive_webhook.json"
OFFER = """
[[offers]]
offer_id = "trial"
name = "A trial"
kind = "pass"
amount = 500
currency = "eur"
"""


def run(stack: Background, *arguments: str) -> int:
    return cli.main(["--folder", str(stack.folder), *arguments])


def test_a_function_is_invoked_with_a_file_and_its_answer_printed(
    echo: Background, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    event = tmp_path / "event.json"
    event.write_text('{"a": "ä"}')
    assert run(echo, "invoke", "echo", str(event)) == 0
    assert json.loads(capsys.readouterr().out)["event"] == {"a": "ä"}


def test_a_function_that_fails_fails_the_command(
    echo: Background, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    event = tmp_path / "event.json"
    event.write_text('{"do": "crash"}')
    assert run(echo, "invoke", "echo", str(event)) == 1
    assert json.loads(capsys.readouterr().out)["errorType"] == "ValueError"


class TestSigning:
    def test_signs_a_webhook_anew_as_the_stacks_stripe_does_now(
        self, echo: Background, capsys: pytest.CaptureFixture[str]
    ) -> None:
        patient.post(f"{echo.fakes_url}/dev/clock", json={"advance_s": 3_600}).raise_for_status()
        now = patient.get(f"{echo.fakes_url}/dev/clock").json()["now"]
        assert run(echo, "invoke", "echo", str(WEBHOOK), "--sign") == 0
        sent, received = json.loads(WEBHOOK.read_text()), json.loads(capsys.readouterr().out)["event"]
        signature = received["headers"]["stripe-signature"]
        webhook.verify(received["body"].encode(), signature, ["whsec_localstackonly000000000000"], now=now)
        received["headers"]["stripe-signature"] = sent["headers"]["stripe-signature"]
        assert received == sent

    def test_leaves_a_webhook_as_it_was_unless_asked(
        self, echo: Background, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(echo, "invoke", "echo", str(WEBHOOK)) == 0
        assert json.loads(capsys.readouterr().out)["event"] == json.loads(WEBHOOK.read_text())

    @pytest.mark.parametrize("text", ["[]", "{}", '{"body": null}', '{"body": "YQ==", "isBase64Encoded": true}'])
    def test_refuses_what_is_no_webhook(
        self, echo: Background, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
    ) -> None:
        event = tmp_path / "event.json"
        event.write_text(text)
        assert run(echo, "invoke", "echo", str(event), "--sign") == 1
        assert capsys.readouterr().err == f"paidup: {event} is no webhook that can be signed: it has no body of text.\n"

    def test_is_for_the_local_stack_alone(self, echo: Background, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            run(echo, "invoke", "echo", str(WEBHOOK), "--sign", "--stack", "paidup")
        assert "not allowed with argument" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("function", "text", "told"),
    [
        ("nobody", "{}", "Function not found: nobody. There are authorize, echo, tick, work."),
        ("echo", "{", "is not JSON"),
        ("echo", None, "cannot be read"),
    ],
)
def test_what_cannot_be_invoked_is_said_in_one_sentence(
    echo: Background, tmp_path: Path, capsys: pytest.CaptureFixture[str], function: str, text: str | None, told: str
) -> None:
    event = tmp_path / "event.json"
    if text is not None:
        event.write_text(text)
    assert run(echo, "invoke", function, str(event)) == 1
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1


def test_without_a_stack_the_command_says_how_to_start_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--folder", str(tmp_path), "offers", "list"]) == 1
    assert "start it with `make run`" in capsys.readouterr().err


def test_offers_are_loaded_and_listed(echo: Background, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "offers.toml"
    file.write_text(OFFER)
    assert run(echo, "offers", "load", str(file)) == 0
    assert run(echo, "offers", "list") == 0
    listed = capsys.readouterr().out
    assert "A trial" in listed
    assert "Ten classes" in listed


def test_every_kind_is_on_sale_from_the_start() -> None:
    assert {offer.kind for offer in offers.read()} == {"pass", "subscription", "live_session"}
    assert {offer.interval for offer in offers.read() if offer.interval} == {"month", "year"}


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("500", "-500", "amount"),
        ('"pass"', '"pas"', "kind"),
        ('"eur"', '"EUR"', "currency"),
        ("amount", "price", "amount"),
        ('name = "A trial"', 'name = "A trial"\ncolour = "red"', "colour"),
        ("[[offers]]", "[[offer]]", "offers"),
        ("=", "", "is no list of"),
    ],
)
def test_offers_that_cannot_be_sold_are_refused_by_name(tmp_path: Path, before: str, after: str, told: str) -> None:
    file = tmp_path / "offers.toml"
    file.write_text(OFFER.replace(before, after))
    with pytest.raises(BadOffers, match=told):
        offers.read(file)
