"""The table's stream on this machine: filtered, in order, tried again, and given up record by record."""

import json
from typing import Any

from tests import patient
from tests.local.test_triggers import lines
from tools.local.background import Background


def write(stack: Background, *said: str, pk: str = "one", sk: str = "FOLLOWED") -> None:
    client = stack.aws.client("dynamodb")
    for one in said:
        item = {"pk": {"S": pk}, "sk": {"S": sk}, "says": {"S": one}}
        client.put_item(TableName=stack.where["table"], Item=item)


def batches(stack: Background) -> list[list[str]]:
    """Return what the records of each batch said."""
    return [line.split() for line in lines(stack, "follow") if not line.startswith(("{", "["))]


def given_up(stack: Background, most: int) -> list[Any]:
    """Return what the queue of failures was told, as soon as it is so much."""
    sqs, told = stack.aws.client("sqs"), []

    def all_there() -> bool:
        asked: Any = {"QueueUrl": stack.where["queues"]["GivenUp"], "MaxNumberOfMessages": 10}
        for message in sqs.receive_message(**asked).get("Messages", []):
            sqs.delete_message(QueueUrl=asked["QueueUrl"], ReceiptHandle=message["ReceiptHandle"])
            told.append(json.loads(message["Body"]))
        return len(told) >= most

    patient.eventually(all_there)
    return told


def test_a_record_that_fails_is_tried_again_and_given_up_alone(echo: Background) -> None:
    write(echo, "good-1", "bad-1", "good-2", "crash-1", "good-3")

    told = given_up(echo, 2)

    assert [one["DDBStreamBatchInfo"]["batchSize"] for one in told] == [1, 1]
    assert {one["requestContext"]["condition"] for one in told} == {"RetryAttemptsExhausted"}
    patient.eventually(lambda: ["good-3"] in batches(echo))
    seen = batches(echo)
    for poison in ("bad-1", "crash-1"):
        tries = [batch for batch in seen if poison in batch]
        assert len(tries) >= 3
        assert tries[-1] == [poison]
    assert seen.index(["bad-1"]) < seen.index(["crash-1"]) < seen.index(["good-3"])
    assert "gives up 1 records" in echo.console


def test_what_comes_after_a_poison_record_is_handed_out_in_its_order(echo: Background) -> None:
    write(echo, "crash-2", *(f"later-{n}" for n in range(30)), pk="two")

    patient.eventually(lambda: any("later-29" in batch for batch in batches(echo)))

    after = [one for batch in batches(echo) for one in batch if one.startswith("later-")]
    first_seen = list(dict.fromkeys(after))
    assert first_seen == [f"later-{n}" for n in range(30)]
    given_up(echo, 1)


def test_what_the_filter_leaves_out_is_not_handed_out(echo: Background) -> None:
    write(echo, "unfollowed", pk="three", sk="OTHER")
    write(echo, "followed", pk="three")

    patient.eventually(lambda: any("followed" in batch for batch in batches(echo)))

    assert not any("unfollowed" in batch for batch in batches(echo))
