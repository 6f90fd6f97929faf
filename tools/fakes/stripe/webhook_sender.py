"""How events reach webhook endpoints: signed, repeated with growing pauses, and remembered over a restart."""

import asyncio
import hashlib
import hmac
import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from tools.fakes.store import Obj
from tools.fakes.stripe.events import shown
from tools.fakes.stripe.world import World

RETRY_AFTER_S = (4, 16, 64)
"""The sandbox tries three more times. Stripe's own pauses are hours; /dev/clock hurries these too."""
ANSWER_WITHIN_S = 10
AT_ONCE = 12


class WebhookSender:
    """Deliver what is due, one attempt after the other, until the stand-ins stop."""

    def __init__(self, world: World) -> None:
        """Deliver the events of *world*."""
        self._world = world
        self._awake = asyncio.Event()
        self._under_way: dict[int, asyncio.Task[None]] = {}
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="webhooks")
        self._answered: dict[str, asyncio.Event] = {}

    def wake(self) -> None:
        """Look again at what is due."""
        self._awake.set()

    async def run(self) -> None:
        """Deliver for ever."""
        try:
            while True:
                self._awake.clear()
                wait = self._start_due()
                try:
                    await asyncio.wait_for(self._awake.wait(), wait)
                except TimeoutError:
                    continue
        finally:
            for task in self._under_way.values():
                task.cancel()
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def answered(self, event_id: str, timeout_s: float) -> None:
        """Wait until every endpoint has answered *event_id* once, or the time is up."""
        done = self._answered.setdefault(event_id, asyncio.Event())
        if not self._unanswered(event_id):
            done.set()
        try:
            await asyncio.wait_for(done.wait(), timeout_s)
        except TimeoutError:
            return
        finally:
            self._answered.pop(event_id, None)

    def _start_due(self) -> float | None:
        room = AT_ONCE - len(self._under_way)
        now = self._world.clock.exact()
        waiting = self._world.store.db.execute(
            "SELECT * FROM deliveries WHERE status = 'pending' ORDER BY next_at, seq LIMIT ?", (AT_ONCE * 2,)
        ).fetchall()
        fresh = [row for row in waiting if row["seq"] not in self._under_way]
        for row in fresh[:room]:
            if row["next_at"] > now:
                return float(row["next_at"] - now)
            task = asyncio.create_task(self._attempt(row["seq"], row["event"], row["endpoint"], row["attempts"]))
            self._under_way[row["seq"]] = task
        return None

    async def _attempt(self, seq: int, event_id: str, endpoint_id: str, attempts: int) -> None:
        try:
            endpoint = self._world.store.get(endpoint_id)
            event = self._world.store.get(event_id)
            if event is None or endpoint is None or endpoint.get("status") != "enabled":
                self._record(seq, "failed", attempts, error="the endpoint is gone or disabled")
            elif self._world.faults.strikes("stripe", self._world.faults.drop):
                self._record(seq, "dropped", attempts, error="a fault dropped it")
            else:
                await self._deliver(seq, event, endpoint, attempts)
        finally:
            self._under_way.pop(seq, None)
            if event_id in self._answered and not self._unanswered(event_id):
                self._answered[event_id].set()
            self.wake()

    async def _deliver(self, seq: int, event: Obj, endpoint: Obj, attempts: int) -> None:
        world = self._world
        body = json.dumps(shown(world, event)).encode()
        began = world.clock.exact()
        copies = 2 if world.faults.strikes("stripe", world.faults.duplicate) else 1
        secret = world.store.noted(endpoint["id"], "secret")
        loop = asyncio.get_running_loop()
        sent = [
            loop.run_in_executor(self._threads, _post, endpoint["url"], body, sign(body, secret, world.now()))
            for _ in range(copies)
        ]
        status, error = (await asyncio.gather(*sent))[0]
        good = status is not None and 200 <= status < 300
        attempts += 1
        if good or attempts > len(RETRY_AFTER_S):
            self._record(seq, "succeeded" if good else "failed", attempts, status, error)
        else:
            again = began + RETRY_AFTER_S[attempts - 1]
            self._record(seq, "pending", attempts, status, error, next_at=again)

    def _record(
        self,
        seq: int,
        status: str,
        attempts: int,
        answer: int | None = None,
        error: str | None = None,
        *,
        next_at: float | None = None,
    ) -> None:
        now = self._world.clock.exact()
        self._world.store.db.execute(
            "UPDATE deliveries SET status = ?, attempts = ?, answer = ?, error = ?, answered_at = ?, next_at = ? "
            "WHERE seq = ?",
            (status, attempts, answer, error, now, next_at or now, seq),
        )

    def _unanswered(self, event_id: str) -> bool:
        row = self._world.store.db.execute(
            "SELECT 1 FROM deliveries WHERE event = ? AND answered_at IS NULL LIMIT 1", (event_id,)
        ).fetchone()
        return row is not None


def sign(body: bytes, secret: str, second: int) -> str:
    """Return the `Stripe-Signature` header of *body*, signed with *secret* at that *second*."""
    digest = hmac.new(secret.encode(), f"{second}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={second},v1={digest}"


def _post(url: str, body: bytes, signature: str) -> tuple[int | None, str | None]:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    connect: Any = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = connect(parts.hostname, parts.port, timeout=ANSWER_WITHIN_S)
    headers = {"Content-Type": "application/json; charset=utf-8", "Stripe-Signature": signature}
    headers["User-Agent"] = "Stripe/1.0 (+https://stripe.com/docs/webhooks)"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException) as error:
        return None, type(error).__name__
    finally:
        connection.close()
    return answer.status, None
