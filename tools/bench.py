"""How fast the functions start and answer on this machine: `make bench`.

Each function runs under Lambda's own runtime with the layer of dependencies as it is deployed, against MiniStack and
the stand-ins. It is asked what its event in events/ asks: first as the first event of a new process, then on and on.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from tools import offers
from tools.local import ministack, template
from tools.local.cloud import Cloud
from tools.local.deployment import DEPENDENCIES, PACKAGE
from tools.local.functions import runtime_folder
from tools.local.worker import Code, Worker
from tools.standins import serve

STARTS = 5
EVENTS = 100


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
    """Measure every function of the template, and print a row for each."""
    print(f"{'ms, medians':24}{'start':>8}{'first':>8}{'further':>9}")
    path = (DEPENDENCIES, PACKAGE, runtime_folder(folder / "runtime"))
    for described in template.read().functions.values():
        code = Code.of(described, path=path, environment=settings)
        event = (template.ROOT / f"events/{described.name}.json").read_bytes()
        found = await measure(code, event, folder / "log")
        print(f"{described.name:24}{found['start']:>8.0f}{found['first']:>8.0f}{found['further']:>9.1f}", flush=True)


def main() -> None:
    """Measure with everything that the functions call beside them, and leave nothing behind."""
    with tempfile.TemporaryDirectory(prefix="paidup-bench-") as name:
        folder = Path(name)
        with (
            ministack.running() as aws,
            serve(state=folder / "standins", clock_file=folder / "clock") as standins,
        ):
            keys = f"{standins.url}/identity/.well-known/jwks.json"
            settings = aws.account(StripeApiBase=f"{standins.url}/stripe", IdentityJwksUrl=keys)
            offers.load(Cloud.of(settings).table(settings["PAIDUP_TABLE"]), offers.read())
            asyncio.run(measure_all(settings, folder))


if __name__ == "__main__":
    main()
