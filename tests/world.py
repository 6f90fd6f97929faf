"""A whole small world for tests: the real handlers, a fresh account at MiniStack, and Stripe's stand-in."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import boto3
import httpx
import stripe
from paidup.edge import gate
from paidup.edge.services import open_services
from paidup.flows.services import Services
from paidup.model.account import Account
from paidup.model.checkout import Checkout
from paidup.model.offer import Interval, Kind, Offer
from paidup.model.policy import Policy
from paidup.model.snapshot import ChangeSet, Snapshot
from paidup.outside import aws, identity, queue, secrets, sockets
from paidup.outside.dynamo import access, budget, table
from paidup.outside.stripe import client

from tests import patient
from tests.handlers import Answer, Context, invoke, queue_event, request, sample
from tools.fakes.memory.table import MemoryTable
from tools.fakes.memory.wire import answer_for
from tools.fakes.server import Fakes

ORIGIN = "http://127.0.0.1:8787"
WEBHOOK_SECRET = "whsec_localstackonly000000000000"

_IN_MEMORY: dict[str, MemoryTable] = {}  # the tables of accounts that have theirs in memory

LIVE = Offer(offer_id="live_session", name="Live session", kind=Kind.LIVE_SESSION, amount=6_500, currency="eur")
OFFERS = (
    Offer(offer_id="ten_class_pass", name="Ten classes", kind=Kind.PASS, amount=12_000, currency="eur", valid_days=180),
    Offer(offer_id="day_pass", name="A day", kind=Kind.PASS, amount=1_500, currency="eur"),
    Offer(
        offer_id="monthly",
        name="Monthly",
        kind=Kind.SUBSCRIPTION,
        amount=4_900,
        currency="eur",
        interval=Interval.MONTH,
    ),
    Offer(
        offer_id="yearly", name="Yearly", kind=Kind.SUBSCRIPTION, amount=49_000, currency="eur", interval=Interval.YEAR
    ),
    LIVE,
    replace(LIVE, offer_id="double_session", amount=13_000),
    Offer(
        offer_id="try_monthly",
        name="Monthly, two weeks free",
        kind=Kind.SUBSCRIPTION,
        amount=4_900,
        currency="eur",
        interval=Interval.MONTH,
        trial_days=14,
    ),
)


@dataclass(slots=True)
class World:
    """The functions, driven as API Gateway, SQS and EventBridge drive them, and Stripe's side of it."""

    fakes: Fakes
    http: httpx.Client
    _numbers: Any = field(default_factory=count)

    # -- what customers do

    def buy(
        self,
        offer_id: str = "ten_class_pass",
        *,
        customer: str = "ada",
        headers: Mapping[str, str | None] | None = None,
        **more: Any,
    ) -> Answer:
        """Ask for a payment token."""
        return request("POST /payment-tokens", customer=customer, body={"offer_id": offer_id, **more}, headers=headers)

    def pay(self, url: str, card: str = "4242424242424242") -> httpx.Response:
        """Pay on the provider's page, as the buyer does."""
        return self.http.post(url, data={"card": card})

    def status(self, checkout_id: str, *, customer: str = "ada") -> Any:
        """Poll how a purchase stands."""
        found = request(f"GET /subscription-status/{checkout_id}", customer=customer)
        assert found.status == 200, found.text
        return found.json

    def account(self, *, customer: str = "ada") -> Any:
        """Read the whole account."""
        found = request("GET /subscription-status", customer=customer)
        assert found.status == 200, found.text
        return found.json

    def sync(self, *, customer: str = "ada") -> Answer:
        """Press "Missing a pass?"."""
        return request("POST /sync", customer=customer)

    # -- what Stripe and the clock do

    @property
    def stripe(self) -> stripe.StripeClient:
        """Stripe's own client, at the stand-in."""
        return client.client("sk_test_local", f"{self.fakes.url}/stripe")

    def events(self, since: int = 0, **more: Any) -> list[dict[str, Any]]:
        """Return Stripe's events as it sends them, the oldest first."""
        asked: dict[str, Any] = {"limit": 100, "created[gte]": since}
        asked |= {f"{name}[]" if isinstance(value, list) else name: value for name, value in more.items()}
        found: list[dict[str, Any]] = []
        while True:
            answer = self.http.get(f"{self.fakes.url}/stripe/v1/events", params=asked, auth=("sk_test_local", ""))
            page = answer.raise_for_status().json()
            found += page["data"]
            if not page["has_more"]:
                return found[::-1]
            asked["starting_after"] = found[-1]["id"]

    def deliver(self, event: Mapping[str, Any], *, at: int | None = None, secret: str = WEBHOOK_SECRET) -> Answer:
        """Deliver a Stripe event to receive_webhook, signed as Stripe signs."""
        raw = json.dumps(event)
        signature = stripe.WebhookSignature.generate_signature_header(raw, secret, at or self.now())
        return request("POST /webhooks/stripe", raw=raw, headers={"Stripe-Signature": signature})

    def work_queue(self, most: int = 10, *, wait_s: int = 0) -> list[str]:
        """Let process_webhook work on what is queued now, or first within *wait_s* seconds, and return the ids of the
        messages that failed.
        """
        sqs, url = boto3.client("sqs"), os.environ["PAIDUP_WEBHOOK_QUEUE_URL"]
        failed: list[str] = []
        for _ in range(most):
            messages = sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=10,
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
                WaitTimeSeconds=wait_s,
            ).get("Messages")
            wait_s = 0
            if not messages:
                break
            answer = invoke(*queue_event(*map(_record, messages)))
            bad = {one["itemIdentifier"] for one in answer["batchItemFailures"]}
            failed += bad
            for message in messages:
                if message["MessageId"] not in bad:
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return failed

    def hear_everything(self) -> None:
        """Deliver every event that Stripe has for endpoints, once and in order, and work the queue."""
        for event in self.events():
            assert self.deliver(event).status == 200
        assert self.work_queue(100) == []

    def sweep(self, *time_left_s: float) -> Any:
        """Let EventBridge run expire_sessions, which has that much time left each time that it looks."""
        return invoke("expire_sessions", sample("expire_sessions"), Context(*time_left_s))

    def pass_time(self, seconds: int) -> None:
        """Let time pass for Stripe and for the functions alike."""
        self.http.post(f"{self.fakes.url}/dev/clock", json={"advance_s": seconds}).raise_for_status()

    def stand_still(self, still: bool = True) -> None:
        """Stop the clock of Stripe and of the functions, so that time passes by `pass_time` alone; or let it run."""
        self.http.post(f"{self.fakes.url}/dev/clock", json={"stand_still": still}).raise_for_status()

    def trigger(self, path: str, **fields: Any) -> Any:
        """Let something happen at Stripe that no API call brings about."""
        answer = self.http.post(f"{self.fakes.url}/dev/stripe/{path}", json=fields)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def faults(self, **faults: Any) -> None:
        """Make Stripe as bad as the world."""
        self.http.post(f"{self.fakes.url}/dev/faults", json=faults).raise_for_status()

    def stripes_now(self) -> int:
        """Return the time of Stripe's clock."""
        return int(self.http.get(f"{self.fakes.url}/dev/clock").raise_for_status().json()["now"])

    def now(self) -> int:
        """Return the time of the functions' clock."""
        from paidup.edge import clock

        return clock.now()

    # -- what lies underneath

    @property
    def services(self) -> Services:
        """The shop that the functions work with."""
        return open_services()

    def customer(self) -> str:
        """Return a customer whom nobody else has."""
        return f"customer-{os.getpid()}-{next(self._numbers)}"


