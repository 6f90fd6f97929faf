"""How the functions start and answer on this machine, beside the least that a function can do: `make bench`.

Each function runs as it is deployed, under Lambda's own runtime, against MiniStack and the fakes. Its code is source,
since nobody can write byte code beside it. Both layers have the byte code that they carry.

The floor is a function that makes one put with boto3, as plain `sam build` ships it: all of boto3, without byte code.
A cold start counts the processor's time of a process, for its imports, its clients and its first event. That depends on
the machine, but its ratio to the floor hardly does. All are started in turns. Each is compared with the floor of its
own turn, since a busy minute slows down everything that runs in it.
"""

import asyncio
import importlib.metadata
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
from paidup.outside import signing_keys

from tools import offers
from tools.bench.operations import Customers, Event
from tools.bench.units import Units, consumed, cpu_ms
from tools.fakes.server import Fakes, serve
from tools.local import ministack, template
from tools.local.cloud import Cloud
from tools.local.deployment import DEPENDENCIES
from tools.local.functions import runtime_folder
from tools.local.template import ROOT
from tools.local.worker import Answer, Code, Worker
from tools.serving import serving

STARTS = 7
EVENTS = 50

# What is to be reached: whatever stands in the way of every request starts fast, a token costs one small read, and a
# gate half a unit.
ISSUING = "issue_billing_token"
LIGHT, LIGHT_COLD = (ISSUING, "members"), 0.6
READS = {ISSUING: (0.5, 1), "members": (0.5, 0.5)}

FLOOR = """
import os, boto3
table = boto3.client("dynamodb")
def handler(event, context):
    row = {"pk": {"S": context.aws_request_id}, "sk": {"S": "FLOOR"}}
    table.put_item(TableName=os.environ["PAIDUP_TABLE"], Item=row, ConditionExpression="attribute_not_exists(pk)")
"""
BOTO3 = ("boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3")
AS_BUILT, WITH_BYTE_CODE = "floor: one put", "the same with byte code"

# Nobody can write where Lambda keeps a function and its layers.
READ_ONLY = {"PYTHONDONTWRITEBYTECODE": "1"}


@dataclass(slots=True)
class Measured:
    """What was measured of one operation, a figure for each time: wall time and processor time, in ms."""

    units: Units | None = None

    start: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    cold: list[float] = field(default_factory=list)
    further: list[float] = field(default_factory=list)
    warm: list[float] = field(default_factory=list)

    async def start_one(self, code: Code, ask: Callable[[], Awaitable[Event]], log: Path, *, further: int) -> None:
        """Start a process, let it answer one event, and after that as many as *further* says."""
        event = await ask()
        with log.open("ab") as file:
            worker = Worker(code, file)
            await worker.start()
            self.start.append(worker.init_ms)
            self.first.append(await _answered(worker, event))
            self.cold.append(cpu_ms(worker))
            for _ in range(further):
                event, before = await ask(), cpu_ms(worker)
                self.further.append(await _answered(worker, event))
                self.warm.append(cpu_ms(worker) - before)
            await worker.stop()


async def _answered(worker: Worker, event: Event) -> float:
    """Return the ms until *event* was answered; whatever is no success would be measured in vain."""
    began = time.perf_counter()
    answer = await worker.invoke(json.dumps(event).encode())
    took = (time.perf_counter() - began) * 1000
    if not _succeeded(answer):
        raise SystemExit(f"{worker.code.name} answered {answer.payload.decode()}")
    return took


