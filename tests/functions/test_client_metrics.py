"""client_metrics: what pages saw becomes metrics, which name nobody and ring an alarm only if there are many."""

import json
from collections.abc import Callable
from itertools import batched
from typing import Any

import pytest

from tests.alarms import rings
from tests.emf import Sample, samples
from tests.handlers import Answer, request
from tests.world import World


def tell(*metrics: Any, **more: Any) -> Answer:
    return request("POST /client-metrics", body={"metrics": list(metrics), **more})


def saw(name: str = "payment", outcome: str = "success", ms: Any = 1_200) -> dict[str, Any]:
    return {"name": name, "outcome": outcome, "ms": ms}


def written(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str | None, float]]:
    """Return the metrics that were written since: name, outcome and value."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith('{"_aws"')]
    found = []
    for line in lines:
        (metric,) = line["_aws"]["CloudWatchMetrics"][0]["Metrics"]
        found.append((metric["Name"], line.get("outcome"), line[metric["Name"]][0]))
    return found


def test_each_call_of_a_page_is_counted_and_a_success_is_timed(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = tell(saw(), saw(outcome="timeout", ms=10_000), saw("session_refresh", "failure"), saw("confirm", ms=0))

    assert (answer.status, answer.text) == (204, "")
    assert written(capsys) == [
        ("ClientPayment", "success", 1.0),
        ("ClientPaymentTime", None, 1_200.0),
        ("ClientPayment", "timeout", 1.0),
        ("ClientSessionRefresh", "failure", 1.0),
        ("ClientConfirm", "success", 1.0),
        ("ClientConfirmTime", None, 0.0),
    ]


def test_at_most_twenty_are_taken_at_once(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(*[saw(outcome="failure")] * 20).status == 204
    assert len(written(capsys)) == 20

    assert tell(*[saw(outcome="failure")] * 21).status == 422
    assert written(capsys) == []


@pytest.mark.parametrize(
    "wrong",
    [
        saw(name="refund"),
        saw(outcome="maybe"),
        *(saw(ms=ms) for ms in (-1, 600_001, 1.5, "1200", True, None)),
        {**saw(), "customer_id": "ada"},
        {"name": "payment"},
        None,
        "payment",
    ],
)
def test_what_is_none_of_them_is_refused_and_nothing_is_written(
    world: World, capsys: pytest.CaptureFixture[str], wrong: Any
) -> None:
    answer = tell(saw(), wrong)

    assert (answer.status, answer.json["type"]) == (422, "urn:paidup:problem:malformed")
    assert written(capsys) == []


def test_a_page_that_tells_more_than_that_is_refused(world: World) -> None:
    assert tell(saw(), user="ada").status == 422
    assert request("POST /client-metrics", body={}).status == 422


type Measured = Callable[..., list[Sample]]


@pytest.fixture
def measured_of(world: World, capsys: pytest.CaptureFixture[str]) -> Measured:
    """Tells what pages saw, and returns what was measured by that."""

    def tell_all(*seen: dict[str, Any]) -> list[Sample]:
        capsys.readouterr()
        for some in batched(seen, 20, strict=False):
            assert tell(*some).status == 204
        return samples(capsys.readouterr().out)

    return tell_all


class TestAnAlarm:
    BAD, LATE = saw(outcome="failure"), saw(outcome="timeout")

    @pytest.mark.parametrize(
        "name", ["PaymentSuccessAlarm", "SessionRefreshAlarm", "PaymentTimeAlarm", "ClientTimeoutsAlarm"]
    )
    def test_is_silent_without_data(self, name: str) -> None:
        assert not rings(name)

    def test_of_payments_rings_under_95_percent_of_twenty(self, measured_of: Measured) -> None:
        assert not rings("PaymentSuccessAlarm", measured_of(*[self.BAD] * 10, *[self.LATE] * 9))
        assert rings("PaymentSuccessAlarm", measured_of(*[self.BAD] * 20))
        assert not rings("PaymentSuccessAlarm", measured_of(*[saw()] * 95, *[self.BAD] * 5))
        assert rings("PaymentSuccessAlarm", measured_of(*[saw()] * 94, *[self.BAD] * 3, *[self.LATE] * 3))

    def test_of_sessions_rings_over_one_percent_of_a_hundred(self, measured_of: Measured) -> None:
        good, bad, late = (saw("session_refresh", outcome) for outcome in ("success", "failure", "timeout"))

        assert not rings("SessionRefreshAlarm", measured_of(*[bad] * 99))
        assert not rings("SessionRefreshAlarm", measured_of(*[good] * 99, bad))
        assert rings("SessionRefreshAlarm", measured_of(*[good] * 98, bad, late))

    def test_of_the_time_rings_over_five_seconds_on_average_of_twenty(self, measured_of: Measured) -> None:
        assert not rings("PaymentTimeAlarm", measured_of(*[saw(ms=60_000)] * 19))
        assert not rings("PaymentTimeAlarm", measured_of(*[saw(ms=5_000)] * 20))
        assert rings("PaymentTimeAlarm", measured_of(*[saw(ms=5_000)] * 19, saw(ms=5_020)))

    def test_of_time_outs_rings_over_ten_of_all_kinds(self, measured_of: Measured) -> None:
        kinds = [saw(name, "timeout") for name in ("payment", "session_refresh", "token_refresh", "confirm")]

        assert not rings("ClientTimeoutsAlarm", measured_of(*[kinds[0]] * 5, *[kinds[3]] * 5))
        assert rings("ClientTimeoutsAlarm", measured_of(*[kinds[0]] * 5, kinds[1], kinds[2], *[kinds[3]] * 4))
