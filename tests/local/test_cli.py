"""The command `paidup` against a local stack, and against what is deployed."""

import json
import os
import pty
import re
import signal
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from paidup.outside.stripe import webhook

from tests import patient
from tests.handlers import EVENTS
from tests.world import World
from tools import cli, offers, signing_keys
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
        ("nobody", "{}", "Function not found: nobody. There are authorize, chat, echo, follow, hasty, tick, work."),
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
        ["verify"],
        ["support", "grant", "ada", "co_1", "--reason", "asked"],
        ["support", "move", "ada", "eve", "--reason", "twice"],
        ["keys", "list"],
        ["keys", "rotate"],
        ["doctor"],
        ["report"],
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
        (["support", "move", "ada", "eve"], "Missing option '--reason'"),
        (["support", "refund", "ada", "co_1"], "Missing option '--reason'"),
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


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_ends_a_command_with_one_line(echo: Background, tmp_path: Path) -> None:
    """A signal just before a read interrupts no read: the command hears of it once its event has an end."""
    fifo = tmp_path / "event.json"
    os.mkfifo(fifo)
    command: list[str | Path] = [PAIDUP, "--folder", echo.folder, "invoke", "echo", fifo]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:  # noqa: S603 - our own command
        with fifo.open("w"):  # opened once the command reads its event
            running.send_signal(signal.SIGINT)

        assert running.wait() == 130
        assert running.stderr
        assert running.stderr.read() == "paidup: interrupted.\n"


@pytest.mark.parametrize("words", [[], ["offers"], ["support"], ["keys"]])
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
    assert "ten_class_pass\tpass\t120 EUR\t\tTen classes" in lines
    assert len(lines) == len(offers.read())


