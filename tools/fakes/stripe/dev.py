"""What Stripe does not offer and every test wants: misfortunes at will, and what became of the webhooks."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tools.fakes import due
from tools.fakes.problems import Problem, json_object
from tools.fakes.store import Obj
from tools.fakes.stripe import changes, disputes, refunds
from tools.fakes.stripe.world import World

CLOSED = ("won", "lost", "warning_closed")
AFTER_RETRIES = ("cancel", "unpaid", "past_due")


class StripeDev:
    """Answer requests to `/dev/deliveries` and `/dev/stripe`."""

    def __init__(self, world: World) -> None:
        """Change *world*."""
        self._world = world

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/dev/deliveries", self.deliveries, methods=["GET"]),
            Route("/dev/stripe/settings", self.settings, methods=["POST"]),
            Route("/dev/stripe/cards", self.set_card, methods=["POST"]),
            Route("/dev/stripe/disputes", self.open_dispute, methods=["POST"]),
            Route("/dev/stripe/disputes/{dispute}/close", self.close_dispute, methods=["POST"]),
            Route("/dev/stripe/refunds/{refund}/fail", self.fail_refund, methods=["POST"]),
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

    async def settings(self, request: Request) -> Response:
        """Say what becomes of a subscription when the last retry failed: `after_retries`."""
        body = await json_object(request, "after_retries")
        outcome = body.get("after_retries", "cancel")
        if outcome not in AFTER_RETRIES:
            raise Problem(f"after_retries must be one of {', '.join(AFTER_RETRIES)}")
        self._world.store.note("settings", "after_retries", outcome)
        return JSONResponse({"after_retries": outcome})

    async def set_card(self, request: Request) -> Response:
        """Put the test card `card` on file for `customer` and their running subscriptions."""
        body = await json_object(request, "customer", "card")
        customer = self._named(body.get("customer"), "customer")
        return self._changed(lambda: changes.set_card(self._world, customer, str(body.get("card", ""))))

    async def open_dispute(self, request: Request) -> Response:
        """Dispute a `charge`, or the latest one of a `payment_intent`."""
        body = await json_object(request, "charge", "payment_intent", "amount", "reason", "inquiry")
        if "payment_intent" in body:
            intent = self._named(body["payment_intent"], "payment_intent")
            body["charge"] = intent["latest_charge"]
        charge = self._named(body.get("charge"), "charge")
        options = {name: body[name] for name in ("amount", "reason", "inquiry") if name in body}
        return self._changed(lambda: disputes.open_dispute(self._world, charge, **options))

    async def close_dispute(self, request: Request) -> Response:
        """End a dispute with the `status` won, lost or warning_closed."""
        status = (await json_object(request, "status")).get("status")
        if status not in CLOSED:
            raise Problem(f"status must be one of {', '.join(CLOSED)}")
        dispute = self._named(request.path_params["dispute"], "dispute")
        return self._changed(lambda: disputes.close_dispute(self._world, dispute, status))

    async def fail_refund(self, request: Request) -> Response:
        """Let a refund fail after all."""
        refund = self._named(request.path_params["refund"], "refund")
        if refund["status"] == "failed":
            raise Problem("the refund has failed already", 409)
        return self._changed(lambda: refunds.fail_refund(self._world, refund))

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
