"""How the tests drive the stand-ins: stripe-python's own client, the buyer's form, and the dev endpoints."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import stripe

from tests import patient
from tools.fakes.server import Fakes
from tools.serving import Silent, serving

DAY = 86_400
PAYS, DECLINED, ASKS, FAILS_LATER = "4242424242424242", "4000000000000002", "4000002500003155", "4000000000000341"


@dataclass
class Driver:
    """Everything a test does to the stand-ins at `fakes.url`."""

    fakes: Fakes
    client: stripe.StripeClient = field(init=False)
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        base = self.fakes.stripe_api_base
        self.client = stripe.StripeClient("sk_test_local", base_addresses={"api": base}, max_network_retries=0)
        self.http = httpx.Client(base_url=self.fakes.url, trust_env=False, timeout=patient.WAIT_S)

    def close(self) -> None:
        self.http.close()

    def customer(self, **params: Any) -> stripe.Customer:
        every: Any = {"email": "ada@example.com", **params}
        return self.client.v1.customers.create(every)

    def session(self, customer: str | None = None, **params: Any) -> stripe.checkout.Session:
        """Open a session for one thing at 15.00 EUR, monthly in subscription mode."""
        price: dict[str, Any] = {"currency": "eur", "unit_amount": 1500, "product_data": {"name": "Ten classes"}}
        if params.get("mode") == "subscription":
            price["recurring"] = {"interval": "month"}
        cart: dict[str, Any] = {
            "mode": "payment",
            "line_items": [{"quantity": 1, "price_data": price}],
            "success_url": "http://127.0.0.1:9/success?session={CHECKOUT_SESSION_ID}",
            "cancel_url": "http://127.0.0.1:9/cancel",
        }
        if customer:
            cart["customer"] = customer
        every: Any = cart | params
        return self.client.v1.checkout.sessions.create(every)

    def pay(self, session: stripe.checkout.Session, card: str = PAYS, **form: str) -> httpx.Response:
        """Send the buyer's form."""
        return self.http.post(f"/stripe/pay/{session.id}", data={"card": card, **form})

    def bought(self, mode: str = "payment", card: str = PAYS, **params: Any) -> stripe.checkout.Session:
        """Return a session that a fresh customer has paid."""
        session = self.session(self.customer().id, mode=mode, **params)
        assert self.pay(session, card).status_code == 303
        return self.client.v1.checkout.sessions.retrieve(session.id)

    def subscribed(self, card: str = PAYS, **data: Any) -> stripe.Subscription:
        """Return the subscription of a fresh customer who bought it by Checkout."""
        session = self.bought("subscription", card, subscription_data=data)
        assert isinstance(session.subscription, str)
        return self.client.v1.subscriptions.retrieve(session.subscription)

    def dev(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Post *body* to a dev endpoint, or get it where there is none."""
        url = f"/dev/{path}"
        answer = self.http.get(url) if body is None else self.http.post(url, json=body)
        assert answer.status_code == 200, answer.text
        result: dict[str, Any] = answer.json()
        return result

    def advance(self, seconds: int) -> int:
        """Let *seconds* pass and return the new time."""
        return int(self.dev("clock", {"advance_s": seconds})["now"])

    def events(self, about: str | None = None, **params: Any) -> list[dict[str, Any]]:
        """Return the events of 30 days, oldest first; only those whose object, or the object's parts, name *about*."""
        events: list[dict[str, Any]] = []
        asked: dict[str, Any] = {"limit": 100, **params}
        while True:
            answer = self.http.get("/stripe/v1/events", params=asked, auth=("sk_test_local", ""))
            assert answer.status_code == 200, answer.text
            page = answer.json()
            events += page["data"]
            if not page["has_more"] or "limit" in params:
                break
            asked["starting_after"] = page["data"][-1]["id"]
        return [event for event in events[::-1] if about is None or about in json.dumps(event["data"]["object"])]

    def types(self, about: str, **params: Any) -> list[str]:
        return [event["type"] for event in self.events(about, **params)]


@dataclass
class Inbox:
    """A webhook endpoint that keeps what came."""

    secret: str
    url: str = ""
    answer: Callable[[int], int] = lambda _: 200
    deliveries: list[dict[str, Any]] = field(default_factory=list)

    def types(self) -> list[str]:
        return [delivery["event"]["type"] for delivery in self.deliveries]

    def wait_for(self, found: Callable[["Inbox"], bool]) -> None:
        patient.eventually(lambda: found(self))


@contextmanager
def inbox(secret: str = "whsec_test", port: int = 0) -> Iterator[Inbox]:
    """Run a webhook endpoint that checks signatures with stripe-python while the block runs."""
    kept = Inbox(secret)

    class Endpoint(Silent):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            signature = self.headers["Stripe-Signature"]
            stamp = int(signature.partition(",")[0].removeprefix("t="))
            good = stripe.WebhookSignature.verify_header(body, signature, kept.secret, tolerance=None)
            event = json.loads(body)
            kept.deliveries.append({"event": event, "signature": signature, "stamp": stamp, "verified": good})
            self.answer(kept.answer(len(kept.deliveries)))

    with serving(Endpoint, port=port) as url:
        kept.url = f"{url}/hook"
        yield kept
