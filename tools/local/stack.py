"""The parts of the local stack put together: what is started in which order, and what ends it."""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import uvicorn
from starlette.applications import Starlette

from tools import offers
from tools.local import children, ministack, reload, state, template, triggers
from tools.local.children import Child, NotStarted
from tools.local.cloud import Cloud, KeysChanged
from tools.local.door import Door
from tools.local.functions import Function, runtime_folder
from tools.local.intrinsics import Resolver
from tools.local.invocations import invocations
from tools.local.template import ROOT, Template
from tools.local.worker import Code

DEPENDENCIES = ROOT / ".venv/layer/python"
PACKAGE = ROOT / "layers/paidup"
POLLERS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a local stack is run. Port 0 means any free ports; else the stand-ins take the one after *port*."""

    port: int = 8787
    folder: Path = state.FOLDER
    fresh: bool = False
    template: Path = template.PATH
    workers: int = 4
    stripe_api_key: str = ""
    stripe_webhook_secret: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where the parts listen."""

    url: str
    standins_url: str
    invocations_url: str
    aws: Cloud


def say(text: str) -> None:
    """Tell the engineer at the console."""
    print(text, flush=True)


def warn(text: str) -> None:
    """Tell the engineer of something that went wrong."""
    say(f"! {text}")


async def run(options: Options, stop: asyncio.Event) -> None:
    """Run the local stack until *stop* is set, then end every part of it.

    Raises NotStarted with one clear sentence when it cannot start, and when a part ends by itself.
    """
    began = time.monotonic()
    async with AsyncExitStack() as parts:
        folder = parts.enter_context(state.held(options.folder, fresh=options.fresh))
        front = parts.enter_context(contextlib.closing(children.listen(options.port, "PAIDUP_PORT")))
        back = parts.enter_context(contextlib.closing(children.listen(0, "port")))
        port = front.getsockname()[1]
        standins_port = _standins_port(options)
        aws_port = ministack.free_port()
        at = Addresses(
            url=f"http://127.0.0.1:{port}",
            standins_url=f"http://127.0.0.1:{standins_port}",
            invocations_url=f"http://127.0.0.1:{back.getsockname()[1]}",
            aws=Cloud(endpoint=f"http://127.0.0.1:{aws_port}"),
        )
        aws = await _child(parts, "MiniStack", *ministack.command(aws_port, folder, permissions=True), folder)
        standins = await _child(parts, "The stand-ins", *_standins(standins_port, at, folder), folder)
        await asyncio.gather(aws.listening(aws_port), standins.listening(standins_port))

        described = template.read(options.template)
        resolver = await asyncio.to_thread(_deploy, described, at, options)
        functions = await asyncio.to_thread(_functions, described, resolver, at, folder, options)
        parts.push_async_callback(_stop, functions.values())
        for first in await asyncio.gather(*(one.warm() for one in functions.values())):
            if first.broken:
                warn(f"{first.code.name} does not start: {first.broken.error}")

        now = state.clock(folder / "clock")
        origins = resolver(described.cors["allowOrigins"])
        door = Door(described, functions, origins=origins, now=now, tell=warn)
        work = [
            _serve(door.app, front),
            _serve(invocations(functions), back),
            reload.keep_fresh(functions, PACKAGE / "paidup", say),
            *_triggers(described, resolver, functions, at.aws, now),
        ]
        tasks = [asyncio.create_task(one) for one in work]
        parts.push_async_callback(_cancel, tasks)
        parts.enter_context(state.announced(folder, _where(at, resolver, described)))
        _welcome(at, folder, time.monotonic() - began, options)
        await _until_ended(stop, tasks, [aws, standins])
        say("Stopping …")


async def _until_ended(stop: asyncio.Event, tasks: Iterable[asyncio.Task[None]], programs: Iterable[Child]) -> None:
    """Return when *stop* is set; raise when a task or a program ends before."""
    stopped = asyncio.create_task(stop.wait())
    ends = [asyncio.create_task(one.ended()) for one in programs]
    await asyncio.wait({stopped, *tasks, *ends}, return_when=asyncio.FIRST_COMPLETED)
    if not stop.is_set():
        # Where a program ended, what missed it may have crashed a moment before its end is known.
        done, _ = await asyncio.wait(ends, timeout=1, return_when=asyncio.FIRST_COMPLETED)
        for end in done:
            raise NotStarted(end.result())
        for task in tasks:
            if task.done():
                task.result()
    for waiting in (stopped, *ends):
        waiting.cancel()


async def _child(
    parts: AsyncExitStack, name: str, argv: list[str], environment: Mapping[str, str], folder: Path
) -> Child:
    log = folder / "logs" / f"{name.split()[-1].lower()}.log"
    child = await children.start(name, argv, environment, log)
    parts.push_async_callback(child.stop)
    return child


def _standins_port(options: Options) -> int:
    if options.port == 0:
        return ministack.free_port()
    children.listen(options.port + 1, "PAIDUP_PORT (the stand-ins take the port after it)").close()
    return options.port + 1


