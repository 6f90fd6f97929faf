"""Every command of `paidup` for scripts: with --json, standard output is one JSON document."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from tests.functions.door import told
from tests.world import World
from tools import cli
from tools.cli import command

WHY = "--reason asked"
# What a command is given, the code that it ends with, and what the document is. In a shop where nothing has happened:
OF_NOTHING = [
    ("explain", "nobody", 1, dict),
    ("sync", "nobody", 1, list),
    ("sync", "--email nobody@example.com", 1, list),
    ("attention", "", 0, list),
    ("cases", "", 0, list),
    ("events", "--failed", 0, list),
    ("replay", f"--failed {WHY}", 0, list),
    ("replay", f"evt_nobodys {WHY}", 1, list),
    ("verify", "", 0, dict),
    ("doctor", "", 1, list),
    ("report", "", 0, dict),
    ("keys list", "", 0, list),
    ("keys rotate", "", 0, list),
    ("offers check", "{offers}", 0, list),
    ("offers check", "{no_offers} --stripe", 0, list),
    ("offers load", "{no_offers}", 0, list),
]
# In a shop with a customer who has paid, which nobody knows, with a case, and with an event that failed:
OF_SOMETHING = [
    ("invoke", "echo {event}", 0, dict),
    ("invoke", "echo {event} echo {event}", 0, list),
    ("invoke", "echo {event} echo {crash} echo {event}", 1, list),
    ("invoke", "echo {crash}", 1, dict),
    ("offers load", "{offers}", 0, list),
    ("offers check", "{offers} --stripe", 0, list),
    ("offers check", "{bad_offers}", 1, list),
    ("offers check", "{bad_offers} --stripe", 1, list),
    ("offers list", "", 0, list),
    ("explain", "{customer}", 0, dict),
    ("sync", "{customer}", 0, list),
    ("attention", "", 0, list),
    ("cases", "", 0, list),
    ("events", "--failed", 0, list),
    ("events", "{failed}", 0, list),
    ("replay", "--failed --dry-run", 0, list),
    ("replay", f"--failed {WHY}", 1, list),
    ("replay", "{failed} --dry-run", 0, list),
    ("replay", f"evt_nobodys {{failed}} {WHY}", 1, list),
    ("verify", "--customer {customer}", 1, dict),
    ("verify", "--customer {customer} --repair", 1, dict),
    ("verify", "--customer {customer} --repair --yes", 0, dict),
    ("doctor", "", 1, list),
    ("report", "", 0, dict),
    ("report", "--picture {picture}", 0, dict),
    ("support grant", f"{{customer}} {{purchase}} {WHY}", 0, dict),
    ("support refund", f"{{customer}} {{purchase}} {WHY}", 0, dict),
    ("support move", f"{{customer}} eve {WHY}", 0, dict),
    ("keys list", "", 0, list),
    ("keys rotate", "", 0, list),
    ("keys rotate", "--at-once", 0, list),
]
OFFERS = '[[offers]]\noffer_id = "trial"\nname = "A trial"\nkind = "pass"\namount = {}\ncurrency = "eur"\n'


def commands() -> Iterator[tuple[str, Any]]:
    """Yield each command, and the words that name it."""

    def below(group: Any, *named: str) -> Iterator[tuple[str, Any]]:
        if not hasattr(group, "list_commands"):
            yield " ".join(named), group
            return
        for word in group.list_commands(None):
            yield from below(group.get_command(None, word), *named, word)

    yield from below(get_command(command.app))


def test_every_command_takes_json_and_is_held_to_it_here() -> None:
    found = dict(commands())

    assert [name for name, one in found.items() if not any("--json" in param.opts for param in one.params)] == []
    assert {name for name, *_ in OF_SOMETHING} == set(found)
    assert {name.split()[0] for name in found} == set(command.COMMANDS)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Files that commands read, and one that they may write, by what is in them."""
    texts = {
        "event": '{"do": "nothing"}',
        "crash": '{"do": "crash"}',
        "offers": OFFERS.format(500),
        "bad_offers": OFFERS.format(-500),
        "no_offers": "offers = []",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return {name: str(tmp_path / name) for name in (*texts, "picture")}


def printed(capsys: pytest.CaptureFixture[str], name: str, words: str, filled: dict[str, str]) -> tuple[int, Any]:
    """Run the command *name* for scripts, and return its code, and the document that it printed."""
    capsys.readouterr()  # what the functions measured until now
    given = [word.format(**filled) for word in words.split()]
    code = cli.main([*name.split(), *given, "--stack", "shop", "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(("name", "words", "code", "kind"), OF_NOTHING)
def test_of_nothing_a_command_prints_an_empty_document(
    new_shop: World,
    files: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    words: str,
    code: int,
    kind: type,
) -> None:
    monkeypatch.setenv("PAIDUP_SIGNING_KEYS_SECRET", f"{new_shop.customer()}/signing-keys")

    ended, document = printed(capsys, name, words, files)

    assert (ended, type(document)) == (code, kind)


@pytest.mark.parametrize(("name", "words", "code", "kind"), OF_SOMETHING)
def test_a_command_prints_one_document_however_it_ends(
    shop: World,
    files: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    words: str,
    code: int,
    kind: type,
) -> None:
    buyer = shop.customer()
    token = shop.buy(customer=buyer).json
    shop.pay(token["url"])
    if name.startswith("support"):
        shop.sync(customer=buyer)
    open_a_case(shop)
    failed = {"customer": buyer, "purchase": token["checkout_id"], "failed": an_event_that_fails(shop)}
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))

    ended, document = printed(capsys, name, words, files | failed)

    assert (ended, type(document)) == (code, kind)
    assert document


def open_a_case(shop: World) -> None:
    """Let Stripe say that somebody paid less than they were asked for."""
    token = shop.buy(customer=shop.customer()).json
    shop.pay(token["url"])
    (event,) = [one for one in told(shop, token["token"]) if one["type"] == "checkout.session.completed"]
    event["data"]["object"] |= {"amount_subtotal": 1, "amount_total": 1}
    assert shop.deliver(event).status == 200


def an_event_that_fails(shop: World) -> str:
    """Deliver an event that cannot be settled, and return its id."""
    event = {**shop.events()[-1], "type": "customer.subscription.updated", "id": f"evt_{shop.customer()}"}
    assert shop.deliver(event).status == 200
    assert len(shop.work_queue()) == 1
    return str(event["id"])


@pytest.mark.parametrize(
    "words",
    [
        "offers load /no/such/file.toml",
        "events evt_nobodys",
        f"support refund nobody co_1 {WHY}",
        f"support move nobody eve {WHY}",
        "replay evt_nobodys --dry-run",
        "report --picture /no/such/folder/month.svg",
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_no_document(
    shop: World, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    capsys.readouterr()

    code = cli.main([*words.split(), "--stack", "shop", "--json"])

    said = capsys.readouterr()
    assert (code, said.out) == (1, "")
    assert said.err.splitlines()[-1].startswith("paidup: ")
