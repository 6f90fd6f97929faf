"""What the functions are asked while they are measured: each function's event in events/, for a customer of its own.

A webhook is of a checkout that was paid just now, and a cart is of a customer who never bought: the same event again
would only time how fast a function finds that everything is done already.
"""

import itertools
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from tools.fakes.server import API_KEY, Fakes
from tools.local import ministack, template
from tools.local.worker import Worker
from tools.signing import signed

CARD = "4242424242424242"

type Event = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What one function is asked. `event` returns the next event for it."""

    name: str
    function: str
    event: Callable[[], Awaitable[Event]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Customers:
    """Customers who do what an operation needs beforehand, by warm functions (`opener`, `receiver`, `issuer`)."""

    fakes: Fakes
    http: httpx.AsyncClient
    opener: Worker
    receiver: Worker
    issuer: Worker
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    async def operations(self) -> list[Operation]:
        """Return the operations: whatever only reads is asked about one purchase that was paid and settled."""
        customer, checkout_id = await self._bought()
        token = await said(self.issuer, signed_in("issue_billing_token", customer))

        def about(name: str) -> Callable[[], Awaitable[Event]]:
            async def event() -> Event:
                return signed_in(name, customer, checkout_id)

            return event

        async def use() -> Event:
            event = signed_in("manage_purchase_use", "host", checkout_id)
            event["headers"]["idempotency-key"] = "the one that is taken"  # a pass has ten
            return event

        async def member() -> Event:
            event = sample("members")
            event["headers"]["authorization"] = f"Bearer {token['token']}"
            return event

        return [
            Operation(name=name, function=name.partition(":")[0], event=event)
            for name, event in {
                "create_payment_token": self.cart,
                "receive_webhook": self.webhook,
                "process_webhook": self.batch,
                "subscription_status": about("subscription_status"),
                "subscription_status: poll": about("subscription_status_checkout"),
                "issue_billing_token": about("issue_billing_token"),
                "members": member,
                "manage_checkout": about("manage_checkout"),
                "manage_purchase": use,
                "bookings": about("bookings"),
                "manual_sync": self.sync,
                "expire_sessions": about("expire_sessions"),
                "authorize": self.request,
                "storefront": about("storefront"),
            }.items()
        ]

    async def cart(self) -> Event:
        """Return the cart of a customer who never bought anything."""
        return signed_in("create_payment_token", self._next())

    async def webhook(self) -> Event:
        """Return the webhook of a checkout that was paid just now, signed now."""
        _, _, body = await self._paid()
        return delivered(body)

    async def batch(self) -> Event:
        """Return a message of the queue, which holds such a webhook."""
        _, _, body = await self._paid()
        (record,) = sample("process_webhook")["Records"]
        return {"Records": [{**record, "body": body}]}

    async def sync(self) -> Event:
        """Return the sync of a customer who paid just now, and whose webhook was lost."""
        customer, _, _ = await self._paid()
        return signed_in("manual_sync", customer)

    async def request(self) -> Event:
        """Return what the authorizer is asked of a customer with a good token."""
        who = {"sub": self._next(), "roles": ["customer"]}
        answer = await self.http.post(f"{self.fakes.url}/identity/token", json=who)
        event = sample("authorize")
        event["headers"]["authorization"] = f"Bearer {answer.raise_for_status().json()['token']}"
        return event

    async def _bought(self) -> tuple[str, str]:
        """Let a customer buy, and return who did, and the checkout's id; the purchase is settled."""
        customer, checkout_id, body = await self._paid()
        answered = await said(self.receiver, delivered(body))
        if answered != {"received": "settled"}:
            raise SystemExit(f"A webhook was not settled, but {answered}.")
        return customer, checkout_id

    async def _paid(self) -> tuple[str, str, str]:
        """Let a customer pay: return who did, the checkout's id, and the event with which the provider says so."""
        customer = self._next()
        checkout = await said(self.opener, signed_in("create_payment_token", customer))
        answer = await self.http.post(checkout["url"], data={"card": CARD})
        if not answer.has_redirect_location:
            raise SystemExit(f"{customer} could not pay.")
        asked = {"type": "checkout.session.completed", "limit": "1"}
        url, key = f"{self.fakes.url}/stripe/v1/events", (API_KEY, "")
        listed = await self.http.get(url, params=asked, auth=key)
        (event,) = listed.raise_for_status().json()["data"]
        return customer, checkout["checkout_id"], json.dumps(event)

    def _next(self) -> str:
        return f"customer-{next(self._numbers)}"


def sample(name: str) -> Event:
    """Return the event events/<name>.json."""
    found: Event = json.loads((template.ROOT / f"events/{name}.json").read_bytes())
    return found


async def said(worker: Worker, event: Event) -> Any:
    """Return what an HTTP function says in the body of its answer to *event*."""
    answer = await worker.invoke(json.dumps(event).encode())
    if answer.failed:
        raise SystemExit(f"{worker.code.name} failed: {answer.error}")
    return json.loads(json.loads(answer.payload)["body"])


def delivered(body: str, *, at: int | None = None) -> Event:
    """Return the webhook that delivers the provider's event *body*, signed in the epoch second *at* (default: now)."""
    secret = ministack.STRIPE_SECRET["webhook_secrets"][0]
    return signed({**sample("receive_webhook"), "body": body}, secret, at=at or int(time.time()))


def signed_in(name: str, customer: str, checkout_id: str = "") -> Event:
    """Return the sample *name* as *customer* sends it, about *checkout_id* if it is about a checkout."""
    event = sample(name)
    context: Mapping[str, Any] = event.get("requestContext", {})
    if "authorizer" in context:
        context["authorizer"]["lambda"] |= {"customer_id": customer, "email": f"{customer}@example.com"}
    if "pathParameters" in event:
        _, _, path = event["routeKey"].partition(" ")
        (name,) = event["pathParameters"]
        event["rawPath"] = context["http"]["path"] = path.replace(f"{{{name}}}", checkout_id)
        event["pathParameters"] = {name: checkout_id}
    return event
