"""Starts the local stack: `python -m tools.local`, which is what `make run` does."""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.local import stack, state, template
from tools.local.children import NotStarted
from tools.local.deployment import StripeAccount
from tools.local.gateway import Limits


def main() -> int:
    """Run the local stack until Ctrl-C. Return 1 if it cannot start, or ends by itself."""
    try:
        asyncio.run(_run(options()))
    except NotStarted as sentence:
        print(f"! {sentence}", file=sys.stderr)
        return 1
    return 0


async def _run(chosen: stack.Options) -> None:
    running = asyncio.ensure_future(stack.run(chosen))

    def stop() -> None:
        # Once: what ends the parts is not to be cancelled itself, however impatient somebody is.
        if not running.cancelling():
            print("Stopping …", flush=True)
            running.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    with contextlib.suppress(asyncio.CancelledError):
        await running


def options(argv: Sequence[str] | None = None) -> stack.Options:
    """Return how the command line *argv* and the environment want the stack to be run. Raises NotStarted."""
    usual = Limits()
    parser = argparse.ArgumentParser(prog="python -m tools.local", description="Run the whole of paidup here.")
    parser.add_argument("--port", type=int, help="the front door's port (PAIDUP_PORT, 8787; 0: any free one)")
    parser.add_argument("--folder", type=Path, default=state.FOLDER, help="where data and logs are kept (.paidup)")
    parser.add_argument("--fresh", action="store_true", help="start without the data of earlier runs")
    parser.add_argument("--template", type=Path, default=template.PATH, help="what to deploy (template.yaml)")
    parser.add_argument("--workers", type=int, default=4, help="how many events a function works on at once (4)")
    parser.add_argument(
        "--idle-s", type=float, default=usual.idle_s, help="after how many seconds of silence a WebSocket ends (600)"
    )
    parser.add_argument(
        "--lifetime-s", type=float, default=usual.lifetime_s, help="after how many seconds any WebSocket ends (7200)"
    )
    given = parser.parse_args(argv)
    port = os.environ.get("PAIDUP_PORT", "8787") if given.port is None else str(given.port)
    if not port.isdecimal() or int(port) > 65_534:
        raise NotStarted(f"PAIDUP_PORT must be a port number up to 65534, not {port!r}.")
    key = os.environ.get("STRIPE_API_KEY", "")
    if key and not key.startswith(("sk_test_", "rk_test_")):
        raise NotStarted("STRIPE_API_KEY must be a test key (sk_test_…): the local stack never touches real money.")
    return stack.Options(
        port=int(port),
        folder=given.folder.resolve(),
        fresh=given.fresh,
        template=given.template.resolve(),
        workers=given.workers,
        sockets=Limits(idle_s=given.idle_s, lifetime_s=given.lifetime_s),
        stripe=StripeAccount(api_key=key, webhook_secret=os.environ.get("STRIPE_WEBHOOK_SECRET", "")),
    )


if __name__ == "__main__":
    raise SystemExit(main())
