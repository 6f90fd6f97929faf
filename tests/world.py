"""A whole small world for tests: the real handlers, a fresh account at MiniStack, and Stripe's stand-in."""

import importlib
import json
import os
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import httpx
import stripe
from paidup.edge.services import open_services
from paidup.flows.services import Services
from paidup.model.account import Account
from paidup.model.checkout import Checkout
from paidup.model.offer import Interval, Kind, Offer
from paidup.model.policy import Policy
from paidup.model.snapshot import ChangeSet, Snapshot
from paidup.outside import identity, queue, secrets
from paidup.outside.dynamo import table
from paidup.outside.stripe import client

from tools.fakes.server import Fakes

EVENTS = Path(__file__).parents[1] / "events"
ORIGIN = "http://127.0.0.1:8787"
WEBHOOK_SECRET = "whsec_localstackonly000000000000"

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
)


class Context:
    """Lambda's context, as far as a function sees it."""

    function_name = "paidup"
    memory_limit_in_mb = 1024
    invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:paidup"
    aws_request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"

    def __init__(self, time_left_s: float = 60.0) -> None:
        self._time_left_s = time_left_s

    def get_remaining_time_in_millis(self) -> int:
        return int(self._time_left_s * 1000)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer of a function."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def sample(name: str) -> dict[str, Any]:
    """Return the event events/<name>.json."""
    found: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return found


def function(name: str) -> Any:
    """Return the handler of functions/<name>/app.py."""
    return importlib.import_module(f"functions.{name}.app").handler


@dataclass(slots=True)
class World:
    """The functions, driven as API Gateway, SQS and EventBridge drive them, and Stripe's side of it."""

    fakes: Fakes
    http: httpx.Client
    _numbers: Any = field(default_factory=count)

    # -- what customers do

    def call(
        self,
        name: str,
        event: str,
        *,
        customer: str | None = "ada",
        body: Any = None,
        raw: str | None = None,
        path: str | None = None,
        headers: Mapping[str, str] | None = None,
        base64: bool = False,
    ) -> Answer:
        """Invoke the function *name* with the sample *event*, as *customer* (None: nobody signed in)."""
        request = deepcopy(sample(event))
        if path:
            request["rawPath"] = request["requestContext"]["http"]["path"] = path
        if customer is None:
            request["requestContext"].pop("authorizer", None)
        elif "authorizer" in request["requestContext"]:
            caller = {"customer_id": customer, "email": f"{customer}@example.com", "roles": ["customer"]}
            request["requestContext"]["authorizer"]["lambda"] = caller
        if body is not None or raw is not None:
            text = raw if raw is not None else json.dumps(body)
            request["body"] = b64encode(text.encode()).decode() if base64 else text
            request["isBase64Encoded"] = base64
        request["headers"] |= {key.lower(): value for key, value in (headers or {}).items()}
        found = function(name)(request, Context())
        many = {key: values[0] for key, values in found.get("multiValueHeaders", {}).items()}
        named = {**many, **found.get("headers", {})}
        return Answer(found["statusCode"], {key.lower(): str(value) for key, value in named.items()}, found["body"])

    def buy(self, offer_id: str = "ten_class_pass", *, customer: str = "ada", **more: Any) -> Answer:
        """Ask for a payment token."""
        headers = more.pop("headers", None)
        body = {"offer_id": offer_id, **more}
        return self.call("create_payment_token", "create_payment_token", customer=customer, body=body, headers=headers)

    def pay(self, url: str, card: str = "4242424242424242") -> httpx.Response:
        """Pay on the provider's page, as the buyer does."""
        return self.http.post(url, data={"card": card})

    def status(self, checkout_id: str, *, customer: str = "ada") -> Any:
        """Poll how a purchase stands."""
        path = f"/subscription-status/{checkout_id}"
        found = self.call("subscription_status", "subscription_status_checkout", customer=customer, path=path)
        assert found.status == 200, found.text
        return found.json

    def account(self, *, customer: str = "ada") -> Any:
        """Read the whole account."""
        found = self.call("subscription_status", "subscription_status", customer=customer)
        assert found.status == 200, found.text
        return found.json

    def sync(self, *, customer: str = "ada") -> Answer:
        """Press "Missing a pass?"."""
        return self.call("manual_sync", "manual_sync", customer=customer)

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
        return self.call(
            "receive_webhook", "receive_webhook", customer=None, raw=raw, headers={"Stripe-Signature": signature}
        )

    def work_queue(self, most: int = 10) -> list[str]:
        """Let process_webhook work on what is queued now, and return the ids of the messages that failed."""
        sqs, url = boto3.client("sqs"), os.environ["PAIDUP_WEBHOOK_QUEUE_URL"]
        failed: list[str] = []
        for _ in range(most):
            messages = sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=10,
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
                WaitTimeSeconds=0,
            ).get("Messages")
            if not messages:
                break
            batch = sample("process_webhook")
            template = batch["Records"][0]
            batch["Records"] = [
                {
                    **template,
                    "messageId": message["MessageId"],
                    "receiptHandle": message["ReceiptHandle"],
                    "body": message["Body"],
                    "attributes": {**template["attributes"], **message["Attributes"]},
                    "messageAttributes": {
                        name: {"stringValue": one["StringValue"], "dataType": one["DataType"]}
                        for name, one in message["MessageAttributes"].items()
                    },
                }
                for message in messages
            ]
            answer = function("process_webhook")(batch, Context())
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

    def sweep(self, time_left_s: float = 60.0) -> Any:
        """Let EventBridge run expire_sessions."""
        return function("expire_sessions")(sample("expire_sessions"), Context(time_left_s))

    def pass_time(self, seconds: int) -> None:
        """Let time pass for Stripe and for the functions alike."""
        self.http.post(f"{self.fakes.url}/dev/clock", json={"advance_s": seconds}).raise_for_status()

    def stand_still(self, still: bool = True) -> None:
        """Stop the clock of Stripe and of the functions, so that time passes by `pass_time` alone; or let it run."""
        self.http.post(f"{self.fakes.url}/dev/clock", json={"stand_still": still}).raise_for_status()

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


def settle_in(environment: Mapping[str, str], fakes: Fakes) -> None:
    """Point this process at *environment*, as a cold start does: nothing of another account is kept."""
    os.environ.update(environment)
    os.environ |= {
        "PAIDUP_STRIPE_API_BASE": f"{fakes.url}/stripe",
        "PAIDUP_CLOCK_FILE": str(fakes.clock_file),
        "PAIDUP_IDENTITY_ISSUER": fakes.issuer,
        "PAIDUP_IDENTITY_JWKS_URL": f"{fakes.issuer}/.well-known/jwks.json",
    }
    for cached in (table.connect, queue.connect, identity.connect):
        cached.cache_clear()
    secrets.connect.cache_clear()
    boto3.setup_default_session()


@contextmanager
def opened(environment: Mapping[str, str], fakes: Fakes) -> Iterator[World]:
    """Open for business in *environment* while the block runs: nothing has happened yet but that there are offers."""
    before = dict(os.environ)
    settle_in(environment, fakes)
    with httpx.Client(timeout=20) as http:
        made = World(fakes, http)
        for offer in OFFERS:
            made.services.table.put_offer(offer)
        made.stand_still()
        yield made
    os.environ.clear()
    os.environ.update(before)
