"""How fast the functions start and answer on this machine: `make bench`.

Beside the functions stands a floor, measured in the same run. Each runs under Lambda's own runtime with the layer of
dependencies as it is deployed, against MiniStack and the stand-ins. It is asked what its event in events/ asks: first
as the first event of a new process, then on and on. `authorize` refuses its token; a webhook is known after the first.
"""

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from tools import offers
from tools.fakes.server import serve
from tools.local import ministack, template
from tools.local.cloud import Cloud
from tools.local.deployment import DEPENDENCIES, PACKAGE
from tools.local.functions import runtime_folder
from tools.local.worker import Code, Worker
from tools.signing import signed

STARTS = 5
EVENTS = 100

# The least that a function which writes anything can do: boto3, and one conditional put.
FLOOR = """
import os, boto3
table = boto3.client("dynamodb")
def handler(event, context):
    row = {"pk": {"S": context.aws_request_id}, "sk": {"S": "FLOOR"}}
    table.put_item(TableName=os.environ["PAIDUP_TABLE"], Item=row, ConditionExpression="attribute_not_exists(pk)")
"""


async def measure(code: Code, event: bytes, log: Path) -> dict[str, float]:
    """Return a function's medians in ms: until its code is imported, for its first event, for each further one."""
    starts, firsts, others = [], [], []
    for n in range(STARTS):
        with log.open("ab") as file:
            worker = Worker(code, file)
            await worker.start()
            starts.append(worker.init_ms)
            firsts.append(await _timed(worker, event))
            if n == STARTS - 1:
                others = [await _timed(worker, event) for _ in range(EVENTS)]
            await worker.stop()
    return {
        "start": statistics.median(starts),
        "first": statistics.median(firsts),
        "further": statistics.median(others),
    }


async def _timed(worker: Worker, event: bytes) -> float:
    began = time.perf_counter()
    await worker.invoke(event)
    return (time.perf_counter() - began) * 1000


async def measure_all(settings: Mapping[str, str], folder: Path) -> None:
    """Measure the floor and every function of the template, and print a row for each."""
    print(f"{'ms, medians':24}{'start':>8}{'first':>8}{'further':>9}{'start and first / floor':>25}")
    path = (DEPENDENCIES, PACKAGE, runtime_folder(folder / "runtime"))
    (folder / "floor").mkdir()
    (folder / "floor/app.py").write_text(FLOOR)
    described = template.read().functions
    floor = Code.of(next(iter(described.values())), path=path, environment=settings, folder=folder / "floor")
    least = await measure(floor, b"{}", folder / "log")
    _print("floor: one put", least, least)
    for one in described.values():
        code = Code.of(one, path=path, environment=settings)
        _print(one.name, await measure(code, _event(one.name), folder / "log"), least)


def _event(name: str) -> bytes:
    """Return the event events/<name>.json; a webhook is signed, and signed now."""
    event = json.loads((template.ROOT / f"events/{name}.json").read_bytes())
    if "stripe-signature" in event.get("headers", {}):
        event = signed(event, ministack.STRIPE_SECRET["webhook_secrets"][0], at=int(time.time()))
    return json.dumps(event).encode()


def _print(name: str, found: Mapping[str, float], least: Mapping[str, float]) -> None:
    cold, floor = (one["start"] + one["first"] for one in (found, least))
    figures = f"{found['start']:>8.0f}{found['first']:>8.0f}{found['further']:>9.1f}{cold / floor:>25.1f}"
    print(f"{name:24}{figures}", flush=True)


def main() -> None:
    """Measure with everything that the functions call beside them, and leave nothing behind."""
    with tempfile.TemporaryDirectory(prefix="paidup-bench-") as name:
        folder = Path(name)
        with (
            ministack.running() as aws,
            serve(state=folder / "fakes", clock_file=folder / "clock") as fakes,
        ):
            keys = f"{fakes.url}/identity/.well-known/jwks.json"
            settings = aws.account(StripeApiBase=f"{fakes.url}/stripe", IdentityJwksUrl=keys)
            offers.load(Cloud.of(settings).table(settings["PAIDUP_TABLE"]), offers.read())
            asyncio.run(measure_all(settings, folder))


if __name__ == "__main__":
    main()
