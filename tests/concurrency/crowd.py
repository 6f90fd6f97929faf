"""A crowd: many functions at work at once, each in a process of its own, as Lambda has it.

Threads would not do: the functions' resolver keeps the request that it works on in one place of its process, because
Lambda never hands a process two at once.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

from stripe import WebhookSignature

from tests.handlers import Answer, Invocation, answer_of, http_event, invoke, queue_event
from tests.world import WEBHOOK_SECRET, settle_in
from tools.fakes.server import Fakes

AT_ONCE = 20
PRELOADED = ["__main__", "tests.concurrency.crowd", *(f"functions.{name}.app" for name in (
    "create_payment_token", "manage_purchase", "process_webhook", "receive_webhook", "subscription_status",
))]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """Where functions are deployed: their environment, and who stands in for the providers."""

    environment: Mapping[str, str]
    fakes: Fakes


@dataclass(frozen=True, slots=True)
class Crowd:
    """Processes that wait for work."""

    pool: ProcessPoolExecutor

    def invoke(self, place: Place, invocations: Sequence[Invocation]) -> list[Any]:
        """Invoke functions at *place*, as many at once as there are processes, and return their answers in order.

        Raises what a function raised.
        """
        return list(self.pool.map(_invoke, [place] * len(invocations), invocations))

    def request(self, place: Place, invocations: Sequence[Invocation]) -> list[Answer]:
        """Invoke functions that answer HTTP. What was too much for the machine just now (503) is asked again."""
        answers = list(map(answer_of, self.invoke(place, invocations)))
        while turned_away := [n for n, answer in enumerate(answers) if answer.status == 503]:
            again = self.invoke(place, [invocations[n] for n in turned_away])
            for n, found in zip(turned_away, again, strict=True):
                answers[n] = answer_of(found)
        return answers


_at: Place | None = None


def _invoke(place: Place, invocation: Invocation) -> Any:
    global _at
    if _at != place:
        settle_in(place.environment, place.fakes)
        os.environ.update(place.environment)
        _at = place
    return invoke(*invocation)


@contextmanager
def gathered() -> Iterator[Crowd]:
    """Gather a crowd while the block runs."""
    processes = get_context("forkserver")
    processes.set_forkserver_preload(PRELOADED)
    with ProcessPoolExecutor(AT_ONCE, mp_context=processes) as pool:
        yield Crowd(pool)


def click(buyer: str, offer_id: str = "day_pass", **more: Any) -> Invocation:
    """Return the click of *buyer* on "Buy"."""
    return http_event("POST /payment-tokens", customer=buyer, body={"offer_id": offer_id, **more})


def poll(buyer: str, checkout_id: str) -> Invocation:
    """Return *buyer*'s question how a purchase stands."""
    return http_event(f"GET /subscription-status/{checkout_id}", customer=buyer)


def look(buyer: str) -> Invocation:
    """Return *buyer*'s look at their account."""
    return http_event("GET /subscription-status", customer=buyer)


def webhook(event: Mapping[str, Any], *, at: int) -> Invocation:
    """Return Stripe's delivery of *event*, signed at the second *at*."""
    raw = json.dumps(event)
    signature = WebhookSignature.generate_signature_header(raw, WEBHOOK_SECRET, at)
    return http_event("POST /webhooks/stripe", raw=raw, headers={"Stripe-Signature": signature})


def batch(events: Sequence[Mapping[str, Any]]) -> Invocation:
    """Return what the queue hands out of *events*: message 0, 1…"""
    return queue_event(*({"messageId": str(n), "body": json.dumps(event)} for n, event in enumerate(events)))
