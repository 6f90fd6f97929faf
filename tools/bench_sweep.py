"""What the minute's sweep consumes: `make bench`. Its reads must grow with what is due, not with the table.

The table is the counted one of tools/soak/memory.py, the provider one in memory: capacity is measured, not time.
"""

import logging
import time
from typing import Any, cast

from paidup.flows.expire import expire
from paidup.flows.shop import Shop
from paidup.model.checkout import Checkout, reserved
from paidup.model.offer import Cart, Kind
from paidup.model.policy import Policy
from paidup.outside import rows
from paidup.outside.stripe_account import Stripe
from paidup.outside.table import Table

from tools.soak.memory import MemoryTable
from tools.soak.provider import MemoryProvider, Sheet

NOW = 1_795_251_600
DUE = 1_000
SIZES = (10_000, 1_000_000)


def consumed(size: int) -> tuple[float, int]:
    """Return the units that a sweep of 1,000 due checkouts consumes in a table of *size*, and how many it ended."""
    client = MemoryTable()
    provider = MemoryProvider(lambda: NOW)
    policy = Policy()
    table = Table(client=cast("Any", client), name="paidup", policy=policy)
    shop = Shop(table=table, stripe=cast("Stripe", provider), policy=policy)
    for n in range(DUE):
        checkout = _opened(n)
        client.put_item(Item=rows.checkout_row(checkout))
        provider.sheets[checkout.token or ""] = Sheet(token=checkout.token or "", checkout=checkout, expires_at=NOW)
    still = rows.checkout_row(_opened(DUE).completed(now=NOW))
    for n in range(DUE, size):
        client.put_item(Item={**still, **rows.wire(rows.checkout_key(f"customer-{n}", f"co_{n}"))})
    client.consumed = 0.0
    swept = expire(shop, now=NOW, time_left=lambda: 60.0)
    return client.consumed, swept.ended


def main() -> None:
    """Print the table, and fail when the larger one costs more than the smaller one."""
    logging.disable(logging.CRITICAL)
    print(f"{'rows in the table':>18}{'due':>8}{'ended':>8}{'units':>10}{'units each':>12}{'s to fill and sweep':>22}")
    units = []
    for size in SIZES:
        began = time.monotonic()
        cost, ended = consumed(size)
        units.append(cost)
        print(f"{size:>18,}{DUE:>8,}{ended:>8,}{cost:>10,.0f}{cost / ended:>12.2f}{time.monotonic() - began:>22.1f}")
    if max(units) > min(units):
        raise SystemExit("The sweep's cost grows with the table, not with what is due.")


def _opened(n: int) -> Checkout:
    cart = Cart(offer_id="ten", name="Ten classes", kind=Kind.PASS, unit_amount=12_000, currency="eur", quantity=1)
    checkout = reserved(
        checkout_id=f"co_{n}",
        customer_id=f"customer-{n}",
        cart=cart,
        provider="stripe",
        success_url="https://shop.example/success",
        cancel_url="https://shop.example/cancel",
        lifetime_s=86_400,
        now=NOW - 86_400,
    )
    return checkout.opened(token=f"cs_{n}", url=f"https://pay.example/{n}", expires_at=NOW, now=NOW - 86_400)


if __name__ == "__main__":
    main()
