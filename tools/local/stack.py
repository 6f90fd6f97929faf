"""The parts of the local stack put together: what is started in which order, and what ends it."""

import asyncio
import contextlib
import logging
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from starlette.routing import BaseRoute

from tools.local import children, deployment, ministack, reload, state, streams, template, triggers
from tools.local.children import Child, NotStarted
from tools.local.cloud import Cloud
from tools.local.deployment import Addresses, Deployment, StripeAccount
from tools.local.door import Door
from tools.local.functions import Function
from tools.local.gateway import MOST_BYTES, Gateway, Limits
from tools.local.invocations import invocations

POLLERS = 2
SHARED = deployment.PACKAGE / "paidup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a local stack is run. Port 0 means any free ports. Otherwise the stand-ins take the one after *port*."""

    port: int = 8787
    folder: Path = state.FOLDER
    fresh: bool = False
    template: Path = template.PATH
    workers: int = 4
    stripe: StripeAccount = field(default_factory=StripeAccount)
    sockets: Limits = field(default_factory=Limits)


def say(text: str) -> None:
    """Tell the engineer at the console."""
    print(text, flush=True)


def warn(text: str) -> None:
    """Tell the engineer of something that went wrong."""
    say(f"! {text}")


async def run(options: Options) -> None:
    """Run the local stack until cancelled, then end every part of it.

    Raises NotStarted with one clear sentence when it cannot start, and when a part ends by itself.
    """
    began = time.monotonic()
    async with AsyncExitStack() as parts:
        folder = parts.enter_context(state.hold(options.folder, fresh=options.fresh))
        front = parts.enter_context(contextlib.closing(children.listen(options.port, "PAIDUP_PORT")))
        back = parts.enter_context(contextlib.closing(children.listen()))
        aws_port = ministack.free_port()
        at = _addresses(options, front, back, aws_port)
        programs = await _programs(parts, at, aws_port, folder)

        described = template.read(options.template)
        deployed = await asyncio.to_thread(deployment.deploy, described, at, options.stripe)
        functions = await asyncio.to_thread(deployed.functions, folder, options.stripe, most=options.workers)
        parts.push_async_callback(_stop, functions.values())
        used = reload.look(functions, SHARED)
        for first in await asyncio.gather(*(one.warm() for one in functions.values())):
            if first.broken:
                warn(f"{first.code.name} does not start: {first.broken.error}")

        now = state.clock(folder / "clock")
        gateway = _gateway(deployed, functions, now, options.sockets)
        work = _work(deployed, functions, front, back, used, now=now, beside=gateway.routes if gateway else ())
        tasks = [asyncio.create_task(one) for one in work]
        parts.push_async_callback(_cancel, tasks)
        if gateway:
            parts.push_async_callback(gateway.close)
        parts.enter_context(state.announced(folder, deployed.where()))
        _welcome(at, folder, time.monotonic() - began, options)
        await _until_a_part_ends(tasks, programs)


def _addresses(options: Options, front: socket.socket, back: socket.socket, aws_port: int) -> Addresses:
    port, fakes_port = front.getsockname()[1], ministack.free_port()
    if options.port:
        fakes_port = port + 1
        children.listen(fakes_port, "PAIDUP_PORT (the stand-ins take the port after it)").close()
    return Addresses(
        port=port,
        fakes_port=fakes_port,
        invocations_port=back.getsockname()[1],
        aws=Cloud(endpoint=f"http://127.0.0.1:{aws_port}"),
    )


