"""The routes of the buyer's page: show it, take the payment, wait as Stripe does, send the buyer back."""

from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from tools.fakes import due
from tools.fakes.store import Obj
from tools.fakes.stripe import buyer, cards, checkout, choices, page
from tools.fakes.stripe.buyer import Outcome
from tools.fakes.stripe.webhook_sender import WebhookSender
from tools.fakes.stripe.world import World

REDIRECT_WAITS_S = 10
STATUS = {"declined": 402, "closed": 410}


class PayPage:
    """Show and take payments of sessions."""

    def __init__(self, world: World, webhook_sender: WebhookSender) -> None:
        """Pay in *world*. *webhook_sender* tells when the merchant has heard of it."""
        self._world, self._sender = world, webhook_sender

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/stripe/pay/{session}", self.show, methods=["GET"]),
            Route("/stripe/pay/{session}", self.take, methods=["POST"]),
            Route("/stripe/pay/{session}/authenticate", self.ask, methods=["GET"]),
            Route("/stripe/pay/{session}/authenticate", self.authenticate, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """Show the page of a session, whatever its status."""
        session = self._session(request)
        if session is None:
            return HTMLResponse(page.missing_page(), 404)
        if session["status"] != "open":
            return HTMLResponse(page.closed_page(session))
        return self._page(session, "", {}, 200)

    async def take(self, request: Request) -> Response:
        """Take a payment: form fields `card`, `method`, `email`, and the `choices`. `update` pays nothing yet."""
        form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        session = self._session(request)
        if session is None:
            return HTMLResponse(page.missing_page(), 404)
        card = _choice(form)
        with self._world.store.transaction():
            problem = self._chosen(session, form)
            if problem is None:
                outcome = buyer.pay(self._world, session, card=card, email=form.get("email"))
        if problem is not None:
            return self._page(session, problem, form, STATUS["declined"] if problem else 200)
        self._world.changed()
        return await self._answer(session["id"], outcome, form)

    async def ask(self, request: Request) -> Response:
        """Show what the buyer's bank asks."""
        session = self._session(request)
        if session is None or session["status"] != "open":
            return await self.show(request)
        return HTMLResponse(page.authentication_page(session, checkout.lines_of(self._world, session)))

    async def authenticate(self, request: Request) -> Response:
        """Take the buyer's answer to their bank: form field `authentication`, `complete` or `fail`."""
        form = dict(parse_qsl((await request.body()).decode()))
        session = self._session(request)
        if session is None:
            return HTMLResponse(page.missing_page(), 404)
        with self._world.store.transaction():
            agrees = form.get("authentication") == "complete"
            outcome = buyer.authenticate(self._world, session, agrees=agrees)
        self._world.changed()
        return await self._answer(session["id"], outcome, {})

    def _session(self, request: Request) -> Obj | None:
        due.catch_up(self._world)
        return self._world.store.get(request.path_params["session"], "checkout.session")

    async def _answer(self, id_: str, outcome: Outcome, form: dict[str, str]) -> Response:
        session = self._world.store.need(id_)
        if outcome.kind == "done":
            if outcome.event:
                await self._sender.answered(outcome.event, REDIRECT_WAITS_S)
            return RedirectResponse(session["success_url"].replace("{CHECKOUT_SESSION_ID}", id_), 303)
        if outcome.kind == "asks":
            return RedirectResponse(f"/stripe/pay/{id_}/authenticate", 303)
        if outcome.kind == "closed":
            return HTMLResponse(page.closed_page(session), STATUS["closed"])
        return self._page(session, outcome.message, form, STATUS["declined"])

    def _chosen(self, session: Obj, form: dict[str, str]) -> str | None:
        """Let *session* follow what the buyer chose; return what to show in place of paying, if anything."""
        if session["status"] != "open":
            return None
        problem = choices.take(self._world, session, checkout.lines_of(self._world, session), form)
        return problem or ("" if "update" in form else None)

    def _page(self, session: Obj, error: str, form: dict[str, str], status: int) -> Response:
        lines = checkout.lines_of(self._world, session)
        country = choices.country_of(self._world, session) or ""
        return HTMLResponse(page.pay_page(session, lines, error=error, form={"country": country} | form), status)


def _choice(form: dict[str, str]) -> str:
    method = form.get("method", "card")
    if method == "delayed":
        return "delayed_failure" if form.get("card") == "delayed_failure" else "delayed_success"
    return method if method in cards.DELAYED else form.get("card", "").strip()
