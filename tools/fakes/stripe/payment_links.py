"""Payment links and pricing tables: what a merchant shares, and the sessions that open from it for anybody.

All that such a session carries of the shop is the `client_reference_id` of the address that it was opened with.
"""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from tools.fakes import due
from tools.fakes.store import Obj
from tools.fakes.stripe import catalog, checkout, page, views
from tools.fakes.stripe.operation import Operation, merged_metadata
from tools.fakes.stripe.wire import Refusal
from tools.fakes.stripe.world import World


class _Undo(Exception):
    """A session that was opened to see whether it can be is not to stay."""


OF_THE_SESSION = ("allow_promotion_codes", "automatic_tax", "payment_intent_data", "subscription_data")
DONE = "/stripe/pay/{CHECKOUT_SESSION_ID}"


def create(world: World, params: dict[str, Any]) -> Obj:
    """Make a payment link. What it sells is checked as on a page."""
    prices = [catalog.price_of(world, one, f"line_items[{i}]") for i, one in enumerate(params["line_items"])]
    subscribes = any(price["recurring"] for price in prices)
    kept = {name: params[name] for name in (*OF_THE_SESSION, "tax_id_collection") if name in params}
    link = world.draft(
        "payment_link",
        "plink_1",
        **{name: value for name, value in kept.items() if not name.endswith("_data")},
        **{"after_completion": params["after_completion"]} if "after_completion" in params else {},
        currency=prices[0]["currency"],
        customer_creation=params.get("customer_creation", "if_required"),
        metadata=merged_metadata({}, params.get("metadata")),
        payment_intent_data=_intent_data(params),
        subscription_data=_subscription_data(params) if subscribes else None,
    )
    del link["created"]
    link["url"] = f"{world.seen_as}/stripe/pay-link/{link['id']}"
    lines = [
        {"price": price["id"], "quantity": one.get("quantity", 1)}
        | {name: one[name] for name in ("adjustable_quantity",) if name in one}
        for one, price in zip(params["line_items"], prices, strict=True)
    ]
    mode = "subscription" if subscribes else "payment"
    world.store.note(link["id"], "session", kept | {"line_items": lines, "mode": mode})
    _check(world, link)
    return world.store.put(link)


def open_session(world: World, link: Obj, query: Mapping[str, str]) -> Obj:
    """Return a new session of a payment *link*, for the buyer who followed it with that *query*."""
    session = _opened(world, link, query)
    return world.change(session, payment_link=link["id"], metadata=dict(link["metadata"]))


def open_from_table(world: World, price: Obj, query: Mapping[str, str]) -> Obj:
    """Return a new session for the *price* that a buyer chose in a pricing table."""
    mode = "subscription" if price["recurring"] else "payment"
    params = {"line_items": [{"price": price["id"], "quantity": 1}], "mode": mode}
    return checkout.create(world, params | _of_query(query) | {"success_url": world.base + DONE})


def _opened(world: World, link: Obj, query: Mapping[str, str]) -> Obj:
    params = world.store.noted(link["id"], "session") | _of_query(query)
    if params["mode"] == "payment" and link["customer_creation"] == "always":
        params["customer_creation"] = "always"
    redirect = link["after_completion"].get("redirect")
    return checkout.create(world, params | {"success_url": redirect["url"] if redirect else world.base + DONE})


def _check(world: World, link: Obj) -> None:
    """Refuse a *link* from which no session could be opened."""
    try:
        with world.store.transaction():
            _opened(world, link, {})
            raise _Undo
    except _Undo:
        return


def _of_query(query: Mapping[str, str]) -> dict[str, str]:
    names = {"client_reference_id": "client_reference_id", "prefilled_email": "customer_email"}
    return {param: query[name] for name, param in names.items() if query.get(name)}


def _intent_data(params: dict[str, Any]) -> Obj | None:
    if (data := params.get("payment_intent_data")) is None:
        return None
    names = ("capture_method", "description", "setup_future_usage", "statement_descriptor")
    rest: Obj = dict.fromkeys((*names, "statement_descriptor_suffix", "transfer_group"))
    return {**rest, "metadata": {}, **data}


def _subscription_data(params: dict[str, Any]) -> Obj:
    issuer = {"issuer": {"type": "self"}}
    rest = {"description": None, "invoice_settings": issuer, "metadata": {}, "trial_period_days": None}
    return {**rest, "trial_settings": None, **params.get("subscription_data", {})}


def _update(world: World, params: dict[str, Any], id_: str) -> Obj:
    link = world.named(id_, "payment_link")
    metadata = merged_metadata(link["metadata"], params.get("metadata"))
    return world.change(link, "payment_link.updated", active=params.get("active", link["active"]), metadata=metadata)


def _list(world: World, params: dict[str, Any]) -> Obj:
    return views.page(world, "payment_link", params, "/v1/payment_links", equal={"active": params.get("active")})


class LinkPage:
    """Open sessions for those who follow a link, and send them to its page."""

    def __init__(self, world: World) -> None:
        """Open them in *world*."""
        self._world = world

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/stripe/pay-link/{id}", self.follow, methods=["GET"]),
            Route("/stripe/pricing-table/{id}", self.choose, methods=["GET"]),
        ]

    async def follow(self, request: Request) -> Response:
        """Open a session of a payment link (query: `client_reference_id`, `prefilled_email`)."""
        return self._send(request, "payment_link", open_session)

    async def choose(self, request: Request) -> Response:
        """Open a session for a price of a pricing table, with the same query."""
        return self._send(request, "price", open_from_table)

    def _send(self, request: Request, kind: str, open_: Any) -> Response:
        world = self._world
        due.catch_up(world)
        world.seen_as = f"http://{request.headers['host']}" if "host" in request.headers else world.base
        found = world.store.get(request.path_params["id"], kind)
        if found is None or not found["active"]:
            return HTMLResponse(page.missing_page(), 404)
        try:
            with world.store.transaction():
                session = open_(world, found, request.query_params)
        except Refusal as refusal:
            return HTMLResponse(page.missing_page(), refusal.status)
        world.changed()
        return RedirectResponse(f"/stripe/pay/{session['id']}", 303)


LINKS = "/v1/payment_links"
BEYOND = (
    "application_fee_amount",
    "application_fee_percent",
    "currency",
    "custom_fields",
    "invoice_creation.enabled",
    "on_behalf_of",
    "optional_items",
    "restrictions",
    "shipping_address_collection",
    "shipping_options",
    "transfer_data",
)
OPERATIONS = (
    Operation("POST", LINKS, "_payment_link_create_params", create, BEYOND),
    Operation("GET", LINKS, "_payment_link_list_params", _list),
    Operation("GET", LINKS + "/{}", "_payment_link_retrieve_params", views.retrieve("payment_link")),
    Operation("POST", LINKS + "/{}", "_payment_link_update_params", _update, ("line_items", *BEYOND[3:5])),
)