def changed(before: Account, after: Account, *checkouts: Checkout, now: int) -> ChangeSet:
    """Return what moves an account from *before* to *after*, with *checkouts*, as no function would."""
    change = ChangeSet(snapshot=Snapshot(account=before), policy=Policy(), now=now)
    for checkout in checkouts:
        change.put_checkout(checkout)
    change.account = after
    return change


def _record(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a function gets of a *message* in the queue."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": {
            name: {"stringValue": one["StringValue"], "dataType": one["DataType"]}
            for name, one in message["MessageAttributes"].items()
        },
    }


def settle_in(environment: Mapping[str, str], fakes: Fakes, rows: MemoryTable | None = None) -> None:
    """Point this process at *environment*, as a cold start does: nothing of another account is kept.

    With *rows*, they are DynamoDB's, in memory. All else of AWS is MiniStack's.
    """
    os.environ.update(environment)
    os.environ |= {
        "PAIDUP_STRIPE_API_BASE": f"{fakes.url}/stripe",
        "PAIDUP_CLOCK_FILE": str(fakes.clock_file),
        "PAIDUP_READS_PER_SECOND": "10000",  # while the clock stands still, nothing is refilled
        "PAIDUP_IDENTITY_ISSUER": fakes.issuer,
        "PAIDUP_IDENTITY_JWKS_URL": f"{fakes.issuer}/.well-known/jwks.json",
    }
    if rows is not None:
        _IN_MEMORY[environment["AWS_ACCESS_KEY_ID"]] = rows
    _forget()


def _forget() -> None:
    """Keep nothing of the account and the providers that were in use. The account in use from now on may be one whose
    table is in memory.
    """
    for cached in (
        aws.session,
        table.connect,
        budget.connect,
        queue.connect,
        secrets.connect,
        identity.connect,
        sockets.connect,
        access.connect,
        gate.connect,
    ):
        cached.cache_clear()
    boto3.setup_default_session(botocore_session=aws.session())
    if rows := _IN_MEMORY.get(os.environ.get("AWS_ACCESS_KEY_ID", "")):
        answer_for(aws.session(), rows)


@contextmanager
def opened(environment: Mapping[str, str], fakes: Fakes, rows: MemoryTable | None = None) -> Iterator[World]:
    """Open for business in *environment* while the block runs: nothing has happened yet but that there are offers, and
    the clock stands still. *rows* are as in `settle_in`.
    """
    before = dict(os.environ)
    settle_in(environment, fakes, rows)
    try:
        with httpx.Client(timeout=patient.WAIT_S) as http:
            made = World(fakes, http)
            for offer in OFFERS:
                made.services.table.put_offer(offer)
            made.stand_still()
            yield made
    finally:
        os.environ.clear()
        os.environ.update(before)
        _forget()
