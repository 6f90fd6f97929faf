"""The wire between paidup and Stripe: what was asked is written down, and any answer can be spoiled."""

import http.client
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests import patient
from tools.serving import Silent, serving

DOES_NOT_TRAVEL = ("host", "connection", "transfer-encoding", "keep-alive", "accept-encoding")
LEFT_OUT = (*DOES_NOT_TRAVEL, "content-length")  # of an answer: its length is counted anew

type Spoil = Callable[["Exchange"], None]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request on the wire. `forward` brings it to Stripe, `answer` answers it; doing neither breaks it off."""

    request: str
    headers: Mapping[str, str]
    forward: Callable[[], tuple[int, list[tuple[str, str]], bytes]]
    answer: Callable[[int, list[tuple[str, str]], bytes], None]
    ended: threading.Event


def pass_on(exchange: Exchange) -> None:
    """Answer as Stripe does."""
    exchange.answer(*exchange.forward())


def be_down(exchange: Exchange) -> None:
    """Answer that Stripe is down, and that it is of no use to ask again at once."""
    exchange.answer(503, [("Stripe-Should-Retry", "false")], b'{"error": {"type": "api_error", "message": "Down."}}')


def gone(exchange: Exchange) -> None:
    """Answer that there is no such thing."""
    exchange.answer(404, [], b'{"error": {"type": "invalid_request_error", "code": "resource_missing"}}')


def forbidden(exchange: Exchange) -> None:
    """Answer that the key may not do this."""
    exchange.answer(403, [], b'{"error": {"type": "invalid_request_error", "message": "The key may not do this."}}')


def lose_the_request(exchange: Exchange) -> None:
    """Break off: Stripe has never heard of it."""


def lose_the_answer(exchange: Exchange) -> None:
    """Break off after Stripe has done it."""
    exchange.forward()


def never_answer(exchange: Exchange) -> None:
    """Take the request and say nothing for as long as the wire lasts."""
    exchange.ended.wait()


@dataclass(slots=True)
class Wire:
    """A wire to Stripe: `asked` are the requests so far, such as `POST /v1/checkout/sessions`."""

    url: str
    asked: list[str] = field(default_factory=list)
    _spoils: dict[str, Spoil] = field(default_factory=dict)

    def inject(self, request: str, how: Spoil) -> None:
        """Let every request that begins with *request* fare like *how*, until it is mended."""
        self._spoils[request] = how

    def mend(self) -> None:
        """Pass everything on again."""
        self._spoils.clear()

    def count(self, request: str) -> int:
        """Return how often a request that begins with *request* was made."""
        return sum(one.startswith(request) for one in self.asked)

    def carry(self, exchange: Exchange) -> None:
        """Carry one exchange."""
        self.asked.append(exchange.request)
        how = next((inject for name, inject in self._spoils.items() if exchange.request.startswith(name)), pass_on)
        how(exchange)


@contextmanager
def wire_to(stripe: str) -> Iterator[Wire]:
    """Put a wire before the Stripe at *stripe* (its API base) while the block runs."""
    ended = threading.Event()
    target = urlsplit(stripe)

    class Handler(Silent):
        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))

            def forward() -> tuple[int, list[tuple[str, str]], bytes]:
                there = http.client.HTTPConnection(target.hostname or "", target.port or 80, timeout=patient.WAIT_S)
                headers = {name: value for name, value in self.headers.items() if name.lower() not in DOES_NOT_TRAVEL}
                try:
                    there.request(self.command, target.path + self.path, body, headers)
                    found = there.getresponse()
                    return found.status, found.getheaders(), found.read()
                finally:
                    there.close()

            def send(status: int, headers: list[tuple[str, str]], text: bytes) -> None:
                kept = {name: value for name, value in headers if name.lower() not in LEFT_OUT}
                self.answer(status, text, kept)

            carried.carry(Exchange(f"{self.command} {self.path}", dict(self.headers), forward, send, ended))

        do_GET = do_POST = do_DELETE = handle_any

    with serving(Handler) as url:
        carried = Wire(url)
        try:
            yield carried
        finally:
            ended.set()
