"""What people wait for on the whole local stack, beside what they are promised: `make bench`.

The stack is started as `make run` starts it, on free ports and a folder of its own. A purchase is what a client does:
open the checkout, press Pay on the provider's page, ask until the pass is there. It counts from pressing Pay.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx

from tools.local import background
from tools.local.background import Background

RUNS = 5
FLOOR_RUNS = 50
READY_S, WEBHOOKS_S, POLL_ONLY_S = 20.0, 5.0, 8.0
GIVE_UP_S = 60.0
CARD = "4242424242424242"
BOUGHT = {"a pass": "ten_class_pass", "a subscription": "monthly"}
AT_THE_STAND_INS = {"STRIPE_API_KEY": ""}

type Took = tuple[float, set[str]]


def ready(folder: Path) -> Took:
    """Start the stack on *folder*, and return the seconds until its front door answered for a function."""
    began = time.perf_counter()
    with background.running(folder, environment=AT_THE_STAND_INS) as stack:
        httpx.get(f"{stack.url}/offers", timeout=GIVE_UP_S).raise_for_status()
        return time.perf_counter() - began, set()


def round_trip(stack: Background, http: httpx.Client) -> Took:
    """Return the seconds of one request through the front door to a function that asks nobody."""
    began = time.perf_counter()
    http.get(f"{stack.url}/assets/style.css").raise_for_status()
    return time.perf_counter() - began, set()


def bought(stack: Background, http: httpx.Client, offer_id: str, world: str, n: int) -> Took:
    """Let the *n*th customer of a *world* buy. Return the seconds from pressing Pay until their poll says `active`, and
    the channels that settled it.
    """
    customer = f"{offer_id}-{world}-{n}"
    who = {"sub": customer, "email": f"{customer}@example.com", "roles": ["customer"]}
    token = http.post(f"{stack.fakes_url}/identity/token", json=who).raise_for_status().json()["token"]
    signed_in = {"authorization": f"Bearer {token}"}
    asked = http.post(f"{stack.url}/payment-tokens", json={"offer_id": offer_id}, headers=signed_in)
    checkout = asked.raise_for_status().json()
    began = time.perf_counter()
    if not http.post(checkout["url"], data={"card": CARD}).has_redirect_location:
        raise SystemExit(f"{customer} could not pay.")
    status = f"{stack.url}/subscription-status/{checkout['checkout_id']}"
    while (found := http.get(status, headers=signed_in).raise_for_status().json())["state"] == "confirming":
        if time.perf_counter() - began > GIVE_UP_S:
            raise SystemExit(f"{customer} paid, and waits for {GIVE_UP_S:.0f} s.")
        time.sleep(found["attempt_after_ms"] / 1000)
    if found["state"] != "active":
        raise SystemExit(f"{customer} paid, and is told {found['state']}.")
    took = time.perf_counter() - began
    return took, {entry.channel for entry in stack.aws.table(stack.where["table"]).timeline(customer)}


@dataclass(slots=True)
class Table:
    """The rows so far are on the screen. `broken` are the promises that one of them broke."""

    broken: list[str] = field(default_factory=list)

    def row(self, what: str, promised_s: float | None, run: Callable[[int], Took], runs: int = RUNS) -> set[str]:
        """Measure *run* so often, print what it took, and return the channels it took."""
        found = [run(n) for n in range(runs)]
        took, channels = [seconds for seconds, _ in found], set[str]().union(*(by for _, by in found))
        median = statistics.median(took)
        figures = f"{median:>9.3f}{max(took):>9.3f}  {', '.join(sorted(channels))}"
        print(f"{what:54}{'' if promised_s is None else promised_s:>10}{figures}".rstrip(), flush=True)
        if promised_s is not None and max(took) > promised_s:
            self.broken.append(f"{what}: {max(took):.1f} s, not {promised_s:.0f}")
        return channels


def measure(folder: Path) -> Table:
    """Measure everything, and return the table."""
    print(f"{'s':54}{'promised':>10}{'median':>9}{'worst':>9}  settled by")
    table = Table()
    ready(folder)  # makes what later starts find
    table.row("started again, until the front door answers", READY_S, lambda _: ready(folder))
    with background.running(folder, environment=AT_THE_STAND_INS) as stack, httpx.Client(timeout=GIVE_UP_S) as http:
        table.row("floor: one request through it", None, lambda _: round_trip(stack, http), FLOOR_RUNS)
        for what, offer_id in BOUGHT.items():
            table.row(f"{what} paid, until active", WEBHOOKS_S, partial(bought, stack, http, offer_id, "heard"))
        http.post(f"{stack.fakes_url}/dev/faults", json={"drop": 1}).raise_for_status()
        for what, offer_id in BOUGHT.items():
            alone = partial(bought, stack, http, offer_id, "unheard")
            if "webhook" in table.row(f"{what} paid, until active, every webhook lost", POLL_ONLY_S, alone):
                raise SystemExit("A webhook arrived that should have been lost.")
    return table


def main() -> None:
    """Print the table, and fail if anybody waited longer than is promised."""
    with tempfile.TemporaryDirectory(prefix="paidup-bench-") as folder:
        table = measure(Path(folder) / "stack")
    if table.broken:
        raise SystemExit(f"Promises broken: {'; '.join(table.broken)}.")


if __name__ == "__main__":
    main()
