"""What a change of access costs while 10,000 tabs of 2,000 customers are open: `make bench`.

The table holds the connections, and a server in place of API Gateway's `@connections` takes what is posted to them. A
change must cost one query for its customer's tabs. If there are any, it must cost one read of the account more, and a
post to each of them. Nobody else's tab is read or told.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import batched
from statistics import median
from typing import Any
from urllib.parse import unquote

from paidup.model.connection import Connection
from paidup.outside.dynamo import items

from tools.bench.functions import Bench, prepared
from tools.bench.operations import Event, sample
from tools.bench.units import counted
from tools.local.cloud import Cloud
from tools.serving import Silent, serving

CUSTOMERS, TABS_EACH = 2_000, 5
CHANGES = 100
TOKEN_S = 3_600


@contextmanager
def posting() -> Iterator[tuple[str, Counter[str]]]:
    """Take what is posted to connections while the block runs. Yield the address, and how often each was posted to."""
    posted: Counter[str] = Counter()

    class Handler(Silent):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            posted[unquote(self.path.rpartition("/")[2])] += 1
            self.answer(200)

    with serving(Handler) as url:
        yield f"{url.replace('http', 'ws')}/realtime", posted


def connect_all(settings: Mapping[str, str]) -> None:
    """Let every customer have their tabs open."""
    now, client, table = int(time.time()), Cloud.of(settings).client("dynamodb"), settings["PAIDUP_TABLE"]
    tabs = (
        Connection.opened(f"{customer}-{n}", customer, token_ends_at=now + TOKEN_S, now=now)
        for customer in map(_customer, range(CUSTOMERS))
        for n in range(TABS_EACH)
    )
    for some in batched(tabs, 25, strict=False):
        puts: Any = [{"PutRequest": {"Item": items.connection_items(one)[1]}} for one in some]
        if client.batch_write_item(RequestItems={table: puts})["UnprocessedItems"]:
            raise SystemExit("Not every connection was written.")


async def measure(bench: Bench) -> None:
    """Let the access of some customers change one after the other, and print what that took."""
    print(f"{CUSTOMERS * TABS_EACH:,} tabs of {CUSTOMERS:,} customers; medians of {CHANGES} changes")
    print(f"{'a change of a customer with':34}{'calls':>8}{'units':>8}{'posts':>8}{'processor, ms':>16}")
    with posting() as (url, posted):
        code = bench.code("push_billing_changes")
        here = replace(code, environment={**code.environment, "PAIDUP_REALTIME_URL": url})
        async with counted(here, bench.folder / "counted-tabs") as function:
            for what, customers, tabs in (
                (f"{TABS_EACH} tabs", [_customer(n) for n in range(0, CUSTOMERS, CUSTOMERS // CHANGES)], TABS_EACH),
                ("none", [f"quiet-{n}" for n in range(CHANGES)], 0),
            ):
                took = []
                for customer in customers:
                    posted.clear()
                    answer, units, ms = await function.ask(_changed(customer))
                    took.append(ms)
                    if answer != {"batchItemFailures": []} or units.calls != (2 if tabs else 1):
                        raise SystemExit(f"A change took {units.calls} calls to the table, and was answered {answer}.")
                    if posted != {f"{customer}-{n}": 1 for n in range(tabs)}:
                        raise SystemExit(f"A change of {customer} was posted to {dict(posted)}.")
                print(f"{what:34}{units.calls:>8}{units.read:>8g}{tabs:>8}{median(took):>16.1f}")


def _customer(n: int) -> str:
    return f"customer-{n:04d}"


def _changed(customer: str) -> Event:
    """Return the sample of a changed access as one of *customer*."""
    (record,) = sample("push_billing_changes")["Records"]
    whose = json.loads(json.dumps(record).replace("CUSTOMER#ada", f"CUSTOMER#{customer}"))
    whose["dynamodb"]["NewImage"]["customer_id"] = {"S": customer}
    return {"Records": [whose]}


def main() -> None:
    """Measure, and print the table."""
    with prepared() as bench:
        connect_all(bench.settings)
        asyncio.run(measure(bench))


if __name__ == "__main__":
    main()