def _succeeded(answer: Answer) -> bool:
    found: Any = json.loads(answer.payload) or {}
    return not (
        answer.failed
        or found.get("statusCode", 200) >= 300
        or found.get("batchItemFailures")
        or found.get("isAuthorized") is False
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Everything that is measured, ready to run. The sweep has an account of its own, in which nothing is ever due."""

    folder: Path
    fakes: Fakes
    settings: Mapping[str, str]
    quiet: Mapping[str, str]

    def code(self, function: str) -> Code:
        """Return the code of *function* as it is deployed, which leaves the byte code in the tree behind."""
        described, folder = template.read().functions[function], self.folder / function
        if not folder.exists():
            shutil.copytree(described.code, folder, ignore=shutil.ignore_patterns("__pycache__"))
        settings = self.quiet if function == "expire_sessions" else self.settings
        return self._code(described, folder, (DEPENDENCIES, self.folder / "layer/python"), settings)

    def floor(self, libraries: Path, source: str = FLOOR) -> Code:
        """Return the code of a floor with *libraries*: a function with the *source*."""
        folder = self.folder / "floor"
        folder.mkdir(exist_ok=True)
        (folder / "app.py").write_text(source)
        any_of_them = next(iter(template.read().functions.values()))
        return self._code(any_of_them, folder, (libraries,), self.settings)

    def _code(
        self, described: template.Function, folder: Path, path: tuple[Path, ...], settings: Mapping[str, str]
    ) -> Code:
        path = (*path, runtime_folder(self.folder / "runtime"))
        return Code.of(described, path=path, environment={**settings, **READ_ONLY}, folder=folder)

    async def measure(self) -> dict[str, Measured]:
        """Start everything in turns, and return what was measured, by the operation's name."""
        log = self.folder / "log"
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(httpx.AsyncClient(timeout=20))
            warm = []
            for name in ("create_payment_token", "receive_webhook", "issue_billing_token"):
                worker = Worker(self.code(name), stack.enter_context(log.open("ab")))
                await worker.start()
                stack.push_async_callback(worker.stop)
                warm.append(worker)
            opener, receiver, issuer = warm
            customers = Customers(fakes=self.fakes, http=http, opener=opener, receiver=receiver, issuer=issuer)
            operations = {one.name: (self.code(one.function), one.event) for one in await customers.operations()}
            everything = {
                AS_BUILT: (self.floor(_as_built(self.folder / "plain")), _nothing),
                WITH_BYTE_CODE: (self.floor(_compiled(_as_built(self.folder / "compiled"))), _nothing),
                **operations,
            }
            measured = {name: Measured() for name in everything}
            for name, (code, ask) in operations.items():
                measured[name].units = await consumed(code, await ask(), self.folder / "counted")
            for n in range(STARTS):
                for name, (code, ask) in everything.items():
                    await measured[name].start_one(code, ask, log, further=EVENTS if n == STARTS - 1 else 0)
            return measured


async def _nothing() -> Event:
    return {}


def _as_built(folder: Path) -> Path:
    """Return *folder* with boto3 and what it needs as plain `sam build` ships them: everything, and no byte code."""
    for name in BOTO3:
        distribution = importlib.metadata.distribution(name)
        for file in distribution.files or ():
            if file.parts[0] == ".." or file.suffix == ".pyc":
                continue
            link = folder / file
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(Path(str(distribution.locate_file(file))))
    return folder


def _compiled(folder: Path) -> Path:
    """Return *folder* with byte code as the layers have it."""
    how = ["-q", "-j", "0", "--invalidation-mode", "unchecked-hash"]
    subprocess.run([sys.executable, "-m", "compileall", *how, folder], check=True)
    return folder


def report(measured: Mapping[str, Measured]) -> list[str]:
    """Print a row for each operation, and return what misses what is to be reached."""
    missed = []
    print(f"{'':32}{'ms':27}{'processor, ms':30}{'DynamoDB'}")
    heads = ("start", "first", "further", "cold", "/ floor", "further", "calls", "read", "written")
    print(f"{'medians':28}{''.join(f'{head:>9}' for head in heads)}")
    floor = measured[AS_BUILT].cold
    for name, one in measured.items():
        start, first, further, cold, warm = (
            statistics.median(figures) for figures in (one.start, one.first, one.further, one.cold, one.warm)
        )
        ratio = statistics.median(own / least for own, least in zip(one.cold, floor, strict=True))
        figures = f"{start:>9.0f}{first:>9.0f}{further:>9.1f}{cold:>9.0f}{ratio:>9.2f}{warm:>9.1f}"
        units = f"{one.units.calls:>9}{one.units.read:>9g}{one.units.written:>9g}" if one.units else ""
        print(f"{name:28}{figures}{units}")
        if name in LIGHT and ratio > LIGHT_COLD:
            missed.append(f"{name}: a cold start of {ratio:.2f} of the floor, not {LIGHT_COLD:g}")
        least, most = READS.get(name, (0, float("inf")))
        if one.units and not least <= one.units.read <= most:
            missed.append(f"{name}: {one.units.read:g} read units")
    return missed


@contextmanager
def prepared() -> Iterator[Bench]:
    """Run everything that the functions call beside them while the block runs, and leave nothing behind."""
    with tempfile.TemporaryDirectory(prefix="paidup-bench-") as name:
        folder = Path(name)
        build = ["make", "--silent", "-C", str(ROOT / "layers/paidup"), "build-PaidupLayer"]
        subprocess.run([*build, f"ARTIFACTS_DIR={folder / 'layer'}"], check=True)
        with (
            ministack.running() as aws,
            serve(state=folder / "fakes", clock_file=folder / "clock") as fakes,
            _keys_published(folder) as issuer,
        ):
            where = {
                "StripeApiBase": f"{fakes.url}/stripe",
                "PublicUrl": issuer,
                "BillingIssuer": issuer,
                "IdentityIssuer": fakes.issuer,
                "IdentityJwksUrl": f"{fakes.issuer}/.well-known/jwks.json",
            }
            accounts = [aws.account(**where) for _ in range(2)]
            for settings in accounts:
                offers.load(Cloud.of(settings).table(settings["PAIDUP_TABLE"]), offers.read())
            settings, quiet = accounts
            _publish(settings, folder)
            yield Bench(folder=folder, fakes=fakes, settings=settings, quiet=quiet)


@contextmanager
def _keys_published(folder: Path) -> Iterator[str]:
    """Answer with what lies in *folder*, as the API does with its public keys, and return its address."""

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *words: Any) -> None:
            super().__init__(*words, directory=str(folder))

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with serving(Handler) as url:
        yield url


def _publish(settings: Mapping[str, str], folder: Path) -> None:
    """Put the public keys of the account's billing tokens where gates look for them."""
    keys = signing_keys.read(Cloud.of(settings).secret(settings["PAIDUP_SIGNING_KEYS_SECRET"])).published(now=0)
    file = folder / ".well-known/jwks.json"
    file.parent.mkdir()
    file.write_text(json.dumps({"keys": [asdict(one) for one in keys]}))


def main() -> None:
    """Measure, print the table, and fail if a figure was not reached."""
    with prepared() as bench:
        missed = report(asyncio.run(bench.measure()))
    if missed:
        raise SystemExit(f"Not reached: {'; '.join(missed)}.")


if __name__ == "__main__":
    main()