async def _programs(parts: AsyncExitStack, at: Addresses, aws_port: int, folder: Path) -> list[Child]:
    """Start MiniStack and the stand-ins, and return them once they listen."""
    (secret,) = ministack.STRIPE_SECRET["webhook_secrets"]
    places = ["--state", str(folder / "fakes"), "--clock-file", str(folder / "clock")]
    webhook = ["--webhook", f"{at.url}/webhooks/stripe={secret}"]
    fakes = [sys.executable, "-m", "tools.fakes", "--port", str(at.fakes_port), *places, *webhook]
    aws, aws_environment = ministack.command(aws_port, folder, permissions=True)
    plain = {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"}

    started = []
    for name, argv, environment in (("MiniStack", aws, aws_environment), ("The stand-ins", fakes, plain)):
        log = folder / "logs" / f"{name.split()[-1].lower()}.log"
        child = await children.start(name, argv, environment, log)
        parts.push_async_callback(child.stop)
        started.append(child)
    await asyncio.gather(*map(Child.listening, started, (aws_port, at.fakes_port)))
    return started


def _gateway(
    deployed: Deployment, functions: Mapping[str, Function], now: Callable[[], float], limits: Limits
) -> Gateway | None:
    """Return the WebSocket API, or None if the template has none."""
    described = deployed.template
    if described.sockets is None:
        return None
    policies = {one.name: deployed.resolver(list(one.policies)) for one in described.functions.values()}
    return Gateway(described.sockets, functions, policies=policies, now=now, tell=warn, limits=limits)


def _work(
    deployed: Deployment,
    functions: Mapping[str, Function],
    front: socket.socket,
    back: socket.socket,
    used: reload.Look,
    *,
    now: Callable[[], float],
    beside: Sequence[BaseRoute],
) -> list[Coroutine[Any, Any, None]]:
    """Return what goes on for as long as the stack runs."""
    described, resolver = deployed.template, deployed.resolver
    origins = resolver(described.cors["allowOrigins"])
    door = Door(described, functions, origins=origins, now=now, tell=warn, beside=beside)
    queues = [
        triggers.work_queue(one, functions[one.function], deployed.at.aws, resolver, warn)
        for one in described.queue_triggers
        for _ in range(POLLERS)
    ]
    followed = [
        streams.follow_stream(one, functions[one.function], deployed.at.aws, resolver, warn)
        for one in described.stream_triggers
    ]
    schedules = [triggers.keep_schedule(one, functions[one.function], now, warn) for one in described.schedules]
    watch = reload.keep_fresh(functions, SHARED, used, say)
    return [serve(door.app, front), serve(invocations(functions), back), *queues, *followed, *schedules, watch]


async def _until_a_part_ends(tasks: Iterable[asyncio.Task[None]], programs: Iterable[Child]) -> None:
    """Wait until a task or a program ends by itself, and raise what there is to say about it."""
    ends = [asyncio.create_task(one.ended()) for one in programs]
    try:
        await asyncio.wait({*tasks, *ends}, return_when=asyncio.FIRST_COMPLETED)
        # Where a program ended, what missed it may have crashed a moment before its end is known.
        done, _ = await asyncio.wait(ends, timeout=1, return_when=asyncio.FIRST_COMPLETED)
        for end in done:
            raise NotStarted(end.result())
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for end in ends:
            end.cancel()


def _is_worth_saying(record: logging.LogRecord) -> bool:
    """Return whether uvicorn says more than that a handshake was refused, which it takes for a fault."""
    return "without completing handshake" not in record.getMessage()


async def serve(app: Callable[..., Awaitable[None]], listener: socket.socket) -> None:
    """Serve *app* on *listener* until cancelled."""
    settings = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=1,
        ws="websockets-sansio",
        ws_max_size=MOST_BYTES,
        ws_ping_interval=None,  # API Gateway pings nobody
        ws_per_message_deflate=False,
    )
    logging.getLogger("uvicorn.error").addFilter(_is_worth_saying)
    await _Server(settings).serve(sockets=[listener])


class _Server(uvicorn.Server):
    """A server that leaves the signals to the stack."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


async def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _stop(functions: Iterable[Function]) -> None:
    await asyncio.gather(*(one.stop() for one in functions))


def _welcome(at: Addresses, folder: Path, took_s: float, options: Options) -> None:
    real = bool(options.stripe.api_key)
    provider = "Stripe itself, in test mode" if real else "a stand-in for Stripe"
    say(
        f"""
paidup is ready, after {took_s:.1f} s. Buyers pay at {provider}.

  Start here   {at.url}/
  Account      {at.url}/account
  API          {at.url}/openapi.json
  Stand-ins    {at.fakes_url}/
  Logs         {folder / "logs"}/<function>.log
"""
    )
    if real and not options.stripe.webhook_secret:
        say(
            f"For webhooks: `stripe listen --forward-to {at.url}/webhooks/stripe`, its secret as STRIPE_WEBHOOK_SECRET."
        )
    say("Test card 4242 4242 4242 4242 pays, 4000 0000 0000 0002 is declined.")
    say("Ctrl-C ends it. The data stay; `make run FRESH=1` starts without them.\n")