def test_scripts_get_all_that_there_is_to_a_row(echo: Background, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(echo, "offers", "list", "--json") == 0

    rows = {row["offer_id"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["ten_class_pass"]["valid_days"] == 180
    assert rows["ten_class_pass"]["amount"] == 12_000


def at_a_terminal(*command: str | Path, watch: Callable[[str], None] = lambda _: None) -> str:
    """Return what the process *command* shows at a terminal that is 120 wide; *watch* is told what it showed so far."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "120", "TERM": "xterm-256color"}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment):  # noqa: S603 - ours
        os.close(theirs)
        shown = b""
        while read := _read(ours):
            shown += read
            watch(shown.decode(errors="ignore"))
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
    until, event = tmp_path / "until", tmp_path / "event.json"
    event.write_text(json.dumps({"do": "hold", "headers": {"until": str(until)}}))

    def let_go(shown: str) -> None:
        if "Waiting for echo …" in shown:
            until.touch()

    shown = at_a_terminal(PAIDUP, "--folder", echo.folder, "invoke", "echo", event, watch=let_go)

    assert until.exists()
    assert '"left_ms"' in re.sub("\x1b[^m]*m", "", shown)


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
        ("amount", "price", "price"),
        ("500", "49", "offer trial: amount: must be 0 or at least 0.50 EUR"),
        ('"A trial"', f'"{"x" * 251}"', "offer trial: name: must be 1 to 250"),
        ("amount = 500", "amount = 500\ncatalog_amount = 500", "catalog_amount: is no field"),
        ('"eur"\n', f'"eur"\n{OFFER}', "offer trial: offer_id: is there twice"),
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


def test_every_fault_of_a_file_is_listed_with_its_offer_and_field(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "offers.toml"
    file.write_text(OFFER + OFFER.replace("trial", "cheap").replace("500", "1") + OFFER.replace('"trial"', '""'))

    assert cli.main(["offers", "check", str(file)]) == 1

    assert capsys.readouterr().out.splitlines() == [
        "cheap\tamount\tmust be 0 or at least 0.50 EUR, not 0.01 EUR",
        "\toffer_id\tmust be 1 to 100 characters long",
    ]


def test_a_file_that_can_be_put_on_sale_is_said_to_be_fine(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["offers", "check"]) == 0

    assert capsys.readouterr().out == "4 offers can be put on sale.\n"


# ---------------------------------------------------------------- a deployed stack


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
    assert "trial\tpass\t5 EUR\t\tA trial" in capsys.readouterr().out.splitlines()


MONTHLY = """
[[offers]]
offer_id = "{}"
name = "Monthly"
kind = "subscription"
interval = "month"
currency = "{}"
price = "{}"
"""


def a_price(shop: World, interval: str = "month", amount: int = 150_000) -> str:
    product = shop.stripe.v1.products.create({"name": "Monthly"}).id
    asked: Any = {"product": product, "currency": "huf", "unit_amount": amount, "recurring": {"interval": interval}}
    return shop.stripe.v1.prices.create(asked).id


def test_offers_are_held_against_the_stripe_account(
    shop: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archived, yearly, fine = a_price(shop), a_price(shop, "year"), a_price(shop)
    shop.stripe.v1.prices.update(archived, {"active": False})
    file = tmp_path / "offers.toml"
    written = [
        ("fine", "huf", fine),
        ("archived", "huf", archived),
        ("yearly", "eur", yearly),
        ("lost", "huf", "price_0"),
    ]
    file.write_text(OFFER.replace("eur", "rub") + "".join(MONTHLY.format(*one) for one in written))
    capsys.readouterr()  # what the functions measured until now

    code = cli.main(["offers", "check", str(file), "--stripe", "--stack", "shop", "--json"])

    rows = json.loads(capsys.readouterr().out)
    assert code == 1
    assert [(row["offer_id"], row["price"], row["field"]) for row in rows] == [
        ("trial", "5 RUB", "currency"),
        ("fine", "1,500 HUF", ""),
        ("archived", "", "price"),
        ("yearly", "1,500 HUF", "currency"),
        ("yearly", "1,500 HUF", "interval"),
        ("lost", "", "price"),
    ]
    assert [row["difference"] for row in rows][:2] == ["rub cannot be charged by this account", ""]


def test_a_file_that_fits_the_stripe_account_passes(
    shop: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "offers.toml"
    file.write_text(OFFER + MONTHLY.format("fine", "huf", a_price(shop)))
    capsys.readouterr()  # what the functions measured until now

    assert cli.main(["offers", "check", str(file), "--stripe", "--stack", "shop"]) == 0

    assert capsys.readouterr().out.splitlines() == ["trial\t5 EUR\t\t", "fine\t1,500 HUF\t\t"]


def test_what_a_price_of_the_catalogue_comes_to_is_listed_once_it_is_loaded(
    shop: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "offers.toml"
    file.write_text(MONTHLY.format("listed", "huf", a_price(shop)))

    assert cli.main(["offers", "load", str(file), "--stack", "shop"]) == 0

    (found,) = [one for one in shop.services.table.offers() if one.offer_id == "listed"]
    assert (found.amount, found.catalog_amount) == (None, 150_000)


# ---------------------------------------------------------------- signing keys


class TestKeys:
    @pytest.fixture
    def no_keys_yet(self, shop: World, monkeypatch: pytest.MonkeyPatch) -> str:
        """The name of a secret that nobody has made yet."""
        monkeypatch.setenv("PAIDUP_SIGNING_KEYS_SECRET", name := f"{shop.customer()}/signing-keys")
        return name

    def keys(self, capsys: pytest.CaptureFixture[str], *words: str) -> list[tuple[str, str]]:
        """Run `paidup keys` with *words*, and return each key and how it stands."""
        assert cli.main(["keys", *words, "--stack", "shop", "--json"]) == 0
        return [(one["kid"], one["state"]) for one in json.loads(capsys.readouterr().out)]

    def test_are_made_by_the_first_rotation_and_sign_at_once(
        self, no_keys_yet: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.keys(capsys, "list") == []

        ((kid, state),) = self.keys(capsys, "rotate")

        assert state == "signing"
        assert self.keys(capsys, "list") == [(kid, "signing")]

    def test_are_rotated_by_one_call_and_the_clock(
        self, shop: World, no_keys_yet: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        ((old, _),) = self.keys(capsys, "rotate")

        (new, _), _ = begun = self.keys(capsys, "rotate")
        assert begun == [(new, "published"), (old, "signing")]
        assert self.keys(capsys, "rotate") == begun

        shop.pass_time(signing_keys.PUBLISHED_FIRST_S)
        assert self.keys(capsys, "rotate") == [(new, "signing"), (old, "retiring")]

        shop.pass_time(signing_keys.KEPT_AFTER_S)
        assert self.keys(capsys, "list") == [(new, "signing"), (old, "withdrawn")]
        (newest, _), *others = self.keys(capsys, "rotate")
        assert others == [(new, "signing")]
        assert newest not in (new, old)

    def test_are_replaced_at_once_if_they_are_no_secret_any_more(
        self, no_keys_yet: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        ((old, _),) = self.keys(capsys, "rotate")
        self.keys(capsys, "rotate")

        ((new, state),) = self.keys(capsys, "rotate", "--at-once")

        assert (new != old, state) == (True, "signing")

    def test_are_never_shown(self, no_keys_yet: str, capsys: pytest.CaptureFixture[str]) -> None:
        said = ""
        for words in (["rotate"], ["rotate"], ["list"], ["list", "--json"]):
            assert cli.main(["keys", *words, "--stack", "shop"]) == 0
            said += "".join(capsys.readouterr())

        text = boto3.client("secretsmanager").get_secret_value(SecretId=no_keys_yet)["SecretString"]
        for key in json.loads(text)["keys"]:
            assert key["kid"] in said
            assert key["d"] not in said

    def test_are_told_to_people_in_their_order_with_their_times(
        self, shop: World, no_keys_yet: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.keys(capsys, "rotate")
        self.keys(capsys, "rotate")

        assert cli.main(["keys", "list", "--stack", "shop"]) == 0

        new, old = (line.split("\t") for line in capsys.readouterr().out.splitlines())
        assert (new[1], old[1]) == ("published", "signing")
        assert new[2].endswith("UTC")
        assert new[3] == ""
        assert old[3].endswith("UTC")

    def test_in_a_secret_of_something_else_are_left_alone(
        self, no_keys_yet: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        boto3.client("secretsmanager").create_secret(Name=no_keys_yet, SecretString='{"keys": "mine"}')

        assert cli.main(["keys", "rotate", "--stack", "shop"]) == 1

        assert capsys.readouterr().err == f"paidup: The secret {no_keys_yet!r} does not hold signing keys.\n"
