"""The documents: their links lead somewhere, and what they name is there under that name."""

import json
import re
from pathlib import Path

import pytest
from paidup.model.case import CaseReason
from paidup.outside.stripe import webhook

from tests.documents import anchors, code_in, documents, links, name_of, table_column
from tools.local import template
from tools.local.template import ROOT

README, RUNBOOK, API = ROOT / "README.md", ROOT / "docs/runbook.md", ROOT / "docs/api.md"
PACKAGE = ROOT / "layers/paidup/paidup"
DECISIONS = sorted((ROOT / "docs/decisions").glob("0*.md"))
INDEX = ROOT / "docs/decisions/README.md"
DESCRIBED = template.written()
HEADINGS = ["Status", "Context", "Decision", "Consequences", "Alternatives"]

IN_THE_REPOSITORY = re.compile(r"(layers|functions|tests|tools|docs|events|\.ci)/[\w./-]*")
IN_THE_PACKAGE = re.compile(r"(model|flows|outside|edge)/[\w./-]+\.py")


def named_paths() -> set[tuple[str, str]]:
    """Return each path of the repository that a document writes as code, beside the document's name."""
    found = set()
    for document in documents():
        for word in code_in(document):
            if IN_THE_REPOSITORY.fullmatch(word):
                found.add((name_of(document), word.rstrip("/")))
            elif IN_THE_PACKAGE.fullmatch(word):
                found.add((name_of(document), f"layers/paidup/paidup/{word}"))
    return found


def source() -> str:
    """Return the text of all that is deployed."""
    folders = (PACKAGE, ROOT / "functions")
    return "\n".join(path.read_text() for folder in folders for path in sorted(folder.rglob("*.py")))


@pytest.mark.parametrize("document", documents(), ids=name_of)
def test_every_link_leads_to_a_document_and_to_a_heading_of_it(document: Path) -> None:
    for link in links(document):
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("document", documents(), ids=name_of)
def test_every_document_can_be_reached_from_the_readme(document: Path) -> None:
    reached, ahead = {README}, [README]
    while ahead:
        here = ahead.pop()
        targets = {(here.parent / link.partition("#")[0]).resolve() for link in links(here)}
        new = {target for target in targets if target.suffix == ".md"} - reached
        reached |= new
        ahead += new
    assert document in reached


@pytest.mark.parametrize(
    ("document", "path"),
    [
        *sorted(named_paths()),
    ],
)
def test_every_path_that_a_document_names_is_there(document: str, path: str) -> None:
    assert (ROOT / path).exists(), f"{document} names {path}"


@pytest.mark.parametrize("decision", DECISIONS, ids=name_of)
def test_every_decision_has_its_number_its_headings_a_date_and_its_line_in_the_index(decision: Path) -> None:
    text = decision.read_text()
    number, _, title = text.partition("\n")[0].removeprefix("# ").partition(". ")
    assert decision.name.startswith(f"{number}-")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == HEADINGS
    assert re.search(r"## Status\n\n(Accepted|Replaced), \d{4}-\d\d-\d\d\.", text)
    assert f"- [{number}]({decision.name}): {title}\n" in INDEX.read_text()


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [decision.name[:4] for decision in DECISIONS] == [f"{n:04d}" for n in range(1, len(DECISIONS) + 1)]


def test_the_runbook_says_of_every_alarm_what_to_do() -> None:
    alarms = template.resources(DESCRIBED, "AWS::CloudWatch::Alarm")
    assert sorted(table_column(RUNBOOK, "Alarms", 0)) == sorted(alarms)


def test_the_runbook_says_of_every_reason_for_a_case_how_to_decide() -> None:
    assert set(CaseReason) <= set(table_column(RUNBOOK, "What needs a person", 0))


def test_the_runbook_lists_every_parameter_that_is_policy_or_operations() -> None:
    groups = DESCRIBED["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    of_operators = [group for group in groups if group["Label"]["default"] in ("Policy", "Operations")]
    listed = {name for group in of_operators for name in group["Parameters"]}
    assert set(table_column(RUNBOOK, "Policy and limits", 0)) == listed


def test_the_runbook_names_only_messages_that_are_logged() -> None:
    text = source()
    messages = table_column(RUNBOOK, "Logs", 0)
    assert messages
    assert not [message for message in messages if f'"{message}"' not in text]


def test_every_refusal_that_front_ends_are_told_of_exists() -> None:
    text = source()
    slugs = table_column(API, "Refusals", 1)
    assert slugs
    assert not [slug for slug in slugs if f'slug = "{slug}"' not in text]


def test_every_route_that_a_front_end_calls_is_explained() -> None:
    described = json.loads((ROOT / "functions/storefront/openapi.json").read_text())
    text = API.read_text()
    assert not [path for path in described["paths"] if path not in text and not path.startswith("/webhooks/")]


def test_the_readme_subscribes_to_every_event_that_is_read_and_to_no_other() -> None:
    event = re.compile(r"(checkout|customer|invoice|charge|refund)\.[a-z_.]+")
    assert set(filter(event.fullmatch, code_in(README))) == webhook.HANDLED
