"""Billing tokens in tests: how customers get them, what they say, and the API at which others find their keys."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.handlers import Answer, request
from tools.serving import Silent, serving

JWKS = "/.well-known/jwks.json"


@dataclass(slots=True)
class Issuer:
    """paidup's API at `url`, as verifiers reach it: its keys are those of the function. `asked`: how often."""

    url: str
    asked: int = 0
    away: bool = False


@contextmanager
def issuing() -> Iterator[Issuer]:
    """Answer requests for the keys while the block runs."""

    class Handler(Silent):
        def do_GET(self) -> None:
            made.asked += 1
            found = request(f"GET {self.path}")
            self.answer(503 if made.away else found.status, found.text.encode())

    with serving(Handler) as url:
        made = Issuer(url)
        yield made


def issued(customer: str) -> Any:
    """Return a billing token of *customer*, with what is said beside it."""
    answer = request("POST /billing-token", customer=customer)
    assert answer.status == 200, answer.text
    return answer.json


def ask_members(token: str | None, *, offer_id: str | None = None) -> Answer:
    """Ask for what only members read, by a billing token."""
    query = {"offer_id": offer_id} if offer_id else None
    return request("GET /members", query=query, headers={"Authorization": f"Bearer {token}" if token else None})


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Return the header, the claims and the signature of *token*."""
    header, claims, signature = (urlsafe_b64decode(part + "==") for part in token.split("."))
    return json.loads(header), json.loads(claims), signature


def encoded(part: Mapping[str, Any] | bytes) -> str:
    """Return *part* of a token as tokens carry it."""
    plain = part if isinstance(part, bytes) else json.dumps(part).encode()
    return urlsafe_b64encode(plain).rstrip(b"=").decode()
