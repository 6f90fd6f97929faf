"""What an operation asks of DynamoDB: calls, and the capacity units that they consume, its indexes' among them."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tools.bench.operations import Event
from tools.local.worker import Code, Worker

# MiniStack says nothing of a BatchGetItem: one unit for each item, which it would be for items of ours, up to 4 KB.
COUNTED = """
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

import app  # its clients come after that

def handler(event, context):
    calls.clear()
    return {"answer": app.handler(event, context), "calls": calls}
"""
WRITES = ("PutItem", "TransactWriteItems", "UpdateItem", "DeleteItem")


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """How many calls were made, and the units that reads and writes consumed."""

    calls: int
    read: float
    written: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """A function that runs, and tells with each answer what it asked of DynamoDB for it."""

    worker: Worker

    async def ask(self, event: Event) -> tuple[Any, Units, float]:
        """Return the answer to *event*, what it asked of DynamoDB, and the ms of a processor that it took."""
        before = cpu_ms(self.worker)
        answer = await self.worker.invoke(json.dumps(event).encode())
        took = cpu_ms(self.worker) - before
        if answer.failed:
            raise SystemExit(f"{self.worker.code.name} failed: {answer.error}")
        told = json.loads(answer.payload)
        calls = told["calls"]
        units = Units(
            calls=len(calls),
            read=sum(units for name, units in calls if name not in WRITES),
            written=sum(units for name, units in calls if name in WRITES),
        )
        return told["answer"], units, took


@asynccontextmanager
async def counted(code: Code, folder: Path) -> AsyncIterator[Counted]:
    """Run the function *code* while the block runs. *folder* takes what counting needs."""
    folder.mkdir(exist_ok=True)
    (folder / "counted.py").write_text(COUNTED)
    with (folder / "log").open("ab") as log:
        worker = Worker(replace(code, handler="counted.handler", path=(folder, *code.path)), log)
        await worker.start()
        try:
            yield Counted(worker=worker)
        finally:
            await worker.stop()


async def consumed(code: Code, event: Event, folder: Path) -> Units:
    """Return what the function *code* asks of DynamoDB to answer *event*. *folder* takes what that needs."""
    async with counted(code, folder) as function:
        _, units, _ = await function.ask(event)
        return units


def cpu_ms(worker: Worker) -> float:
    """Return the processor's time that a worker's process has taken so far: user and system, of all its threads."""
    clock = (~worker.pid << 3) | 2  # what clock_getcpuclockid(3) returns on Linux
    return time.clock_gettime(clock) * 1000
