"""What the functions measured, as CloudWatch reads it from their output: one sample for each set of dimensions."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric under exactly these dimensions."""

    metric: str
    dimensions: Mapping[str, str]
    value: float


def samples(output: str) -> list[Sample]:
    """Return every sample that is written in *output*, in order. Lines of another kind are passed over."""
    return [one for line in output.splitlines() if line.startswith('{"_aws"') for one in _of_line(json.loads(line))]


def values(found: Iterable[Sample], metric: str, **dimensions: str) -> list[float]:
    """Return the values of *metric* for the whole service, under exactly these further *dimensions*."""
    wanted = {"service": "paidup", **dimensions}
    return [one.value for one in found if one.metric == metric and one.dimensions == wanted]


def _of_line(line: Mapping[str, object]) -> Iterator[Sample]:
    meta: object = line["_aws"]
    assert isinstance(meta, dict)
    for described in meta["CloudWatchMetrics"]:
        for named in described["Metrics"]:
            counted = line[named["Name"]]
            assert isinstance(counted, list)
            for names in described["Dimensions"]:
                for value in counted:
                    yield Sample(named["Name"], {name: str(line[name]) for name in names}, float(value))
