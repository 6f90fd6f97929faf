"""What an operation asks of DynamoDB: calls, and the capacity units that they consume, its indexes' among them."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from tools.bench.operations import Event
from tools.local.worker import Code, Worker

# MiniStack says nothing of a BatchGetItem: one unit for each item, which it would be for items of ours, up to 4 KB.
COUNTED = """
import app
from paidup.outside import aws

calls = []

def ask(params, model, **_):
    calls.append([model.name, sum(len(wanted["Keys"]) for wanted in params.get("RequestItems", {}).values())])
    return {**params, "ReturnConsumedCapacity": "TOTAL"}

def note(model, parsed, **_):
    consumed = parsed.get("ConsumedCapacity", [])
    tables = consumed if isinstance(consumed, list) else [consumed]
    calls[-1][1] += sum(table["CapacityUnits"] for table in tables)

aws.session().register("provide-client-params.dynamodb", ask)
aws.session().register("after-call.dynamodb", note)

def handler(event, context):
    app.handler(event, context)
    return calls
"""
WRITES = ("PutItem", "TransactWriteItems", "UpdateItem", "DeleteItem")


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """How many calls were made, and the units that reads and writes consumed."""

    calls: int
    read: float
    written: float


async def consumed(code: Code, event: Event, folder: Path) -> Units:
    """Return what the function *code* asks of DynamoDB to answer *event*; *folder* takes what that needs."""
    folder.mkdir(exist_ok=True)
    (folder / "counted.py").write_text(COUNTED)
    with (folder / "log").open("ab") as log:
        worker = Worker(replace(code, handler="counted.handler", path=(folder, *code.path)), log)
        await worker.start()
        answer = await worker.invoke(json.dumps(event).encode())
        await worker.stop()
    if answer.failed:
        raise SystemExit(f"{code.name} failed: {answer.error}")
    calls = json.loads(answer.payload)
    return Units(
        calls=len(calls),
        read=sum(units for name, units in calls if name not in WRITES),
        written=sum(units for name, units in calls if name in WRITES),
    )
