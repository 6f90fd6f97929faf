"""The command `paidup` against a local stack, and against what is deployed."""

import json
import os
import pty
import signal
import subprocess
import sysconfig
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from paidup.outside.stripe import webhook

from tests import patient
from tests.handlers import EVENTS
from tests.world import World
from tools import cli, offers
from tools.local.background import Background
from tools.offers import BadOffers

PAIDUP = Path(sysconfig.get_path("scripts")) / "paidup"
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


@pytest.fixture
def event(tmp_path: Path) -> Path:
    """An event of nothing but a word."""
    file = tmp_path / "event.json"
    file.write_text('{"a": "ä"}')
    return file


def that(tmp_path: Path, do: str) -> str:
    """Return a file with an event that has the function echo *do* something."""
    file = tmp_path / f"{do}.json"
    file.write_text(json.dumps({"do": do}))
    return str(file)


# ---------------------------------------------------------------- invoke


def test_a_function_is_invoked_with_a_file_and_its_answer_printed(
    echo: Background, event: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(echo, "invoke", "echo", str(event))

    assert code == 0
    assert json.loads(capsys.readouterr().out)["event"] == {"a": "ä"}


def test_several_functions_are_invoked_one_after_the_other(
    echo: Background, event: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(echo, "invoke", "echo", that(tmp_path, "cookies"), "echo", str(event))

    first, second = capsys.readouterr().out.split("\n\n", 1)
    assert code == 0
    assert first == "HTTP 201\ncontent-type: x/y"
    assert json.loads(second.removeprefix("AAH/\n"))["event"] == {"a": "ä"}


def test_scripts_get_an_http_answer_as_the_function_gave_it(
    echo: Background, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(echo, "invoke", "echo", that(tmp_path, "cookies"), "--json")

    assert code == 0
    assert json.loads(capsys.readouterr().out)["cookies"] == ["a=1", "b=2"]


def test_the_first_function_that_fails_ends_the_command_and_fails_it(
    echo: Background, event: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(echo, "invoke", "echo", that(tmp_path, "crash"), "echo", str(event))

    assert code == 1
    assert json.loads(capsys.readouterr().out)["errorType"] == "ValueError", "one answer alone"


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

    def test_leaves_alone_what_is_invoked_beside_a_webhook(
        self, echo: Background, event: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(echo, "invoke", "echo", str(event), "echo", str(WEBHOOK), "--sign") == 0

        first, _ = json.JSONDecoder().raw_decode(capsys.readouterr().out)
        assert first["event"] == {"a": "ä"}

    @pytest.mark.parametrize(
        "text",
        ["[]", "{}", '{"body": null}', '{"body": "{}"}', '{"body": "YQ==", "isBase64Encoded": true}'],
    )
    def test_refuses_what_is_no_webhook(
        self, echo: Background, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
    ) -> None:
        event = tmp_path / "event.json"
        event.write_text(text)

        assert run(echo, "invoke", "echo", str(event), "--sign") == 1

        said = "There is nothing to sign: a webhook has a body of text and a stripe-signature."
        assert capsys.readouterr().err == f"paidup: {said}\n"


# ---------------------------------------------------------------- exit codes


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


@pytest.mark.parametrize(
    "words",
    [
        ["offers", "list"],
        ["offers", "load"],
        ["attention"],
        ["support", "grant", "ada", "co_1"],
        ["invoke", "echo", str(WEBHOOK)],
    ],
)
def test_without_a_stack_every_command_says_how_to_start_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert cli.main(["--folder", str(tmp_path), *words]) == 1

    said = capsys.readouterr()
    assert said.err == f"paidup: No local stack runs on {tmp_path}: start it with `make run`.\n"
    assert said.out == ""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["sell"], "No such command 'sell'"),
        (["offers", "list", "--stak", "paidup"], "No such option: --stak"),
        (["support", "grant", "ada"], "Missing argument 'PURCHASE'"),
        (["invoke", "echo"], "Every FUNCTION needs an EVENT."),
        (["invoke", "echo", str(WEBHOOK), "--sign", "--stack", "paidup"], "--stack goes with neither"),
        (["invoke", "echo", str(WEBHOOK), "--in-process", "--stack", "paidup"], "--stack goes with neither"),
    ],
)
def test_wrong_usage_is_another_failure_and_shows_the_right_one(
    capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    assert cli.main(words) == 2

    said = capsys.readouterr().err
    assert said.startswith("Usage: paidup ")
    assert told in said


def test_ctrl_c_ends_a_command_with_one_line(echo: Background, tmp_path: Path) -> None:
    fifo = tmp_path / "event.json"
    os.mkfifo(fifo)
    command: list[str | Path] = [PAIDUP, "--folder", echo.folder, "invoke", "echo", fifo]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:  # noqa: S603 - our own command
        with fifo.open("w"):  # opened once the command reads its event
            running.send_signal(signal.SIGINT)
            assert running.wait() == 130

        assert running.stderr
        assert running.stderr.read() == "paidup: interrupted.\n"


@pytest.mark.parametrize("words", [[], ["offers"], ["support"]])
def test_a_command_that_is_named_by_half_shows_what_there_is(
    capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert cli.main(words) == 2

    said = capsys.readouterr()
    assert "Commands:" in said.out + said.err


# ---------------------------------------------------------------- for people, pipes and scripts


def test_in_a_pipe_a_row_is_a_line_without_decoration(echo: Background, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(echo, "offers", "list") == 0

    lines = capsys.readouterr().out.splitlines()
    assert "ten_class_pass\tpass\t12000\teur\t\tTen classes" in lines
    assert len(lines) == len(offers.read())


def test_scripts_get_all_that_there_is_to_a_row(echo: Background, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(echo, "offers", "list", "--json") == 0

    rows = {row["offer_id"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["ten_class_pass"]["valid_days"] == 180
    assert rows["ten_class_pass"]["amount"] == 12_000


def at_a_terminal(*command: str | Path) -> str:
    """Return what the process *command* shows at a terminal that is 120 wide."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "120", "TERM": "xterm-256color"}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment):  # noqa: S603 - ours
        os.close(theirs)
        shown = b""
        while read := _read(ours):
            shown += read
    os.close(ours)
    return shown.decode()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4_096)
    except OSError:  # nobody is at the other end any more
        return b""


def test_at_a_terminal_rows_are_a_table_with_titles(echo: Background) -> None:
    shown = at_a_terminal(PAIDUP, "--folder", echo.folder, "offers", "list")

    assert "\x1b[1mOffer" in shown
    assert "Ten classes" in shown


def test_at_a_terminal_people_see_what_a_command_waits_for(echo: Background, tmp_path: Path) -> None:
    shown = at_a_terminal(PAIDUP, "--folder", echo.folder, "invoke", "echo", that(tmp_path, "hang"))

    assert "Waiting for echo …" in shown
    assert "Task timed out after 3.00 seconds" in shown


# ---------------------------------------------------------------- offers


def test_offers_are_loaded_and_listed(echo: Background, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "offers.toml"
    file.write_text(OFFER)

    assert run(echo, "offers", "load", str(file)) == 0
    assert capsys.readouterr().out == "On sale: trial.\n"

    assert run(echo, "offers", "list") == 0
    listed = capsys.readouterr().out
    assert "A trial" in listed
    assert "Ten classes" in listed


def test_scripts_get_the_offers_that_were_loaded(
    echo: Background, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "offers.toml"
    file.write_text(OFFER)

    assert run(echo, "offers", "load", str(file), "--json") == 0

    assert [one["offer_id"] for one in json.loads(capsys.readouterr().out)] == ["trial"]


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


# ---------------------------------------------------------------- a deployed stack


class Lambda(BaseHTTPRequestHandler):
    """Lambda's API in front of a stack called `shop`: how its functions are configured, and what they answer."""

    def do_GET(self) -> None:
        settings = {name: value for name, value in os.environ.items() if name.startswith("PAIDUP_")}
        self._answer({"Environment": {"Variables": settings}})

    def do_POST(self) -> None:
        self._answer({"event": json.loads(self.rfile.read(int(self.headers["content-length"])))})

    def _answer(self, body: Any) -> None:
        there = "/functions/shop-" in self.path
        text = json.dumps(body if there else {"Message": f"Function not found: {self.path}"}).encode()
        self.send_response(200 if there else 404)
        self.send_header("content-length", str(len(text)))
        if not there:
            self.send_header("x-amzn-errortype", "ResourceNotFoundException")
        self.end_headers()
        self.wfile.write(text)

    def log_request(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def shop(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world that is deployed as `shop`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Lambda) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", f"http://127.0.0.1:{server.server_port}")
        yield world
        server.shutdown()


def test_a_deployed_function_is_invoked_by_the_name_of_its_stack(
    shop: World, event: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["invoke", "echo", str(event), "--stack", "shop"]) == 0
    assert json.loads(capsys.readouterr().out) == {"event": {"a": "ä"}}

    assert cli.main(["invoke", "echo", str(event), "--stack", "another"]) == 1
    assert "Function not found: /2015-03-31/functions/another-echo" in capsys.readouterr().err


def test_the_offers_of_a_deployed_stack_are_loaded_and_listed(
    shop: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "offers.toml"
    file.write_text(OFFER)

    assert cli.main(["offers", "load", str(file), "--stack", "shop"]) == 0

    assert "trial" in {one.offer_id for one in shop.services.table.offers()}
    capsys.readouterr()
    assert cli.main(["offers", "list", "--stack", "shop"]) == 0
    assert "trial\tpass\t500\teur\t\tA trial" in capsys.readouterr().out.splitlines()


def test_support_decides_about_a_payment_of_a_deployed_stack(shop: World, capsys: pytest.CaptureFixture[str]) -> None:
    buyer = shop.customer()
    bought = shop.buy(customer=buyer).json
    shop.pay(bought["url"])
    shop.hear_everything()

    code = cli.main(["support", "refund", buyer, bought["checkout_id"], "--stack", "shop", "--json"])

    decided = json.loads(capsys.readouterr().out)
    assert code == 0
    assert decided["before"] == {"status": "active", "paid": 12_000, "refunded": 0, "currency": "eur"}
    assert decided["after"]["status"] in ("refunding", "refunded")
    assert cli.main(["attention", "--stack", "shop"]) == 0
    assert capsys.readouterr().out == "Nothing waits for a person.\n"
