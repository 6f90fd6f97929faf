"""What starts functions besides requests: queues and the clock."""

import json
import time
from collections.abc import Callable

from tools.local.background import Background


def eventually(holds: Callable[[], object], within_s: float = 30) -> None:
    until = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < until, f"{holds.__doc__ or 'it'} did not come true within {within_s} s"
        time.sleep(0.1)


def lines(stack: Background, function: str) -> list[str]:
    return (stack.folder / f"logs/{function}.log").read_text().splitlines()


def test_a_message_that_fails_is_tried_again_and_ends_in_the_dead_letters_alone(echo: Background) -> None:
    sqs = echo.aws.client("sqs")
    queues = echo.where["queues"]
    entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(["good", "bad", "fine"])]
    sqs.send_message_batch(QueueUrl=queues["Queue"], Entries=entries)
    dead: list[str] = []

    def buried() -> bool:
        dead.extend(one["Body"] for one in sqs.receive_message(QueueUrl=queues["DeadLetters"]).get("Messages", []))
        return bool(dead)

    eventually(buried)
    assert dead == ["bad"]
    worked = [line for line in lines(echo, "work") if not line.startswith("{")]
    assert sorted(worked) == ["bad 1", "bad 2", "fine 1", "good 1"]
    assert "tried again" in echo.console


def test_a_schedule_runs_at_once_and_again_when_the_clock_leaps(echo: Background) -> None:
    eventually(lambda: len(lines(echo, "tick")) >= 1)
    before = len(lines(echo, "tick"))
    clock = echo.folder / "clock"
    moved = int(clock.read_text() or 0) + 7_200
    clock.with_suffix(".new").write_text(str(moved))
    clock.with_suffix(".new").replace(clock)
    eventually(lambda: len(lines(echo, "tick")) > before)
    assert lines(echo, "tick")[-1] > lines(echo, "tick")[0]


def test_an_event_invocation_is_answered_before_it_is_done(echo: Background) -> None:
    answer = echo.functions.invoke(FunctionName="tick", InvocationType="Event", Payload=json.dumps({"time": "asked"}))
    assert answer["StatusCode"] == 202
    eventually(lambda: "asked" in lines(echo, "tick"))
