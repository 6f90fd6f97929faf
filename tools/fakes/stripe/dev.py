"""What Stripe does not offer and every test wants: misfortunes at will, and what became of the webhooks."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tools.fakes import due
from tools.fakes.problems import Problem, json_object
from tools.fakes.store import Obj
from tools.fakes.stripe import changes, disputes, invoice_api, payments, refunds
from tools.fakes.stripe.world import World

SETTINGS = {"after_retries": ("cancel", "unpaid", "past_due"), "delayed_subscriptions": ("active", "incomplete")}


class StripeDev:
    """Answer requests to `/dev/deliveries` and `/dev/stripe`."""

    def __init__(self, world: World) -> None:
        """Change *world*."""
        self._world = world

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/dev/deliveries", self.deliveries, methods=["GET"]),
            Route("/dev/stripe/requests", self.requests, methods=["GET"]),
            Route("/dev/stripe/seconds", self.seconds, methods=["GET"]),
            Route("/dev/stripe/settings", self.settings, methods=["POST"]),
            Route("/dev/stripe/cards", self.set_card, methods=["POST"]),
            Route("/dev/stripe/invoices/{invoice}/pay", self.pay_invoice, methods=["POST"]),
            Route("/dev/stripe/disputes", self.open_dispute, methods=["POST"]),
            Route("/dev/stripe/disputes/{dispute}/move", self.move_dispute, methods=["POST"]),
            Route("/dev/stripe/disputes/{dispute}/close", self.move_dispute, methods=["POST"]),
            Route("/dev/stripe/refunds/{refund}/fail", self.fail_refund, methods=["POST"]),
            Route("/dev/stripe/refunds/{refund}/cancel", self.cancel_refund, methods=["POST"]),
        ]

    async def deliveries(self, request: Request) -> Response:
        """Return the deliveries (query: `event`, `type`, `status`, `limit`), newest first, and a count by status."""
        query = request.query_params
        wanted = {"event": "d.event", "status": "d.status", "type": "json_extract(o.body, '$.type')"}
        where = [f"{column} = ?" for name, column in wanted.items() if name in query]
        args = [query[name] for name in wanted if name in query]
        limit = query.get("limit", "100")
        sql = f"""SELECT d.*, json_extract(o.body, '$.type') AS type, json_extract(e.body, '$.url') AS url
            FROM deliveries d JOIN objects o ON o.id = d.event LEFT JOIN objects e ON e.id = d.endpoint
            WHERE {" AND ".join(where) or "1"} ORDER BY d.seq DESC LIMIT ?"""  # noqa: S608 -- columns named above
        db = self._world.store.db
        rows = [dict(row) for row in db.execute(sql, (*args, int(limit) if limit.isdigit() else 100))]
        counts = dict(db.execute("SELECT status, count(*) FROM deliveries GROUP BY status").fetchall())
        return JSONResponse({"counts": counts, "deliveries": rows})

    async def requests(self, _: Request) -> Response:
        """Return how many requests the API got since it started: all of them, and those of each operation."""
        found = self._world.requests
        return JSONResponse({"total": found.total(), "by_operation": dict(sorted(found.items()))})

    async def seconds(self, _: Request) -> Response:
        """Return how many requests the API got in each of the latest seconds, by the application that made them.

        An application says its name by `stripe.set_app_info`.
        """
        found = self._world.asked.items()
        seconds = [{"at": at, "application": name, "requests": times} for (at, name), times in found]
        return JSONResponse({"seconds": seconds})

    async def settings(self, request: Request) -> Response:
        """Choose as a merchant does in the dashboard, and as the banks do. A setting that is not given stays.

        `after_retries`: what becomes of a subscription when the last retry failed. `delayed_subscriptions`: what it is
        while the debit that pays its first invoice is under way. `delayed_after_s`: how long debits take.
        `tax_rates`: the percentage of tax by country.
        """
        body = await json_object(request, *SETTINGS, "delayed_after_s", "tax_rates")
        for name, choices in SETTINGS.items():
            if body.get(name, choices[0]) not in choices:
                raise Problem(f"{name} must be one of {', '.join(choices)}")
        takes = body.get("delayed_after_s", payments.DELAYED_AFTER_S)
        if type(takes) is not int or takes < 0:
            raise Problem("delayed_after_s must be a number of seconds")
        rates = body.get("tax_rates", {})
        if not isinstance(rates, dict) or not all(type(rate) in (int, float) for rate in rates.values()):
            raise Problem("tax_rates must be a percentage for each country")
        for name, value in body.items():
            self._world.store.note("settings", name, value)
        noted = self._world.store.noted
        chosen = {name: noted("settings", name, choices[0]) for name, choices in SETTINGS.items()}
        return JSONResponse(chosen | {"delayed_after_s": payments.delay(self._world)})

    async def set_card(self, request: Request) -> Response:
        """Put the test card `card` on file for `customer` and their running subscriptions."""
        body = await json_object(request, "customer", "card")
        customer = self._named(body.get("customer"), "customer")
        return self._changed(lambda: changes.set_card(self._world, customer, str(body.get("card", ""))))

    async def pay_invoice(self, request: Request) -> Response:
        """Pay an open invoice as its buyer does on its page: with `card`, and `agrees` where their bank asks."""
        body = await json_object(request, "card", "agrees")
        invoice = self._named(request.path_params["invoice"], "invoice")
        card, agrees = str(body.get("card", "4242424242424242")), bool(body.get("agrees", True))
        return self._changed(lambda: invoice_api.pay_as_buyer(self._world, invoice, card, agrees=agrees))

    async def open_dispute(self, request: Request) -> Response:
        """Dispute a `charge`, or the latest one of a `payment_intent`: all of it or an `amount`, by a `kind`."""
        body = await json_object(request, "charge", "payment_intent", "amount", "reason", "inquiry", "kind")
        if "payment_intent" in body:
            intent = self._named(body["payment_intent"], "payment_intent")
            body["charge"] = intent["latest_charge"]
        charge = self._named(body.get("charge"), "charge")
        options = {name: body[name] for name in ("amount", "reason", "kind") if name in body}
        if body.get("inquiry"):
            options["kind"] = "inquiry"
        if options.get("kind", "chargeback") not in disputes.KINDS:
            raise Problem(f"kind must be one of {', '.join(disputes.KINDS)}")
        return self._changed(lambda: disputes.open_dispute(self._world, charge, **options))

    async def move_dispute(self, request: Request) -> Response:
        """Let a dispute go on to another `status`: under_review, appeal_needs_response, won, lost and so on."""
        status = (await json_object(request, "status")).get("status")
        known = {one for after in disputes.MOVES.values() for one in after}
        if status not in known:
            raise Problem(f"status must be one of {', '.join(sorted(known))}")
        dispute = self._named(request.path_params["dispute"], "dispute")
        return self._changed(lambda: disputes.move_dispute(self._world, dispute, status))

    async def fail_refund(self, request: Request) -> Response:
        """Let a refund fail after all."""
        return await self._end_refund(request, refunds.fail_refund)

    async def cancel_refund(self, request: Request) -> Response:
        """Cancel a refund that is on its way."""
        return await self._end_refund(request, refunds.cancel_refund)

    async def _end_refund(self, request: Request, end: Callable[[World, Obj], Obj]) -> Response:
        await json_object(request)
        refund = self._named(request.path_params["refund"], "refund")
        if refund["status"] in refunds.NOT_GIVEN:
            raise Problem(f"the refund is {refund['status']} already", 409)
        return self._changed(lambda: end(self._world, refund))

    def _named(self, id_: Any, kind: str) -> Obj:
        due.catch_up(self._world)
        found = self._world.store.get(str(id_), kind)
        if found is None or found.get("deleted"):
            raise Problem(f"no such {kind}: {id_}", 404)
        return found

    def _changed(self, change: Any) -> Response:
        with self._world.store.transaction():
            result = change()
        self._world.changed()
        return JSONResponse(result)