def _standins(port: int, at: Addresses, folder: Path) -> tuple[list[str], dict[str, str]]:
    (secret,) = ministack.STRIPE_SECRET["webhook_secrets"]
    places = ["--state", str(folder / "standins"), "--clock-file", str(folder / "clock")]
    webhook = ["--webhook", f"{at.url}/webhooks/stripe={secret}"]
    argv = [sys.executable, "-m", "tools.standins", "--port", str(port), *places, *webhook]
    return argv, {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"}


def _deploy(described: Template, at: Addresses, options: Options) -> Resolver:
    """Make what the template describes at MiniStack, fill the secrets, and put the offers on sale."""
    identity = f"{at.standins_url}/identity"
    given = {
        "AllowedOrigins": [at.url, at.url.replace("127.0.0.1", "localhost")],
        "IdentityIssuer": identity,
        "IdentityAudience": "paidup",
        "IdentityJwksUrl": f"{identity}/.well-known/jwks.json",
        "StripeApiBase": "" if options.stripe_api_key else f"{at.standins_url}/stripe",
    }
    try:
        resolver = at.aws.deploy(described, given)
    except KeysChanged as error:
        sentence = f"{error} has other keys now than when its data were written: start empty, with `make run FRESH=1`."
        raise NotStarted(sentence) from None
    if "StripeSecretName" in described.parameters:
        secret: dict[str, Any] = dict(ministack.STRIPE_SECRET)
        if options.stripe_api_key:
            # Without the endpoint's own secret no webhook is believed; the poll and the sync settle all the same.
            endpoint = options.stripe_webhook_secret or f"whsec_{token_hex()}"
            secret = {"api_key": options.stripe_api_key, "webhook_secrets": [endpoint]}
        at.aws.put_secret(resolver({"Ref": "StripeSecretName"}), secret)
    offers.load(at.aws.table(resolver({"Ref": "Table"})), offers.read())
    return resolver


def _functions(
    described: Template, resolver: Resolver, at: Addresses, folder: Path, options: Options
) -> dict[str, Function]:
    if not DEPENDENCIES.exists():
        raise NotStarted("The layer with the dependencies is not built yet: run `make setup`.")
    path = (DEPENDENCIES, PACKAGE, runtime_folder(folder / "runtime"))
    local = at.aws.environment | {"PAIDUP_CLOCK_FILE": str(folder / "clock")}
    if options.stripe_api_key:
        # Only then does anything leave this machine, perhaps by a proxy.
        local |= {name: value for name, value in os.environ.items() if name.lower() in ("http_proxy", "https_proxy")}
        local |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    functions = {}
    for one in described.functions.values():
        permitted = at.aws.credentials(one.name, resolver(list(one.policies)))
        code = Code.of(one, path=path, environment=resolver.environment(one) | local | permitted)
        functions[one.name] = Function(code, log=folder / "logs" / f"{one.name}.log", most=options.workers)
    return functions


def _triggers(
    described: Template,
    resolver: Resolver,
    functions: Mapping[str, Function],
    aws: Cloud,
    now: Callable[[], float],
) -> list[Coroutine[Any, Any, None]]:
    queues = [
        triggers.work_queue(one, functions[one.function], aws, resolver, warn)
        for one in described.queue_triggers
        for _ in range(POLLERS)
    ]
    clocks = [triggers.keep_schedule(one, functions[one.function], now, warn) for one in described.schedules]
    return queues + clocks


async def _serve(app: Starlette, listener: Any) -> None:
    settings = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1, date_header=True
    )
    await _Server(settings).serve(sockets=[listener])


class _Server(uvicorn.Server):
    """A server that leaves the signals to the stack."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


async def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _stop(functions: Iterable[Function]) -> None:
    await asyncio.gather(*(one.stop() for one in functions))


def _where(at: Addresses, resolver: Resolver, described: Template) -> dict[str, Any]:
    return {
        "url": at.url,
        "standins_url": at.standins_url,
        "invocations_url": at.invocations_url,
        "aws": at.aws.environment,
        "table": resolver({"Ref": "Table"}),
        "queues": {name: resolver.refs[name] for name in described.queues},
        "pid": os.getpid(),
    }


def _welcome(at: Addresses, folder: Path, took_s: float, options: Options) -> None:
    provider = "Stripe itself (test mode)" if options.stripe_api_key else "a stand-in for Stripe"
    say(
        f"""
paidup is ready, after {took_s:.1f} s. Buyers pay at {provider}.

  Start here   {at.url}/
  Account      {at.url}/account
  API          {at.url}/openapi.json
  Stand-ins    {at.standins_url}/
  Logs         {folder / "logs"}/<function>.log

Test card 4242 4242 4242 4242 pays, 4000 0000 0000 0002 is declined.
Ctrl-C ends it. The data stay; `make run FRESH=1` starts without them.
"""
    )
