"""What starts functions besides requests: queues and the clock."""

import json

from tests import patient
from tools.local.background import Background


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

    patient.eventually(buried)
    assert dead == ["bad"]
    worked = [line for line in lines(echo, "work") if not line.startswith("{")]
    assert {"bad 1", "bad 2", "fine 1", "good 1"} <= set(worked)  # a slow machine may be handed a good one twice
    assert "tried again" in echo.console


def test_a_schedule_runs_at_once_and_again_when_the_clock_leaps(echo: Background) -> None:
    patient.eventually(lambda: len(lines(echo, "tick")) >= 1)
    before = len(lines(echo, "tick"))
    clock = echo.folder / "clock"
    moved = int(clock.read_text() or 0) + 7_200
    clock.with_suffix(".new").write_text(str(moved))
    clock.with_suffix(".new").replace(clock)
    patient.eventually(lambda: len(lines(echo, "tick")) > before)
    assert lines(echo, "tick")[-1] > lines(echo, "tick")[0]


def test_an_event_invocation_is_answered_before_it_is_done(echo: Background) -> None:
    answer = echo.functions.invoke(FunctionName="tick", InvocationType="Event", Payload=json.dumps({"time": "asked"}))
    assert answer["StatusCode"] == 202
    patient.eventually(lambda: "asked" in lines(echo, "tick"))
