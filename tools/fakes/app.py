"""The stand-ins as one ASGI application, and what works beside the requests: deliveries and the passing of time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from tools.fakes import due, page
from tools.fakes.dev import Dev
from tools.fakes.identity.provider import Identity
from tools.fakes.problems import Problem
from tools.fakes.stripe import sdk
from tools.fakes.stripe.api import OPERATIONS, Outage, StripeApi
from tools.fakes.stripe.dev import StripeDev
from tools.fakes.stripe.page import test_cards
from tools.fakes.stripe.pay import PayPage
from tools.fakes.stripe.payment_links import LinkPage
from tools.fakes.stripe.portal_page import PortalPage
from tools.fakes.stripe.webhook_sender import WebhookSender
from tools.fakes.stripe.wire import Refusal
from tools.fakes.stripe.world import World

LOOK_AT_LEAST_EVERY_S = 30.0
type Asgi = Callable[[Any, Any, Any], Awaitable[None]]


def build(world: World) -> Asgi:
    """Return the application for *world*."""
    webhook_sender, ticker = WebhookSender(world), asyncio.Event()
    api = StripeApi(world)

    def changed() -> None:
        webhook_sender.wake()
        ticker.set()

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        world.changed = changed
        work = (webhook_sender.run(), _let_time_pass(world, ticker), _load_types())
        tasks = [asyncio.create_task(each) for each in work]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def index(_: Request) -> Response:
        endpoints = [endpoint["url"] for endpoint in world.store.by("webhook_endpoint", status="enabled")]
        return HTMLResponse(page.index_page(world.base, endpoints, world.clock.http_date(), test_cards()))

    async def stripe(request: Request) -> Response:
        world.seen_as = f"http://{request.headers['host']}" if "host" in request.headers else world.base
        return await api(request)

    routes = [
        Route("/", index),
        *PayPage(world, webhook_sender).routes(),
        *PortalPage(world).routes(),
        *LinkPage(world).routes(),
        *Dev(world).routes(),
        *StripeDev(world).routes(),
        *Identity(world).routes(),
        Route("/stripe/{path:path}", stripe, methods=["GET", "POST", "DELETE", "PUT", "PATCH"]),
    ]
    handlers: dict[Any, Any] = {Problem: _problem, Refusal: _refusal, Outage: _outage}
    return _breakable(Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers))


async def _load_types() -> None:
    await asyncio.to_thread(sdk.load, [operation.params for operation in OPERATIONS])


async def _let_time_pass(world: World, ticker: asyncio.Event) -> None:
    while True:
        due.catch_up(world)
        ticker.clear()
        upcoming = world.store.next_due()
        wait = LOOK_AT_LEAST_EVERY_S if upcoming is None else max(0.05, upcoming - world.clock.exact())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ticker.wait(), min(wait, LOOK_AT_LEAST_EVERY_S))


async def _problem(_: Request, problem: Problem) -> Response:
    return problem.response()


async def _refusal(_: Request, refusal: Refusal) -> Response:
    return Problem(str(refusal), refusal.status).response()


class _Broken(Response):
    """No answer at all: the connection breaks."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002 -- the ASGI signature
        scope["connection"].abort()
        await asyncio.sleep(0.01)  # until the server has seen that nobody is there to answer


async def _outage(_: Request, __: Outage) -> Response:
    return _Broken()


def _breakable(app: Asgi) -> Asgi:
    """Let requests find the connection that they came by, which ASGI does not show."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        scope["connection"] = getattr(getattr(send, "__self__", None), "transport", None)
        await app(scope, receive, send)

    return serve
