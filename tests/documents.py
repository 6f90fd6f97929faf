"""The documents as tests read them: their text, the code in them, and the headings that links lead to."""

import re
from pathlib import Path

from tools.local.template import ROOT

FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def documents() -> list[Path]:
    """Return every document of the project: those at the root, then those of docs/."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def name_of(document: Path) -> str:
    """Return what *document* is called in the repository."""
    return document.relative_to(ROOT).as_posix()


def blocks(document: Path, language: str) -> list[str]:
    """Return the fenced blocks of *document* that are in *language*."""
    return [text for kind, text in FENCE.findall(document.read_text()) if kind == language]


def code_in(document: Path) -> list[str]:
    """Return all that *document* writes as code: inline, and each word of its fenced blocks."""
    text = document.read_text()
    fenced = [word for _, block in FENCE.findall(text) for word in block.split()]
    return [*INLINE.findall(FENCE.sub("", text)), *fenced]


def links(document: Path) -> list[str]:
    """Return where *document* links to, within the repository."""
    found = LINK.findall(FENCE.sub("", document.read_text()))
    return [target for target in found if not re.match(r"[a-z]+:", target)]


def anchors(document: Path) -> set[str]:
    """Return the anchors of *document*'s headings, as GitHub makes them."""
    plain = (heading.replace("`", "").lower() for heading in HEADING.findall(FENCE.sub("", document.read_text())))
    return {re.sub(r"[^\w\- ]", "", heading).strip().replace(" ", "-") for heading in plain}


def table_column(document: Path, section: str, column: int) -> list[str]:
    """Return the code in one *column* (from 0) of the tables below the heading *section* of *document*."""
    _, _, rest = document.read_text().partition(f"\n## {section}\n")
    body, _, _ = rest.partition("\n## ")
    rows = [line.split("|")[1:-1] for line in body.splitlines() if line.startswith("|")]
    return [word for row in rows for word in INLINE.findall(row[column])]
