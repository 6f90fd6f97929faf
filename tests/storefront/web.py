"""All that a page can reach: the real storefront, and answers in place of the API and the identity provider.

A test changes `answers` ("GET /offers" to an answer, or to a list of which the last one stays; "GET
/bookings?status=live" to those of one status alone; "POST /purchases/co_1/change?preview=true" to what a change would
cost) and reads `asked`.
"""

import base64
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.storefront.event import get

LATER = 1_800_000_000  # 15 January 2027


def an_offer(offer_id: str, name: str, **changes: Any) -> dict[str, Any]:
    """Return an offer as the API shows it."""
    usual = {"offer_id": offer_id, "name": name, "kind": "pass", "amount": 12000, "currency": "eur", "digits": 2}
    group = "subscriptions" if changes.get("kind") == "subscription" else None
    sold = {"interval_count": 1, "max_quantity": 10_000, "adjustable_quantity": False}
    return usual | sold | {"group": group, "allow_several": False, "providers": ["stripe"]} | changes


OFFERS = [
    an_offer("ten", "Ten classes", valid_days=180),
    an_offer("monthly", "Monthly membership", kind="subscription", amount=4950, interval="month"),
    an_offer("live", "Live session", kind="live_session", amount=900, currency="jpy", digits=0, max_quantity=1),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer; `lost` means that none comes back, `silent` that none ever does."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    lost: bool = False
    silent: bool = False


LOST, SILENT = Answer(lost=True), Answer(silent=True)


def problem(status: int, title: str, next_step: str, **headers: str) -> Answer:
    """Return a refusal as the API words it."""
    body = {"title": title, "detail": "A word for engineers.", "status": status, "next": next_step}
    kind = {"Content-Type": "application/problem+json"}
    return Answer(status=status, body=body | {"request_id": "request-7"}, headers=kind | headers)


def refusal(status: int, slug: str) -> Answer:
    """Return a refusal of the kind *slug*, whose words are for engineers."""
    refused = problem(status, "A title for engineers", "POST /somewhere.")
    return Answer(status=status, body=refused.body | {"type": f"urn:paidup:problem:{slug}"}, headers=refused.headers)


def a_purchase(**changes: Any) -> dict[str, Any]:
    """Return a pass as the API shows it."""
    usual = {"purchase_id": "co_1", "checkout_id": "co_1", "offer_id": "monthly", "kind": "subscription"}
    known = {"status": "active", "quantity": 1, "amount": 4950, "currency": "eur", "digits": 2, "refunded": 0}
    return usual | known | {"provider": "stripe", "renews_at": LATER, "until": LATER + 604_800} | changes


def account(*purchases: dict[str, Any], **more: Any) -> Answer:
    """Return a whole account as the API shows it; *more* is an open `checkout` or `booking`."""
    body = {"customer_id": "usr_ada", "billing_version": 1, "access": [], "purchases": list(purchases)}
    return Answer(body=body | more)


def checkout(following: str = "pay", **changes: Any) -> dict[str, Any]:
    """Return how a checkout stands, as the API shows it, with what to do next."""
    usual = {"checkout_id": "co_1", "offer_id": "monthly", "quantity": 1, "amount": 4950}
    money = {"currency": "eur", "digits": 2}
    status = {"pay": "open", "recover": "expired", "done": "completed"}[following]
    known = {"status": status, "provider": "stripe", "expires_at": LATER, "next": following}
    kept = {"context": {"offer": "Monthly membership", "from": "/"}, "remaining_s": 82_800 if following == "pay" else 0}
    return usual | money | known | kept | changes


def a_booking(**changes: Any) -> dict[str, Any]:
    """Return a live session as the API shows it."""
    usual = {
        "booking_id": "co_1",
        "checkout_id": "co_1",
        "purchase_id": "co_1",
        "offer_id": "live",
        "status": "waiting",
    }
    times = {"created_at": LATER, "accept_by": LATER + 900, "remaining_s": 900}
    return usual | times | {"if_called_off": "refunded"} | changes


def purchase(state: str, purchase: dict[str, Any] | None = None, *, again_ms: int = 10, moments: Any = ()) -> Answer:
    """Return how one purchase stands."""
    body = {"state": state, "attempt_after_ms": again_ms, "billing_version": 1, "timeline": list(moments)}
    return Answer(body=body | ({"purchase": purchase} if purchase else {}))


def access(purchase_id: str, offer_id: str, **changes: Any) -> dict[str, Any]:
    """Return something that may be used now, as the API shows it."""
    usual = {"purchase_id": purchase_id, "offer_id": offer_id, "kind": "subscription", "status": "active"}
    return usual | {"quantity": 1} | changes


def preview(**changes: Any) -> Answer:
    """Return what a change to the yearly membership costs, as the API says it."""
    usual = {"offer_id": "yearly", "quantity": 1, "due_now": 44_100, "credited": 0, "next_amount": 49_000}
    return Answer(body=usual | {"next_at": LATER, "currency": "eur", "digits": 2} | changes)


ADA = {"sub": "usr_ada", "email": "ada@example.com", "aud": "paidup"}


def a_token(claims: dict[str, Any], *, lives_s: int = 3_600) -> str:
    """Return a JSON web token that says *claims*, and that nobody signed."""
    claims = {"iat": 1_700_000_000, "exp": 1_700_000_000 + lives_s} | claims
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({}, claims))
    return ".".join([*parts, "signature"])


def billing(version: int, *grants: dict[str, Any]) -> Answer:
    """Return a billing token of *version* with what it grants, as the API gives it."""
    token = a_token({"sub": "usr_ada", "billing_version": version}, lives_s=900)
    known = {"billing_version": version, "access": list(grants), "truncated": False}
    return Answer(body={"token": token, "expires_at": LATER} | known)


