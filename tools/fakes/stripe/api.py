"""Stripe's HTTP API: keys, idempotency, rate limits and errors around the operations."""

import asyncio
import base64
import json
import re
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tools.fakes import due
from tools.fakes.faults import dice
from tools.fakes.store import new_id
from tools.fakes.stripe import (
    account,
    balance,
    catalog,
    checkout,
    customers,
    disputes,
    events,
    invoice_api,
    payment_links,
    payments,
    portal,
    previews,
    promotions,
    refunds,
    sdk,
    subscription_api,
    views,
    wire,
)
from tools.fakes.stripe.operation import Operation
from tools.fakes.stripe.wire import Refusal
from tools.fakes.stripe.world import World

OPERATIONS: tuple[Operation, ...] = (
    *checkout.OPERATIONS,
    *customers.OPERATIONS,
    *catalog.OPERATIONS,
    *promotions.OPERATIONS,
    *portal.OPERATIONS,
    *payment_links.OPERATIONS,
    *subscription_api.OPERATIONS,
    *previews.OPERATIONS,
    *invoice_api.OPERATIONS,
    *payments.OPERATIONS,
    *refunds.OPERATIONS,
    *balance.OPERATIONS,
    *disputes.OPERATIONS,
    *events.OPERATIONS,
    *account.OPERATIONS,
)
KEY_KEPT_S = 24 * 3600
KEY_LENGTH = 255
FORM = "application/x-www-form-urlencoded"


class Outage(Exception):
    """The provider is away: the connection breaks without an answer."""


@dataclass(slots=True)
class Answer:
    """An answer on its way out. `stored`: its idempotency key replays it."""

    status: int
    body: str
    stored: bool = False
    replayed_from: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request that found its operation. `print` tells requests under the same idempotency key apart."""

    operation: Operation
    ids: tuple[str, ...]
    raw: dict[str, Any]
    request_id: str
    key: str | None = None
    print: str = ""


class StripeApi:
    """Answer requests to `/stripe/v1`."""

    def __init__(self, world: World) -> None:
        """Answer from *world*."""
        self._world = world
        self._keys_in_use: set[str] = set()
        self._routes = [(op, re.compile(op.path.replace("{}", "([^/]+)"))) for op in OPERATIONS]

    async def __call__(self, request: Request) -> Response:
        """Answer one request. Raises `Outage` where a fault says so."""
        request_id = new_id("req_", 14)
        key = request.headers.get("idempotency-key") if request.method == "POST" else None
        body = (await request.body()).decode("utf-8", "replace")
        self._world.count(_application(request))
        try:
            answer = await self._answer(request, body, key, request_id)
        except Refusal as refusal:
            answer = _refused(refusal, request_id)
        headers = {"Request-Id": request_id, "Stripe-Version": sdk.api_version()}
        headers["Date"] = self._world.clock.http_date()
        if key:
            headers["Idempotency-Key"] = key
        if answer.replayed_from:
            headers |= {"Idempotent-Replayed": "true", "Original-Request": answer.replayed_from}
        if answer.status == 429:
            headers["Stripe-Rate-Limited-Reason"] = "global-rate"
        if answer.status == 409 or answer.status >= 500:  # of a rate limit Stripe leaves it to the caller
            headers["Stripe-Should-Retry"] = "false" if answer.stored else "true"
        return Response(answer.body, answer.status, headers, "application/json")

    async def _answer(self, request: Request, body: str, key: str | None, request_id: str) -> Answer:
        self._check_key(request)
        _check_version(request)
        method, path = request.method, request.url.path.removeprefix("/stripe")
        operation, ids = self._route(method, path)
        self._world.requests[f"{method} {operation.path}"] += 1
        call = Call(operation=operation, ids=ids, raw=_form(request, body), request_id=request_id)
        if key is None:
            return await self._struck(call)
        if len(key) > KEY_LENGTH:
            message = f"Invalid Idempotency-Key: it must be at most {KEY_LENGTH} characters."
            raise Refusal(message, type_="idempotency_error")
        if key in self._keys_in_use:
            raise _in_use(key)
        print_ = f"{path} {sha256(json.dumps([method, path, call.raw], sort_keys=True).encode()).hexdigest()}"
        if replay := self._replay(key, print_):
            return replay
        self._keys_in_use.add(key)
        try:
            return await self._struck(replace(call, key=key, print=print_))
        finally:
            self._keys_in_use.discard(key)

    async def _struck(self, call: Call) -> Answer:
        """Run *call* as well as the faults let it: half of those that fail have had their effect."""
        faults = self._world.faults
        if faults.concerns("stripe") and faults.latency_ms:
            await asyncio.sleep(faults.latency_ms / 1000)
        if not faults.strikes("stripe", faults.error_rate):
            return self._run(call)
        if faults.error_kind == "rate_limit":
            raise Refusal("Request rate limit exceeded.", code="rate_limit", status=429)
        outage = faults.error_kind == "outage"
        if dice.random() < 0.5:
            raise Outage if outage else _broken()
        answer = self._run(call, breaks=not outage)
        if outage:
            raise Outage
        return answer

    def _run(self, call: Call, *, breaks: bool = False) -> Answer:
        """Run *call* and remember its answer in one transaction; one that *breaks* has its effect all the same."""
        world = self._world
        due.catch_up(world)
        params = sdk.accept(call.operation.params, call.raw)
        call.operation.check_modelled(params)
        world.request_id, world.idempotency_key = call.request_id, call.key
        try:
            with world.store.transaction():
                answer = self._begun(call, params)
                if breaks:
                    answer = _refused(_broken(), call.request_id)
                if call.key is not None:
                    answer.stored = True
                    body = answer.body
                    world.store.remember(call.key, call.print, answer.status, body, call.request_id, world.now())
        finally:
            world.request_id = world.idempotency_key = None
            world.changed()
        return answer

    def _begun(self, call: Call, params: dict[str, Any]) -> Answer:
        """Run *call*; what it wrote before a refusal is undone, unless the refusal keeps it."""
        try:
            with self._world.store.transaction():
                return self._perform(call, params)
        except Refusal as refusal:
            if refusal.began and call.key is not None:
                return _refused(refusal, call.request_id)
            raise

    def _perform(self, call: Call, params: dict[str, Any]) -> Answer:
        world = self._world
        try:
            result = call.operation.run(world, params, *call.ids)
        except Refusal as refusal:
            if not refusal.keep:
                raise
            return _refused(refusal, call.request_id)
        return Answer(200, json.dumps(views.expand(world, result, params.get("expand", []))))

    def _route(self, method: str, path: str) -> tuple[Operation, tuple[str, ...]]:
        for operation, pattern in self._routes:
            if operation.method == method and (match := pattern.fullmatch(path)):
                return operation, match.groups()
        raise wire.unrecognized(method, path)

    def _replay(self, key: str, print_: str) -> Answer | None:
        self._world.store.forget_answers(self._world.now() - KEY_KEPT_S)
        known = self._world.store.remembered(key)
        if known is None:
            return None
        known_path = known["request"].partition(" ")[0]
        if known_path != print_.partition(" ")[0]:
            raise _mismatch(f"for the same endpoint they were first used for ('{known_path}')", key)
        if known["request"] != print_:
            raise _mismatch("with the same parameters they were first used with", key)
        return Answer(known["status"], known["body"], stored=True, replayed_from=known["request_id"])

    def _check_key(self, request: Request) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                given = base64.b64decode(given).decode().partition(":")[0]
            except ValueError:
                given = ""
        if not given:
            message = (
                "You did not provide an API key. You need to provide your API key in the Authorization header, using "
                "Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See "
                "https://stripe.com/docs/api#authentication for details, or we can help at https://support.stripe.com/."
            )
            raise Refusal(message, status=401)
        if given.strip() != self._world.api_key:
            hidden = f"{given[:8]}{'*' * max(0, len(given) - 12)}{given[-4:]}" if len(given) > 12 else "*" * len(given)
            raise Refusal(f"Invalid API Key provided: {hidden}", status=401)


def _application(request: Request) -> str:
    """Return the name that the application of Stripe's library gave itself, empty if it has none."""
    try:
        return str(json.loads(request.headers["x-stripe-client-user-agent"])["application"]["name"])
    except (KeyError, TypeError, ValueError):
        return ""


