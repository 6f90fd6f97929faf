"""What a merchant bills by hand: items at prices that are paid once, on a draft or pending for the customer."""

from typing import Any

from tools.fakes.store import Obj, new_id
from tools.fakes.stripe import catalog, currencies, views
from tools.fakes.stripe.objects import made
from tools.fakes.stripe.operation import merged_metadata
from tools.fakes.stripe.wire import Refusal, missing
from tools.fakes.stripe.world import World

AS_BILLED = ("amount", "currency", "description", "metadata", "period", "pricing", "quantity", "quantity_decimal")


def create(world: World, params: dict[str, Any]) -> Obj:
    """Make an item at a price: on the draft that *params* name, or pending for the customer."""
    if "customer" not in params:
        raise missing("customer")
    customer = world.named(params["customer"], "customer", "customer")
    invoice = world.named(params["invoice"], "invoice", "invoice") if "invoice" in params else None
    price = _price(world, params)
    if invoice:
        _check_takes(world, invoice, customer, price["currency"])
    return add(world, customer, price, params.get("quantity", 1), invoice, params)


def add(
    world: World, customer: Obj, price: Obj, quantity: int, invoice: Obj | None, described: dict[str, Any] | None = None
) -> Obj:
    """Bill *quantity* at *price* to a *customer*: on the draft *invoice*, or pending. *described* are more params."""
    now, params = world.now(), described or {}
    item = world.draft(
        "invoiceitem",
        "ii_1",
        amount=price["unit_amount"] * quantity,
        currency=price["currency"],
        customer=customer["id"],
        date=now,
        description=params.get("description") or world.store.need(price["product"])["name"],
        discountable=True,
        metadata=merged_metadata({}, params.get("metadata")),
        net_amount=price["unit_amount"] * quantity,
        parent=None,
        period=params.get("period") or {"end": now, "start": now},
        pricing={
            "price_details": {"price": price["id"], "product": price["product"]},
            "unit_amount_decimal": str(price["unit_amount"]),
        },
        proration=False,
        proration_details=None,
        quantity=quantity,
        quantity_decimal=str(quantity),
    )
    del item["created"]  # an invoice item has a date instead
    world.store.put(item)
    if invoice:
        lines = [*invoice["lines"]["data"], *take(world, [item], invoice)]
        world.change(invoice, "invoice.updated", **totals(invoice, lines, customer))
    world.emit("invoiceitem.created", item)
    return item


def pending(world: World, customer: str, currency: str) -> list[Obj]:
    """Return the items in a *currency* that are on no invoice yet and belong to no subscription, the oldest first."""
    every = world.store.by("invoiceitem", customer=customer)[::-1]
    return [one for one in every if one["invoice"] is None and one["parent"] is None and one["currency"] == currency]


def take(world: World, items: list[Obj], invoice: Obj) -> list[Obj]:
    """Put *items* on the draft *invoice*, and return its lines of them."""
    lines = []
    for one in items:
        world.change(one, invoice=invoice["id"])
        line = made(
            "line_item",
            id=new_id("il_1", 23),
            object="line_item",
            invoice=invoice["id"],
            parent={
                "invoice_item_details": {
                    "invoice_item": one["id"],
                    "proration": False,
                    "proration_details": {"credited_items": None},
                    "subscription": None,
                },
                "subscription_item_details": None,
                "type": "invoice_item_details",
            },
            subscription=None,
            subtotal=one["amount"],
            **{name: one[name] for name in AS_BILLED},
        )
        lines.append(line)
    return lines


def totals(invoice: Obj, lines: list[Obj], customer: Obj) -> Obj:
    """Return what an *invoice* written by hand adds up to with these *lines*. It knows no discount and no tax."""
    total = sum(one["amount"] for one in lines)
    due = currencies.due(total + customer["balance"], invoice["currency"])
    sums = dict.fromkeys(("subtotal", "subtotal_excluding_tax", "total", "total_excluding_tax"), total)
    listed = views.listed(lines, f"/v1/invoices/{invoice['id']}/lines")
    return {"amount_due": due, "amount_remaining": due, "lines": listed, **sums}


def _price(world: World, params: dict[str, Any]) -> Obj:
    named: dict[str, Any] = dict(params.get("pricing") or {})
    if "price_data" in params:
        named["price_data"] = params["price_data"]
    price = catalog.price_of(world, named, "pricing")
    if price["recurring"]:
        message = "The price specified is set to `type=recurring` but this field only accepts prices with "
        raise Refusal(f"{message}`type=one_time`.", param="pricing[price]")
    return price


def _check_takes(world: World, invoice: Obj, customer: Obj, currency: str) -> None:
    if invoice["customer"] != customer["id"]:
        raise Refusal("The customer of the invoice item must be that of the invoice.", param="invoice")
    if invoice["status"] != "draft":
        raise world.conflict("This invoice is no longer editable: items can only be added to a draft.", param="invoice")
    if invoice["currency"] != currency:
        message = f"The currency of the invoice item ({currency}) must be that of the invoice ({invoice['currency']})."
        raise Refusal(message, param="invoice")