def members(version: int, *grants: dict[str, Any]) -> Answer:
    """Return what members are answered."""
    return Answer(body={"customer_id": "usr_ada", "billing_version": version, "access": list(grants)})


class Web:
    """Answers for a shop that works, and a visitor who owns nothing."""

    def __init__(self, origin: str) -> None:
        """Lie at *origin* (http://127.0.0.1:…); the identity provider and the payment page are at localhost."""
        other = origin.replace("127.0.0.1", "localhost")
        self.shop, self.issuer, self.payment_page = origin, f"{other}/pool", f"{other}/pay"
        self.asked: list[str] = []
        self.sent: dict[str, str] = {}
        self.keys: list[str] = []
        self.claims: dict[str, Any] = {}
        self.refresh_tokens = ["refresh-1"]  # the last one is good, those before were used
        self.asked_for: dict[str, str] = {}
        self.over = threading.Event()
        self.one_at_a_time = threading.Lock()
        opened = {"checkout_id": "co_1", "offer_id": "monthly", "url": self.payment_page, "expires_at": LATER}
        synced = {"scanned": 3, "granted": [], "unchanged": 3, "problems": []}
        self.answers: dict[str, Answer | list[Answer]] = {
            "GET /offers": Answer(body={"offers": OFFERS}),
            "POST /payment-tokens": Answer(status=201, body=opened),
            "GET /subscription-status": account(),
            "GET /subscription-status/co_1": purchase("confirming"),
            "GET /checkouts/co_1": Answer(body=checkout(url=self.payment_page)),
            "POST /client-metrics": Answer(status=204),
            "GET /bookings": Answer(body={"bookings": []}),
            "GET /bookings?status=live": Answer(body={"bookings": []}),
            "POST /sync": Answer(body=synced),
            "GET /pay": Answer(body="<title>Pay</title><h1>Pay here</h1>"),
            "GET /pool/logout": Answer(body=f'<title>Bye</title><a href="{origin}/">Signed out</a>'),
            "GET /pool/.well-known/openid-configuration": Answer(
                body={
                    "authorization_endpoint": f"{self.issuer}/authorize",
                    "token_endpoint": f"{self.issuer}/token",
                    "end_session_endpoint": f"{self.issuer}/logout",
                }
            ),
        }

    def times(self, what: str) -> int:
        """Return how many times *what* ("POST /sync") was asked for."""
        return self.asked.count(what)

    def answer(self, method: str, address: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Return the answer to one request."""
        parts = urlsplit(address)
        name, query = f"{method} {parts.path}", dict(parse_qsl(parts.query))
        self.asked.append(name)
        if (of_a_status := f"{name}?status={query.get('status')}") in self.answers:
            name = of_a_status
        if "preview" in query:
            name = f"{name}?preview={query['preview']}"
        if name in self.answers:
            self.sent[name] = body.decode()
            self.keys.append(headers.get("Idempotency-Key", ""))
            answers = self.answers[name]
            return answers if isinstance(answers, Answer) else answers.pop(0) if len(answers) > 1 else answers[0]
        if name == "GET /pool/authorize":
            return self._sign_in(query)
        if name == "POST /pool/token":
            return self._token(dict(parse_qsl(body.decode())))
        with self.one_at_a_time:  # as Lambda does; the resolver keeps the event that it works on
            served = get(parts.path, **{name.lower(): value for name, value in headers.items()})
        return Answer(status=int(served["statusCode"]), body=served["body"], headers=served["headers"])

    def _sign_in(self, query: dict[str, str]) -> Answer:
        self.asked_for = query
        back = f"{query['redirect_uri']}?state={query['state']}"
        ways = f'<a href="{back}&code=c1">Sign in as Ada</a> <a href="{back}&error=access_denied">Leave</a>'
        return Answer(body=f"<title>Who?</title>{ways}")

    def _token(self, form: dict[str, str]) -> Answer:
        if form["grant_type"] == "refresh_token":
            return self._refresh(form["refresh_token"])
        challenge = base64.urlsafe_b64encode(sha256(form["code_verifier"].encode()).digest()).decode().rstrip("=")
        if challenge != self.asked_for["code_challenge"] or form["redirect_uri"] != self.asked_for["redirect_uri"]:
            return Answer(status=400, body={"error": "invalid_grant"})
        usual = {"sub": "usr_ada", "email": "ada@example.com", "aud": "paidup", "nonce": self.asked_for["nonce"]}
        return Answer(body={"id_token": a_token(usual | self.claims)})

    def _refresh(self, used: str) -> Answer:
        if used != self.refresh_tokens[-1]:
            return Answer(status=400, body={"error": "invalid_grant"})
        self.refresh_tokens.append(f"refresh-{len(self.refresh_tokens) + 1}")
        return Answer(body={"id_token": a_token(ADA), "refresh_token": self.refresh_tokens[-1]})


class Server(ThreadingHTTPServer):
    """Serves `web`, whichever the running test has put there."""

    daemon_threads = True
    web: Web

    def __init__(self) -> None:
        """Listen at any free port of this machine."""
        super().__init__(("127.0.0.1", 0), _Request)

    @property
    def origin(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        web = self.server.web
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = web.answer(self.command, self.path, dict(self.headers.items()), body)
        if answer.silent:
            web.over.wait()
        if answer.silent or answer.lost:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")  # and the line goes dead
            self.close_connection = True
            return
        text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
        kind = "text/html" if isinstance(answer.body, str) else "application/json"
        content = b"" if answer.status in (204, 304) else text.encode()
        self.send_response(answer.status)
        own = {"Content-Type": kind, "Access-Control-Allow-Origin": "*", "Content-Length": str(len(content))}
        for name, value in (own | answer.headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_DELETE = do_GET

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named by the library
        pass
