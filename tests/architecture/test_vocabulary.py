"""Which words belong to which room: what import-linter cannot see."""

import re

import pytest

from tools.local.template import ROOT

PACKAGE = ROOT / "layers/paidup/paidup"
PROVIDERS_WORDS = re.compile(r"stripe|midtrans|\b(cs|sub|pi|cus)_", re.IGNORECASE)
TABLE_WORDS = re.compile(r"LostRace|\bshard|\bpk\b|\bsk\b|by_ref|by_due|ExclusiveStartKey|attempts\(")


def lines_with(words: re.Pattern[str], *rooms: str) -> list[str]:
    return [
        f"{path.relative_to(PACKAGE)}:{number}: {line.strip()}"
        for room in rooms
        for path in sorted((PACKAGE / room).glob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if words.search(line)
    ]


@pytest.mark.parametrize("room", ["model", "flows"])
def test_no_provider_is_named_above_outside(room: str) -> None:
    assert lines_with(PROVIDERS_WORDS, room) == []


def test_only_the_write_loop_knows_how_the_table_is_written() -> None:
    found = lines_with(TABLE_WORDS, "model", "flows")

    assert [line for line in found if not line.startswith("flows/transact.py:")] == []


def test_the_table_knows_no_policy() -> None:
    assert lines_with(re.compile(r"[Pp]olicy"), "outside/dynamo") == []
