"""What a merchant does at Stripe beside paidup: prices, items, links, and metadata that somebody tidies up."""

from collections.abc import Mapping
from typing import Any

from tests.functions.door import of_another_version
from tests.functions.story import CARD, Story

DAY = 86_400
GRACE = 7 * DAY
PLAN = "customer.subscription"


def price(story: Story, amount: int, *, every: str | None = "month", sells: str | None = None, **named: Any) -> str:
    """Make a price, by the month unless *every* says another interval, or None: once. *named* are its own fields.

    *sells* is the offer that its product names, and nothing else does.
    """
    product = {"metadata[offer_id]": sells} if sells else {}
    interval = {"recurring[interval]": every} if every else {}
    if "lookup_key" in named:
        named["transfer_lookup_key"] = "true"
    made = story.post("products", name="Something", **product)["id"]
    return str(story.post("prices", product=made, unit_amount=amount, currency="eur", **interval, **named)["id"])


def add_item(story: Story, sold: str, **more: Any) -> None:
    """Add an item of the price *sold* to the buyer's subscription."""
    story.post(f"subscriptions/{story.plan()['id']}", **{"items[0][price]": sold}, **more)


def change(story: Story, *, to: str | None = None, quantity: int | None = None, **more: Any) -> None:
    """Give the first item of the buyer's subscription another price or quantity."""
    plan = story.plan()
    fields = {"price": to, "quantity": quantity}
    item = {f"items[0][{name}]": value for name, value in fields.items() if value is not None}
    story.post(f"subscriptions/{plan['id']}", **{"items[0][id]": plan["items"]["data"][0]["id"]}, **item, **more)


def invoice(story: Story) -> Any:
    """Return the newest invoice of the buyer's newest subscription."""
    return story.world.stripe.v1.invoices.retrieve(story.plan()["latest_invoice"]).to_dict()


def intent_of(story: Story, bill: str) -> str:
    """Return the payment intent that paid the invoice *bill*."""
    asked: Any = {"invoice": bill}
    payment = story.world.stripe.v1.invoice_payments.list(asked).data[0].to_dict()
    return str(payment["payment"]["payment_intent"])


def paid_with(story: Story) -> str:
    """Return the payment intent of the newest invoice of the buyer's newest subscription."""
    return intent_of(story, story.plan()["latest_invoice"])


def cases(story: Story) -> dict[str, str]:
    """Return the open review cases of the buyer: each reason, and the purchase that it is about."""
    found = story.world.services.table.open_cases()
    return {str(one.reason): one.purchase_id for one in found if one.customer_id == story.buyer}


def link(story: Story, sold: str, quantity: int = 1, **more: Any) -> str:
    """Return the address of a payment link for the price *sold*."""
    line = {"line_items[0][price]": sold, "line_items[0][quantity]": quantity}
    return str(story.post("payment_links", **line, **more)["url"])


def pay_link(story: Story, url: str, card: str = CARD, **query: str) -> None:
    """Follow a payment link with that *query*, and pay on the page that it leads to."""
    page = story.world.http.get(url, params=query, follow_redirects=True)
    assert page.status_code == 200, page.text
    story.world.pay(str(page.url), card)


def customer_of(story: Story) -> str:
    """Let the buyer be known at Stripe, and return their customer there."""
    story.opens("day_pass")
    story.hear()
    return story.customer()


def bill(story: Story, customer: str, sold: str, **more: Any) -> dict[str, Any]:
    """Write an invoice in the dashboard for one at the price *sold*, let it be paid, and return it."""
    made = story.post("invoices", customer=customer, **more)
    story.post("invoiceitems", customer=customer, invoice=made["id"], **{"pricing[price]": sold})
    story.post(f"invoices/{made['id']}/finalize")
    paid: dict[str, Any] = story.post(f"invoices/{made['id']}/pay", payment_method="pm_card_visa")
    return paid


def wipe(story: Story) -> None:
    """Remove the metadata of everything that the buyer has at Stripe, as somebody who tidies up."""
    customer = story.customer()
    url, key = f"{story.world.fakes.url}/stripe/v1", ("sk_test_local", "")
    for sort in ("subscriptions", "invoices", "payment_intents", "charges", "checkout/sessions"):
        asked: Any = {"customer": customer, "limit": 100} | ({"status": "all"} if sort == "subscriptions" else {})
        for one in story.world.http.get(f"{url}/{sort}", params=asked, auth=key).json()["data"]:
            story.post(f"{sort}/{one['id']}", metadata="")
    story.post(f"customers/{customer}", metadata="")


def deliver(story: Story, *events: Mapping[str, Any]) -> None:
    """Deliver *events* a moment after they happened, in that order, and work the queue."""
    story.world.pass_time(10)
    for event in events:
        assert story.world.deliver(event).status == 200
    assert story.world.work_queue(100) == []


def as_in_2024(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return *event* as an endpoint of the version 2024-06-20 gets it."""
    thing = dict(event["data"]["object"])
    if thing["object"] == "subscription":
        items = [dict(one) for one in thing["items"]["data"]]
        for name in ("current_period_start", "current_period_end"):
            thing[name] = max(one.pop(name) for one in items)
        thing["items"] = thing["items"] | {"data": items}
    if thing["object"] == "invoice":
        details = (thing.pop("parent") or {}).get("subscription_details") or {}
        thing["subscription"], thing["subscription_details"] = details.get("subscription"), details
        lines = [{k: v for k, v in one.items() if k not in ("pricing", "parent")} for one in thing["lines"]["data"]]
        thing["lines"] = thing["lines"] | {"data": lines}
    return of_another_version(event) | {"data": {"object": thing}}


def pay_after_end(story: Story) -> None:
    """Let a debit succeed although the shop ended its subscription while the debit was under way."""
    takes = 3 * DAY
    story.trigger("settings", delayed_subscriptions="active", delayed_after_s=takes)
    story.buys("monthly", "delayed_success")
    story.hear()
    story.world.stripe.v1.subscriptions.cancel(story.plan()["id"])
    story.world.pass_time(takes)
    story.trigger("settings", delayed_after_s=3)
