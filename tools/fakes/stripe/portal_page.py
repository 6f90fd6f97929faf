"""The pages of the customer portal and of an invoice, and their routes."""

from html import escape
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from tools.fakes import due, page
from tools.fakes.store import Obj
from tools.fakes.stripe import cards, invoice_api, portal
from tools.fakes.stripe.currencies import shown
from tools.fakes.stripe.page import test_cards
from tools.fakes.stripe.wire import Refusal
from tools.fakes.stripe.world import World

BADGE = '<p><span class="badge">Test mode</span></p>'


class PortalPage:
    """Show the portal and invoices, and do what buyers ask for there."""

    def __init__(self, world: World) -> None:
        """Change *world*."""
        self._world = world

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/stripe/portal/{id}", self.show, methods=["GET"]),
            Route("/stripe/portal/{id}", self.act, methods=["POST"]),
            Route("/stripe/invoices/{id}", self.show_invoice, methods=["GET"]),
            Route("/stripe/invoices/{id}", self.pay_invoice, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """Show what a customer has and what they may do about it."""
        session = self._named(request, "billing_portal.session")
        if session is None or portal.is_over(self._world, session):
            return HTMLResponse(_gone("This link is no longer valid"), 404)
        return HTMLResponse(_portal(self._world, session))

    async def act(self, request: Request) -> Response:
        """Do what the form says (see `portal.act`), then go on as the flow of the session says."""
        form = dict(parse_qsl((await request.body()).decode()))
        session = self._named(request, "billing_portal.session")
        if session is None or portal.is_over(self._world, session):
            return HTMLResponse(_gone("This link is no longer valid"), 404)
        try:
            with self._world.store.transaction():
                portal.act(self._world, session, form)
        except Refusal as refusal:
            return HTMLResponse(_portal(self._world, session, error=str(refusal)), refusal.status)
        self._world.changed()
        after = (session["flow"] or {}).get("after_completion") or {"redirect": None}
        back = after["redirect"] and after["redirect"]["return_url"]
        return RedirectResponse(back or f"/stripe/portal/{session['id']}", 303)

    async def show_invoice(self, request: Request) -> Response:
        """Show an invoice, with a form to pay it if it is open."""
        invoice = self._named(request, "invoice")
        return HTMLResponse(_gone("No such invoice"), 404) if invoice is None else HTMLResponse(_invoice(invoice))

    async def pay_invoice(self, request: Request) -> Response:
        """Pay an open invoice with the form field `card`."""
        form = dict(parse_qsl((await request.body()).decode()))
        invoice = self._named(request, "invoice")
        if invoice is None:
            return HTMLResponse(_gone("No such invoice"), 404)
        try:
            with self._world.store.transaction():
                invoice = invoice_api.pay_as_buyer(self._world, invoice, form.get("card", ""), agrees=True)
        except Refusal as refusal:
            return HTMLResponse(_invoice(invoice, error=str(refusal)), refusal.status)
        self._world.changed()
        if invoice["status"] != "paid":
            return HTMLResponse(_invoice(invoice, error="Your card was declined."), 402)
        return RedirectResponse(f"/stripe/invoices/{invoice['id']}", 303)

    def _named(self, request: Request, kind: str) -> Obj | None:
        due.catch_up(self._world)
        return self._world.store.get(request.path_params["id"], kind)


def _portal(world: World, session: Obj, *, error: str = "") -> str:
    mine = portal.running(world, session)
    listed = "".join(_subscription(world, session, one) for one in mine) or "<p>You have no subscription.</p>"
    back = session["return_url"]
    link = f'<p><a href="{escape(back)}">Return to the shop</a></p>' if back else ""
    card = _card(world, session) if portal.feature(world, session, "payment_method_update")["enabled"] else ""
    return page.document(
        "Your billing", f"{BADGE}<h1>Your billing</h1>{_alert(error)}{listed}{card}{link}{test_cards()}"
    )


def _subscription(world: World, session: Obj, one: Obj) -> str:
    item, forms = one["items"]["data"][0], ""
    name = world.store.need(item["price"]["product"])["name"]
    if one["cancel_at_period_end"]:
        forms += _form(session, one, "resume", "", "Keep the subscription")
    elif portal.feature(world, session, "subscription_cancel")["enabled"]:
        forms += _form(session, one, "cancel", "", "Cancel the subscription", quiet=True)
    if prices := portal.prices_for(world, session, one):
        choices = "".join(f'<option value="{p["id"]}">{escape(_offer(world, p))}</option>' for p in prices)
        place = f"price-{one['id']}"
        select = f'<label for="{place}">Switch to</label><select id="{place}" name="price">{choices}</select>'
        forms += _form(session, one, "change", select, "Switch")
    if portal.may_change_quantity(world, session):
        place = f"quantity-{one['id']}"
        rules = f'type="number" min="1" value="{item["quantity"]}"'
        field = f'<label for="{place}">Quantity</label><input id="{place}" name="quantity" {rules}>'
        forms += _form(session, one, "change", field, "Change the quantity")
    unpaid = world.store.by("invoice", status="open", parent__subscription_details__subscription=one["id"])
    links = "".join(
        f'<p><a href="/stripe/invoices/{i["id"]}">Pay {shown(i["amount_due"], i["currency"])}</a></p>' for i in unpaid
    )
    status = "ends with its period" if one["cancel_at_period_end"] else one["status"].replace("_", " ")
    price = f"{item['quantity']} x {_offer(world, item['price'])}"
    return f"""<section class="card"><h2>{escape(name)}</h2>
<dl><dt>{escape(price)}</dt><dd>{status}</dd></dl>{links}{forms}</section>"""


def _form(session: Obj, subscription: Obj, do: str, fields: str, button: str, *, quiet: bool = False) -> str:
    look = ' class="quiet"' if quiet else ""
    return f"""<form method="post" action="/stripe/portal/{session["id"]}">{fields}
<input type="hidden" name="subscription" value="{subscription["id"]}">
<button type="submit" name="do" value="{do}"{look}>{button}</button></form>"""


def _card(world: World, session: Obj) -> str:
    customer = world.store.need(session["customer"])
    used = [one["default_payment_method"] for one in portal.running(world, session)]
    method = world.store.get(customer["invoice_settings"]["default_payment_method"] or next(iter(used), None))
    card = (method or {}).get("card")
    now = f"<p>{escape(card['brand'])} ending in {card['last4']}</p>" if card else "<p>No card yet.</p>"
    return f"""<section class="card"><h2>Card</h2>{now}
<form method="post" action="/stripe/portal/{session["id"]}">{_card_field("New card number")}
<button type="submit" name="do" value="card">Use this card</button></form></section>"""


def _invoice(invoice: Obj, *, error: str = "") -> str:
    total = shown(invoice["total"], invoice["currency"])
    lines = "".join(
        f"<dt>{escape(one['description'] or '')}</dt><dd>{shown(one['amount'], one['currency'])}</dd>"
        for one in invoice["lines"]["data"]
    )
    form = ""
    if invoice["status"] == "open":
        rest = shown(invoice["amount_remaining"], invoice["currency"])
        form = f"""<form class="card" method="post" action="/stripe/invoices/{invoice["id"]}">{_alert(error)}
{_card_field("Card number")}<button type="submit">Pay {rest}</button></form>{test_cards()}"""
    title = f"Invoice {invoice['number'] or ''}"
    return page.document(
        title,
        f"""{BADGE}<h1>{escape(title)}</h1><div class="card"><dl>{lines}
<dt class="total">Total</dt><dd class="total">{total}</dd></dl><p>Status: {invoice["status"]}</p></div>{form}""",
    )


def _card_field(label: str) -> str:
    rules = f'type="text" inputmode="numeric" autocomplete="cc-number" value="{cards.CARDS[0].number}"'
    return f'<label for="card">{label}</label><input id="card" name="card" {rules}>'


def _offer(world: World, price: Obj) -> str:
    recurring, product = price["recurring"], world.store.need(price["product"])
    count, unit = recurring["interval_count"], recurring["interval"]
    every = f"per {unit}" if count == 1 else f"every {count} {unit}s"
    return f"{product['name']}, {shown(price['unit_amount'], price['currency'])} {every}"


def _alert(error: str) -> str:
    return f'<p class="error" role="alert">{escape(error)}</p>' if error else ""


def _gone(title: str) -> str:
    return page.document(title, f"<h1>{title}</h1><p>Go back to the shop and start again.</p>")
