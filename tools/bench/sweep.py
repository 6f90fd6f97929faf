"""What the minute's sweep consumes: `make bench`. Its reads must grow with what is due, not with the table.

The table is the counted one of tools/fakes/memory/table.py, the provider one in memory: capacity is measured, not time.
All other checkouts are open, and lie in the index beside those that are due: who reads more of it than its keys name,
pays.
"""

import logging
import os
import time
from collections import defaultdict
from typing import Any, cast

from paidup.flows.expire import expire
from paidup.flows.services import Services
from paidup.model.checkout import Checkout, reserved
from paidup.model.offer import Cart, Kind
from paidup.model.policy import Policy
from paidup.outside.dynamo import items
from paidup.outside.dynamo.budget import Budgets
from paidup.outside.dynamo.table import Table

from tools.fakes.memory.facts import NAME
from tools.fakes.memory.provider import MemoryProvider, Sheet
from tools.fakes.memory.queue import MemoryQueue
from tools.fakes.memory.table import MemoryTable

NOW = 1_795_251_600
LIFETIME_S = 86_400
DUE = 1_000
SIZES = (10_000, 1_000_000)


def consumed(size: int) -> tuple[float, int]:
    """Return the units that a sweep of 1,000 due checkouts consumes in a table of *size*, and how many it ended."""
    client = MemoryTable()
    provider = MemoryProvider(lambda: NOW)
    policy = Policy()
    table = Table(client=cast("Any", client), name="paidup")
    queue = cast("Any", MemoryQueue(lambda: NOW))
    services = Services(
        table=table,
        provider=lambda _: provider,
        providers=(NAME,),
        webhooks=lambda: queue,
        policy=policy,
        budgets=Budgets(client=table.client, name=table.name),
    )
    for n in range(DUE):
        checkout = _opened(n, NOW - LIFETIME_S)
        client.put_item(TableName=table.name, Item=items.checkout_item(checkout))
        token = checkout.token or ""
        provider.sheets[token] = Sheet(token=token, checkout=checkout, customer_ref=f"{NAME}#customer", expires_at=NOW)
    _fill(client, size)
    client.consumed = 0.0
    swept = expire(services, now=NOW, time_left=lambda: 60.0)
    return client.consumed, swept.ended


def main() -> None:
    """Print the table, and fail when the larger one costs more than the smaller one."""
    logging.disable(logging.CRITICAL)
    os.environ["POWERTOOLS_METRICS_DISABLED"] = "true"
    print(f"{'rows in the table':>18}{'due':>8}{'ended':>8}{'units':>10}{'units each':>12}{'s to fill and sweep':>22}")
    units = []
    for size in SIZES:
        began = time.monotonic()
        cost, ended = consumed(size)
        units.append(cost)
        print(f"{size:>18,}{DUE:>8,}{ended:>8,}{cost:>10,.0f}{cost / ended:>12.2f}{time.monotonic() - began:>22.1f}")
        if ended != DUE:
            raise SystemExit(f"The sweep ended {ended:,} of {DUE:,} checkouts that were due.")
    if max(units) > min(units):
        raise SystemExit("The sweep's cost grows with the table, not with what is due.")


def _fill(client: MemoryTable, size: int) -> None:
    """Add checkouts opened just now up to *size*, those of one shard of the index as one row. None is looked at yet."""
    alike: defaultdict[str, list[int]] = defaultdict(list)
    for n in range(DUE, size):
        alike[items.due_shard(_customer(n))].append(n)
    for numbers in alike.values():
        keys = (items.checkout_key(_customer(n), _id(n)) for n in numbers)
        row = items.checkout_item(_opened(numbers[0], NOW))
        client.fill(row, ((key["pk"], key["sk"]) for key in keys))


def _customer(n: int) -> str:
    return f"customer-{n:09d}"


def _id(n: int) -> str:
    return f"co_{n:09d}"


def _opened(n: int, at: int) -> Checkout:
    cart = Cart(offer_id="ten", name="Ten classes", kind=Kind.PASS, unit_amount=12_000, currency="eur", quantity=1)
    checkout = reserved(
        checkout_id=_id(n),
        customer_id=_customer(n),
        cart=cart,
        provider=NAME,
        success_url="https://shop.example/success",
        cancel_url="https://shop.example/cancel",
        lifetime_s=LIFETIME_S,
        now=at,
    )
    return checkout.opened(token=f"cs_{n}", url=f"https://pay.example/{n}", expires_at=at + LIFETIME_S, now=at)


if __name__ == "__main__":
    main()
