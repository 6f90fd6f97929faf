"""The template's alarms, worked out as CloudWatch does: an alarm rings or not, by what the functions measured."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.emf import Sample
from tools.local import template

ALARMS: Mapping[str, Any] = template.resources(template.written(), "AWS::CloudWatch::Alarm")
STACK = "paidup"
COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
}


def rings(name: str, *periods: Sequence[Sample]) -> bool:
    """Whether the alarm *name* rings after these *periods*, each with all that was measured in it, the oldest first.

    Periods that are not given had no data.
    """
    alarm = ALARMS[name]
    needed = alarm["EvaluationPeriods"]
    seen = [*[()] * (needed - len(periods)), *periods[-needed:]]
    breaching = [_breaches(alarm, _value(alarm, period)) for period in seen]
    return sum(breaching) >= int(alarm.get("DatapointsToAlarm", needed))


def ringing(*periods: Sequence[Sample], among: Sequence[str]) -> set[str]:
    """Return which alarms *among* these ring after *periods*."""
    return {name for name in among if rings(name, *periods)}


def worked_out(alarm: Mapping[str, Any], given: Mapping[str, float | None]) -> float:
    """Return what the expression of *alarm* comes to. *given* are its metrics by id (None: no data)."""
    (expression,) = (one["Expression"] for one in alarm["Metrics"] if "Expression" in one)
    # IF is worked out lazily, so that nothing is divided by the zero that it guards against
    text = expression.replace("METRICS()", "metrics").replace(" AND ", " and ").replace(" OR ", " or ")
    text = text.replace("IF(", "IF(lambda: ").replace(", ", ", lambda: ").replace("FILL(", "FILL(lambda: ")

    def choose(condition: Any, yes: Any, no: Any) -> Any:
        return yes() if condition() else no()

    def fill(value: Any, otherwise: Any) -> Any:
        return otherwise() if value() is None else value()

    there = [value for value in given.values() if value is not None]
    words = {"IF": choose, "FILL": fill, "SUM": sum, "metrics": there, **given}
    return float(eval(text, words))  # noqa: S307 - an expression of our own template


def _breaches(alarm: Mapping[str, Any], value: float | None) -> bool:
    if value is None:
        return bool(alarm["TreatMissingData"] == "breaching")
    return COMPARISONS[alarm["ComparisonOperator"]](value, alarm["Threshold"])


def _value(alarm: Mapping[str, Any], period: Sequence[Sample]) -> float | None:
    if "MetricName" in alarm:
        return _statistic(alarm, alarm["Statistic"], period)
    stats = [one for one in alarm["Metrics"] if "MetricStat" in one]
    given = {one["Id"]: _statistic(one["MetricStat"]["Metric"], one["MetricStat"]["Stat"], period) for one in stats}
    return worked_out(alarm, given)


def _statistic(metric: Mapping[str, Any], statistic: str, period: Sequence[Sample]) -> float | None:
    """Return the *statistic* of *metric* in *period*, under exactly its dimensions, or None without data."""
    wanted = dimensions_of(metric)
    found = sorted(one.value for one in period if one.metric == metric["MetricName"] and one.dimensions == wanted)
    if not found:
        return None
    if statistic.startswith("p"):
        return found[math.ceil(len(found) * float(statistic[1:]) / 100) - 1]
    of: Mapping[str, Callable[[Sequence[float]], float]] = {
        "Sum": sum,
        "Maximum": max,
        "SampleCount": len,
        "Average": lambda values: sum(values) / len(values),
    }
    return of[statistic](found)


def dimensions_of(metric: Mapping[str, Any]) -> dict[str, str]:
    """Return the dimensions of *metric*. What is deployed is called as it is in the template."""
    return {one["Name"]: _named(one["Value"]) for one in metric["Dimensions"]}


def _named(value: Any) -> str:
    if isinstance(value, str):
        return value
    (what,) = value.values()
    return STACK if what == "AWS::StackName" else str(what)
