"""Prorations: what a change in the middle of a period gives back, and what it costs, as pending invoice items."""

from datetime import UTC, datetime

from tools.fakes.store import Obj, new_id
from tools.fakes.stripe.objects import made
from tools.fakes.stripe.world import World


def credit(world: World, subscription: Obj, item: Obj, at: int) -> None:
    """Give back the time of *item* that is not used at the second *at*."""
    _pend(world, subscription, item, at, sign=-1)


def debit(world: World, subscription: Obj, item: Obj, at: int) -> None:
    """Charge what is left of the period of *item* at the second *at*."""
    _pend(world, subscription, item, at, sign=1)


def take_pending(world: World, subscription: Obj, invoice: Obj) -> list[Obj]:
    """Put everything that is pending for a *subscription* on *invoice*, and return its lines."""
    lines = []
    for one in pending(world, subscription):
        world.change(one, invoice=invoice["id"])
        lines.append(_line(subscription, one))
    return lines


def pending(world: World, subscription: Obj) -> list[Obj]:
    """Return the invoice items of a *subscription* that are on no invoice yet, oldest first."""
    every = world.store.by("invoiceitem", parent__subscription_details__subscription=subscription["id"])
    return [one for one in every[::-1] if one["invoice"] is None]


def _pend(world: World, subscription: Obj, item: Obj, at: int, *, sign: int) -> None:
    price, quantity = item["price"], item["quantity"]
    start, finish = item["current_period_start"], item["current_period_end"]
    left = max(0, finish - at) / max(1, finish - start)
    amount = sign * round(price["unit_amount"] * quantity * left)
    name = world.store.need(price["product"])["name"]
    what = "Unused time on" if sign < 0 else "Remaining time on"
    many = f"{quantity} \N{MULTIPLICATION SIGN} {name}" if quantity > 1 else name
    pended = world.make(
        "invoiceitem",
        "ii_1",
        amount=amount,
        currency=price["currency"],
        customer=subscription["customer"],
        date=at,
        description=f"{what} {many} after {datetime.fromtimestamp(at, UTC):%d %b %Y}",
        metadata=dict(subscription["metadata"]),
        net_amount=amount,
        parent={"subscription_details": {"subscription": subscription["id"], "subscription_item": item["id"]}},
        period={"end": max(at, finish), "start": at},
        pricing={
            "price_details": {"price": price["id"], "product": price["product"]},
            "unit_amount_decimal": str(round(amount / quantity)) if quantity else "0",
        },
        proration_details={"credited_items": _credited(world, subscription, item)} if sign < 0 else {},
        quantity=quantity,
        quantity_decimal=str(quantity),
    )
    del pended["created"]  # an invoice item has a date instead
    world.store.put(pended)
    world.emit("invoiceitem.created", pended)


def _credited(world: World, subscription: Obj, item: Obj) -> Obj | None:
    """Return what charged the period of which *item* now gives a part back: a pending item, or an invoice's line."""
    for one in pending(world, subscription)[::-1]:
        if one["parent"]["subscription_details"]["subscription_item"] == item["id"] and one["amount"] > 0:
            return {"type": "invoice_item", "invoice_item": one["id"], "invoice_line_item_details": None}
    for invoice in world.store.by("invoice", parent__subscription_details__subscription=subscription["id"]):
        for line in invoice["lines"]["data"]:
            details = line["parent"]["subscription_item_details"]
            if details and details["subscription_item"] == item["id"] and line["amount"] > 0:
                lines = {"invoice": invoice["id"], "invoice_line_items": [line["id"]]}
                return {"type": "invoice_line_items", "invoice_item": None, "invoice_line_item_details": lines}
    return None


def _line(subscription: Obj, pended: Obj) -> Obj:
    credited = pended["proration_details"]["credited_items"]
    same = ("amount", "currency", "description", "metadata", "period", "pricing", "quantity", "quantity_decimal")
    return made(
        "line_item",
        id=new_id("il_1", 23),
        object="line_item",
        discountable=False,
        parent={
            "subscription_item_details": {
                "invoice_item": pended["id"],
                "proration": True,
                "proration_details": {"credited_items": credited and credited["invoice_line_item_details"]},
                "subscription": subscription["id"],
                "subscription_item": pended["parent"]["subscription_details"]["subscription_item"],
            }
        },
        subscription=subscription["id"],
        subtotal=pended["amount"],
        **{name: pended[name] for name in same},
    )
