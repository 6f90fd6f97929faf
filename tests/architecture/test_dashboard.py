"""The dashboard: read from the top, with every alarm, and with metrics that are really written."""

import json
import re
from typing import Any

from paidup.outside import metrics

from tests.alarms import ALARMS
from tools.local import template

WRITTEN = template.written()
(BOARD,) = template.resources(WRITTEN, "AWS::CloudWatch::Dashboard").values()
WIDGETS: list[dict[str, Any]] = json.loads(BOARD["DashboardBody"]["Fn::Sub"])["widgets"]
TOLD_APART_BY = {"outcome", "reason", "channel"}


def graphs() -> list[list[Any]]:
    return [line for one in WIDGETS if one["type"] == "metric" for line in one["properties"]["metrics"]]


def test_it_is_read_from_the_money_down_to_the_functions() -> None:
    titles = [one["properties"]["markdown"].removeprefix("## ") for one in WIDGETS if one["type"] == "text"]

    assert titles == ["Money", "Channels", "Webhooks", "Queues and clocks", "Provider", "Functions"]
    assert [one["y"] for one in WIDGETS] == sorted(one["y"] for one in WIDGETS)
    assert WIDGETS[0]["type"] == "alarm"


def test_no_widget_lies_upon_another() -> None:
    taken: set[tuple[int, int]] = set()
    for one in WIDGETS:
        cells = {
            (x, y) for x in range(one["x"], one["x"] + one["width"]) for y in range(one["y"], one["y"] + one["height"])
        }
        assert not cells & taken, one["properties"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_it_shows_every_alarm() -> None:
    assert WIDGETS[0]["properties"]["alarms"] == [f"${{{name}.Arn}}" for name in ALARMS]


def test_its_metrics_are_written_for_this_stack() -> None:
    ours = [line for line in graphs() if line[0] == metrics.NAMESPACE]

    assert len(ours) > 20
    for _, name, service, stack, *more in ours:
        assert name in metrics.UNITS
        assert (service, stack) == ("service", "${AWS::StackName}")
        assert set([one for one in more if isinstance(one, str)][::2]) <= TOLD_APART_BY


def test_what_it_names_is_in_the_template() -> None:
    named = re.findall(r"\$\{(\w+)[}.]", BOARD["DashboardBody"]["Fn::Sub"])

    assert set(named) <= set(WRITTEN["Resources"])