def _check_version(request: Request) -> None:
    version = request.headers.get("stripe-version", sdk.api_version())
    if version != sdk.api_version():
        message = f"The stand-in speaks API version {sdk.api_version()} alone; you asked for {version}."
        raise Refusal(message, code="not_modelled_by_stand_in")


def _form(request: Request, body: str) -> dict[str, Any]:
    if request.method == "POST" and body:
        kind = request.headers.get("content-type", FORM).partition(";")[0].strip()
        if kind != FORM:
            message = f"Invalid request (check that your POST content type is {FORM}). Yours is {kind}."
            raise Refusal(message)
        return wire.decode(body)
    return wire.decode(request.url.query or body)


def _refused(refusal: Refusal, request_id: str) -> Answer:
    error = refusal.error | {"request_log_url": f"https://dashboard.stripe.com/test/logs/{request_id}"}
    return Answer(refusal.status, json.dumps({"error": error}))


def _broken() -> Refusal:
    message = "An unknown error occurred; this stand-in was told to fail."
    return Refusal(message, type_="api_error", status=500)


def _in_use(key: str) -> Refusal:
    message = (
        "There is currently another in-progress request using this Idempotent Key (that probably means you submitted "
        f"twice, and the other request is still going through): {key}. Please try again later."
    )
    return Refusal(message, code="idempotency_key_in_use", type_="idempotency_error", status=409)


def _mismatch(why: str, key: str) -> Refusal:
    message = (
        f"Keys for idempotent requests can only be used {why}. Try using a key other than '{key}' if you meant to "
        "execute a different request."
    )
    return Refusal(message, type_="idempotency_error")
