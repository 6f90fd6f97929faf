"""What a whole purchase consumes, from the cart to the poll, and a year of a subscription: `make bench`.

Everything happens in order and through the functions as they are deployed: the buyer asks for a checkout and pays on
the page, each event that Stripe then sends comes to receive_webhook a second later, what that queues comes to
process_webhook alone, and one poll follows. Stripe's calls are counted at the stand-in. The sweep is shown beside it.

The floor is the least that a webhook's function can do: it checks the signature, and puts the event's id, once.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import httpx

from tools.bench import functions, units
from tools.bench.functions import Bench
from tools.bench.operations import CARD, Event, delivered, sample, signed_in
from tools.bench.units import Counted, Units
from tools.fakes.server import API_KEY
from tools.local import ministack
from tools.local.cloud import Cloud
from tools.local.deployment import DEPENDENCIES

MOST_WRITTEN = {"a pass": 24, "a subscription": 40}
MOST_STRIPE_CALLS = 0.1  # for each event that is handled
DRAFT_S = 3_700  # how long a renewal's invoice is a draft
SEATS_AFTER, RENEWALS = 5, 12
FUNCTIONS = ("create_payment_token", "receive_webhook", "process_webhook", "subscription_status", "expire_sessions")
FLOOR_NAME = "floor"

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


@dataclass(slots=True)
class Row:
    """What one step consumed in all the times that it was done."""

    times: int = 0
    calls: int = 0
    read: float = 0
    written: float = 0
    stripe: int = 0
    ms: float = 0

    def add(self, units: Units, ms: float, stripe: int) -> None:
        """Count the step once more."""
        self.times += 1
        self.calls += units.calls
        self.read += units.read
        self.written += units.written
        self.stripe += stripe
        self.ms += ms

    def plus(self, other: "Row") -> "Row":
        """Return the sum of both."""
        names = ("times", "calls", "read", "written", "stripe", "ms")
        return Row(*(getattr(self, name) + getattr(other, name) for name in names))


@dataclass(slots=True)
class Story:
    """What was measured, by step; `aside` is shown beside the sum. `handled` counts the events that concern us."""

    name: str
    steps: defaultdict[str, Row] = field(default_factory=lambda: defaultdict(Row))
    aside: defaultdict[str, Row] = field(default_factory=lambda: defaultdict(Row))
    handled: int = 0

    @property
    def sum(self) -> Row:
        """Everything but what is shown beside it."""
        return _sum(self.steps.values())

    @property
    def asked(self) -> int:
        """How many Stripe calls the deliveries made."""
        return sum(row.stripe for name, row in self.steps.items() if name.startswith(("receive", "process")))


@dataclass(slots=True, kw_only=True)
class Shop:
    """The functions, warm, with Stripe's side of it; the clock stands still."""

    bench: Bench
    http: httpx.AsyncClient
    functions: Mapping[str, Counted]
    story: Story = field(default_factory=lambda: Story(""))
    _last_event: str = ""
    _numbers: Iterator[int] = field(default_factory=count)

    async def buys(self, offer_id: str) -> str:
        """Let a new customer buy: from the cart to the poll. Return their page at the provider."""
        customer = f"customer-{next(self._numbers)}"
        cart = signed_in("create_payment_token", customer)
        cart["body"] = json.dumps({"offer_id": offer_id})
        answer = await self._step("create_payment_token", "create_payment_token", cart)
        checkout = json.loads(answer["body"])
        paid = await self.http.post(checkout["url"], data={"card": CARD})
        if not paid.has_redirect_location:
            raise SystemExit(f"{customer} could not pay.")
        await self.hears()
        poll = signed_in("subscription_status_checkout", customer, checkout["checkout_id"])
        state = json.loads((await self._step("subscription_status", "subscription_status", poll))["body"])["state"]
        if state != "active":
            raise SystemExit(f"{customer} paid, and is told {state}.")
        return str(checkout["token"])

    async def hears(self) -> None:
        """Deliver every new event in order, a second after Stripe made it, and work on what is queued."""
        await self.passes(1)
        async for event in self._new_events():
            webhook = delivered(json.dumps(event), at=await self._now())
            answer = await self._step("receive_webhook", f"receive {event['type']}", webhook)
            received = json.loads(answer["body"])["received"]
            self.story.handled += received != "ignored"
            if received == "queued":
                await self._work(event["type"])
            await self._floor(webhook)

    async def year(self, token: str) -> None:
        """Let the subscription that was bought on the page *token* live for a year, and end."""
        session = await self._stripe("GET", f"checkout/sessions/{token}")
        plan = f"subscriptions/{session['subscription']}"
        for month in range(RENEWALS):
            ends = (await self._stripe("GET", plan))["items"]["data"][0]["current_period_end"]
            await self._until(ends)
            await self._until(ends + DRAFT_S)
            if month == SEATS_AFTER:
                item = (await self._stripe("GET", plan))["items"]["data"][0]["id"]
                seats = {"items[0][id]": item, "items[0][quantity]": "5", "proration_behavior": "always_invoice"}
                await self._stripe("POST", plan, seats)
                await self._until(await self._now() + DRAFT_S)
        await self._stripe("POST", plan, {"cancel_at_period_end": "true"})
        await self.hears()
        ends = (await self._stripe("GET", plan))["items"]["data"][0]["current_period_end"]
        await self._until(ends)
        if (left := await self._stripe("GET", plan))["status"] != "canceled":
            raise SystemExit(f"The subscription was to end, and is {left['status']}.")

    async def ends(self, token: str) -> None:
        """End the subscription that was bought on the page *token*, if there is one: nobody else's year is measured."""
        session = await self._stripe("GET", f"checkout/sessions/{token}")
        if session["subscription"]:
            await self._stripe("DELETE", f"subscriptions/{session['subscription']}")
            await self.hears()

    async def stands_still(self) -> None:
        """Let time pass by `passes` alone."""
        await self._dev("clock", {"stand_still": True})

    async def passes(self, seconds: int) -> None:
        """Let time pass for everybody."""
        await self._dev("clock", {"advance_s": seconds})

    async def _until(self, second: int) -> None:
        await self.passes(max(0, second - await self._now()))
        await self.hears()
        await self._aside("expire_sessions", sample("expire_sessions"))

    async def _work(self, type_: str) -> None:
        sqs, url = Cloud.of(self.bench.settings).client("sqs"), self.bench.settings["PAIDUP_WEBHOOK_QUEUE_URL"]
        how = {"MessageSystemAttributeNames": ["All"], "MessageAttributeNames": ["All"], "WaitTimeSeconds": 5}
        (message,) = sqs.receive_message(QueueUrl=url, **how)["Messages"]
        (record,) = sample("process_webhook")["Records"]
        record |= {"body": message["Body"], "receiptHandle": message["ReceiptHandle"]}
        found = await self._step("process_webhook", f"process {type_}", {"Records": [record]})
        if found["batchItemFailures"]:
            raise SystemExit(f"{type_} was not settled: {message['Body']}")
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    async def _step(self, function: str, name: str, event: Event) -> Any:
        before = await self._asked()
        answer, units, ms = await self.functions[function].ask(event)
        self.story.steps[name].add(units, ms, await self._asked() - before)
        if answer.get("statusCode", 200) >= 300:
            raise SystemExit(f"{function} answered {answer}")
        return answer

    async def _aside(self, function: str, event: Event) -> None:
        before = await self._asked()
        _, units, ms = await self.functions[function].ask(event)
        self.story.aside[function].add(units, ms, await self._asked() - before)

    async def _floor(self, webhook: Event) -> None:
        _, units, ms = await self.functions[FLOOR_NAME].ask(webhook)
        self.story.aside["floor: verify and one put"].add(units, ms, 0)

    async def _new_events(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the events that were not delivered yet, the oldest first."""
        page: Any = {"has_more": True}
        while page["has_more"]:
            params = {"limit": "100"} | ({"ending_before": self._last_event} if self._last_event else {})
            page = await self._stripe("GET", "events", params)
            for event in reversed(page["data"]):
                self._last_event = event["id"]
                yield event

    async def _stripe(self, method: str, path: str, params: Mapping[str, str] | None = None) -> Any:
        sent: Any = {"params" if method == "GET" else "data": params or {}}
        url = f"{self.bench.fakes.stripe_api_base}/v1/{path}"
        answer = await self.http.request(method, url, auth=(API_KEY, ""), **sent)
        return answer.raise_for_status().json()

    async def _asked(self) -> int:
        return int((await self._dev("stripe/requests"))["total"])

    async def _now(self) -> int:
        return int((await self._dev("clock"))["now"])

    async def _dev(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        url = f"{self.bench.fakes.url}/dev/{path}"
        answer = await (self.http.get(url) if body is None else self.http.post(url, json=body))
        return answer.raise_for_status().json()


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


def _sum(rows: Any) -> Row:
    found = Row()
    for row in rows:
        found = found.plus(row)
    return found


def _timed(bench: Bench, settings: Mapping[str, str]) -> Mapping[str, str]:
    return {**settings, "PAIDUP_CLOCK_FILE": str(bench.fakes.clock_file)}


def _floor_source() -> str:
    return FLOOR.replace("SECRET", repr(ministack.STRIPE_SECRET["webhook_secrets"][0]))


if __name__ == "__main__":
    main()
