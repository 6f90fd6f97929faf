"""Metrics and alarms: what is watched is written under that very name, and a few samples ring no bell."""

import ast
import json
from collections.abc import Iterator
from typing import Any

import pytest
from paidup.edge.client_metrics import NAMES
from paidup.outside import metrics

from tests.alarms import ALARMS
from tests.documents import code_in, table_column
from tools.local import template
from tools.local.template import ROOT

RUNBOOK = ROOT / "docs/runbook.md"
SERVICE = {"Name": "service", "Value": {"Ref": "AWS::StackName"}}


def watched() -> Iterator[tuple[str, str, list[Any]]]:
    """Yield each metric of ours that an alarm watches: the alarm, the metric's name and its dimensions."""
    for name, alarm in ALARMS.items():
        own = [alarm] if "MetricName" in alarm else []
        for metric in (*own, *(one["MetricStat"]["Metric"] for one in alarm.get("Metrics", ()) if "MetricStat" in one)):
            if metric["Namespace"] == metrics.NAMESPACE:
                yield name, metric["MetricName"], metric["Dimensions"]


def names_written() -> set[str]:
    """Return the names that the deployed code writes."""
    found = {name for pair in NAMES.values() for name in pair}
    deployed = [*(ROOT / "layers/paidup/paidup").rglob("*.py"), *(ROOT / "functions").rglob("*.py")]
    for path in deployed:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith(("metrics.", "measured")):
                found |= {str(one.value) for one in node.args if isinstance(one, ast.Constant)}
    return found


def test_every_name_is_in_the_one_table_and_every_name_there_is_written() -> None:
    assert names_written() == set(metrics.UNITS)


def test_the_runbook_explains_every_metric() -> None:
    assert set(table_column(RUNBOOK, "Metrics", 0)) <= set(metrics.UNITS) <= set(code_in(RUNBOOK))


def test_an_alarm_watches_metrics_that_are_written_for_the_whole_service() -> None:
    found = list(watched())

    assert {alarm for alarm, _, _ in found} >= {"PaymentSuccessAlarm", "SessionRefreshAlarm", "PaymentTimeAlarm"}
    for _, metric, dimensions in found:
        assert metric in metrics.UNITS
        assert dimensions[0] == SERVICE
        assert {one["Name"] for one in dimensions[1:]} <= {"outcome", "reason", "channel"}


def test_the_runbook_names_every_metric_that_an_alarm_watches() -> None:
    lines = {line.split("`")[1]: line for line in RUNBOOK.read_text().splitlines() if line.startswith("| `")}

    assert [(alarm, metric) for alarm, metric, _ in watched() if f"`{metric}`" not in lines[alarm]] == []


class TestAMetric:
    @pytest.fixture(autouse=True)
    def _deployed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "prod")
        monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "prod-members")

    def test_is_one_line_for_the_service_and_for_the_function(self, capsys: pytest.CaptureFixture[str]) -> None:
        metrics.count("GateDenied", reason="access-required")

        (line,) = map(json.loads, capsys.readouterr().out.splitlines())
        (described,) = line["_aws"]["CloudWatchMetrics"]
        assert described["Namespace"] == "paidup"
        assert [set(one) for one in described["Dimensions"]] == [
            {"service"},
            {"service", "reason"},
            {"service", "reason", "function"},
        ]
        assert (line["service"], line["function"], line["reason"]) == ("prod", "members", "access-required")
        assert line["GateDenied"] == [1.0]

    def test_that_cannot_be_written_stops_nobody(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.stdout", None)

        metrics.count("GateDenied", reason="access-required" * 100)

    def test_is_refused_under_a_name_or_a_dimension_that_nobody_knows(self) -> None:
        with pytest.raises(KeyError):
            metrics.count("Surprise")
        with pytest.raises(KeyError):
            metrics.time("GateDenied", 3)
        with pytest.raises(KeyError):
            metrics.count("TokenIssueTime")
        with pytest.raises(TypeError):
            metrics.count("GateDenied", customer_id="ada")  # type: ignore[call-arg]


def test_the_template_tells_the_stacks_of_an_account_apart() -> None:
    shared = template.written()["Globals"]["Function"]["Environment"]["Variables"]

    assert shared["POWERTOOLS_SERVICE_NAME"] == {"Ref": "AWS::StackName"}
