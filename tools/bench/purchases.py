"""What a whole purchase consumes, from the cart to the poll, and a year of a subscription: `make bench`.

Everything happens in order and through the functions as they are deployed. The buyer asks for a checkout and pays on
the page. Each event that Stripe then sends comes to receive_webhook a second later. What that queues comes to
process_webhook alone, and one poll follows. Stripe's calls are counted at the stand-in. The sweep is shown beside the
sum.

The floor is the least that a webhook's function can do: check the signature, and put the event's id, once.
"""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace

import httpx

from tools.bench import functions, units
from tools.bench.functions import Bench
from tools.bench.shop import FLOOR_NAME, Shop, Story
from tools.local import ministack
from tools.local.deployment import DEPENDENCIES

MOST_WRITTEN = {"a pass": 24, "a subscription": 40}
MOST_STRIPE_CALLS = 0.1  # for each event that is handled
FUNCTIONS = ("create_payment_token", "receive_webhook", "process_webhook", "subscription_status", "expire_sessions")

FLOOR = """
import json, os
from stripe import WebhookSignature
from paidup.outside import aws
table = aws.client("dynamodb", read_s=2, tries=3)
def handler(event, context):
    WebhookSignature.verify_header(event["body"].encode(), event["headers"]["stripe-signature"], SECRET, None)
    row = {"pk": {"S": "FLOOR#" + json.loads(event["body"])["id"]}, "sk": {"S": "FLOOR"}}
    table.put_item(TableName=os.environ["PAIDUP_TABLE"], Item=row, ConditionExpression="attribute_not_exists(pk)")
"""


async def measure(bench: Bench) -> list[Story]:
    """Return what was measured of a pass, a subscription, and its year, after both were bought once to warm up."""
    bench = replace(bench, settings=_timed(bench, bench.settings), quiet=_timed(bench, bench.settings))
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=60))
        codes = {name: bench.code(name) for name in FUNCTIONS}
        floor = bench.floor(DEPENDENCIES, _floor_source())
        codes[FLOOR_NAME] = replace(floor, path=codes["receive_webhook"].path)
        counted = {
            name: await stack.enter_async_context(units.counted(code, bench.folder / "counted"))
            for name, code in codes.items()
        }
        shop = Shop(bench=bench, http=http, functions=counted)
        await shop.stands_still()
        for offer_id in ("ten_class_pass", "monthly") * 2:
            await shop.ends(await shop.buys(offer_id))
        shop.story = bought_once = Story("a pass")
        await shop.buys("ten_class_pass")
        shop.story = subscribed = Story("a subscription")
        token = await shop.buys("monthly")
        shop.story = year = Story("a year of it")
        await shop.year(token)
        return [bought_once, subscribed, year]


def report(stories: list[Story]) -> list[str]:
    """Print the tables, and return which figures to reach were missed."""
    missed = []
    for story in stories:
        print(f"\n{story.name:54}{'times':>6}{'calls':>8}{'read':>8}{'written':>9}{'Stripe':>8}{'ms':>9}")
        for name, row in [*sorted(story.steps.items()), ("in all", story.sum), *story.aside.items()]:
            figures = f"{row.times:>6}{row.calls:>8}{row.read:>8g}{row.written:>9g}{row.stripe:>8}{row.ms:>9.1f}"
            print(f"  {name:52}{figures}")
        each = story.asked / story.handled
        print(f"  Stripe calls for each of {story.handled} handled events: {each:.2f} (to reach: {MOST_STRIPE_CALLS})")
        if each > MOST_STRIPE_CALLS:
            missed.append(f"{story.name}: {each:.2f} Stripe calls per event, not {MOST_STRIPE_CALLS}")
        most = MOST_WRITTEN.get(story.name)
        if most is not None and story.sum.written > most:
            missed.append(f"{story.name}: {story.sum.written:g} write units, not {most}")
    return missed


def main() -> None:
    """Measure, print the tables, and fail if a figure to reach was missed."""
    with functions.prepared() as bench:
        missed = report(asyncio.run(measure(bench)))
    if missed:
        raise SystemExit(f"Not reached: {'; '.join(missed)}.")


def _timed(bench: Bench, settings: Mapping[str, str]) -> Mapping[str, str]:
    return {**settings, "PAIDUP_CLOCK_FILE": str(bench.fakes.clock_file)}


def _floor_source() -> str:
    return FLOOR.replace("SECRET", repr(ministack.STRIPE_SECRET["webhook_secrets"][0]))


if __name__ == "__main__":
    main()
