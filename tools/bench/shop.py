"""A shop whose functions are warm: what its buyers do in order, and what each step of that consumes.

The steps go through the functions as they are deployed. Stripe's calls are counted at the stand-in.
"""

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx

from tools.bench.functions import Bench
from tools.bench.operations import CARD, Event, delivered, sample, signed_in
from tools.bench.units import Counted, Units
from tools.fakes.server import API_KEY
from tools.local.cloud import Cloud

DRAFT_S = 3_700  # how long a renewal's invoice is a draft
SEATS_AFTER, RENEWALS = 5, 12
FLOOR_NAME = "floor"


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
    """What was measured, by step. `aside` is shown beside the sum. `handled` counts the events that concern us."""

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
    """The functions, warm, with Stripe's side of it. The clock stands still."""

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


def _sum(rows: Any) -> Row:
    found = Row()
    for row in rows:
        found = found.plus(row)
    return found
