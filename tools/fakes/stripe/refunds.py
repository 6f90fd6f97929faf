"""Refunds: money given back, at once, later, or after all not."""

from typing import Any

from tools.fakes.store import Obj
from tools.fakes.stripe import balance, cards, views
from tools.fakes.stripe.operation import Operation, merged_metadata
from tools.fakes.stripe.wire import Refusal, missing
from tools.fakes.stripe.world import World

REFUND_AFTER_S = 5
NOT_GIVEN = ("failed", "canceled")


def create_refund(world: World, params: dict[str, Any]) -> Obj:
    """Refund a charge, whole or in part."""
    charge = _charge_to_refund(world, params)
    left = charge["amount"] - charge["amount_refunded"]
    disputes = world.store.by("dispute", charge=charge["id"])
    if any(not d["is_charge_refundable"] and d["status"] != "won" for d in disputes):
        message = f"Charge {charge['id']} has been charged back; cannot issue a refund."
        raise world.conflict(message, code="charge_disputed")
    if left == 0:
        message = f"Charge {charge['id']} has already been refunded."
        raise world.conflict(message, code="charge_already_refunded")
    amount = params.get("amount", left)
    if amount < 1:
        raise Refusal("Invalid positive integer", code="parameter_invalid_integer", param="amount")
    if amount > left:
        sums = f"({_shown(amount, charge)}) is greater than unrefunded amount on charge ({_shown(left, charge)})"
        raise world.conflict(f"Refund amount {sums}", param="amount")
    return _refund(world, charge, amount, params)


def fail_refund(world: World, refund: Obj, why: str = "expired_or_canceled_card") -> Obj:
    """Let a *refund* fail after all: the money is back with the merchant."""
    return _undo(world, refund, "failed", why)


def cancel_refund(world: World, refund: Obj) -> Obj:
    """Cancel a *refund* that is on its way: the money is back with the merchant."""
    return _undo(world, refund, "canceled", "merchant_request")


def end_refund(world: World, id_: str) -> None:
    """Let a refund that takes its time come to its end."""
    refund = world.store.need(id_)
    if refund["status"] == "pending":
        world.change(refund, "refund.updated", status="succeeded", pending_reason=None)
        world.emit("charge.refund.updated", refund, {"status": "pending"})
    elif refund["status"] == "succeeded":
        fail_refund(world, refund)


def refunds_of(world: World, charge: Obj) -> Obj:
    """Return the refunds of a *charge* as a list."""
    url = f"/v1/charges/{charge['id']}/refunds"
    return views.listed(world.store.by("refund", charge=charge["id"]), url)


def _undo(world: World, refund: Obj, status: str, why: str) -> Obj:
    charge, before = world.store.need(refund["charge"]), {"status": refund["status"]}
    world.store.unschedule("refund.end", refund["id"])
    transaction = balance.move(world, refund["amount"], refund["currency"], "refund", refund["id"])
    fields = {"failure_balance_transaction": transaction["id"], "failure_reason": why, "pending_reason": None}
    world.change(charge, amount_refunded=charge["amount_refunded"] - refund["amount"], refunded=False)
    world.change(refund, "refund.updated", **fields, status=status)
    world.emit("charge.refund.updated", refund, before)
    if status == "failed":
        world.emit("refund.failed", refund)
    return refund


def _cancel(world: World, _: dict[str, Any], id_: str) -> Obj:
    refund = world.named(id_, "refund")
    message = f"This refund is {refund['status']}: only a refund that requires the customer's action can be canceled."
    raise world.conflict(message)


def _charge_to_refund(world: World, params: dict[str, Any]) -> Obj:
    if "charge" not in params and "payment_intent" not in params:
        raise missing("payment_intent")
    if "charge" in params:
        charge = world.named(params["charge"], "charge", "charge")
    else:
        intent = world.named(params["payment_intent"], "payment_intent", "payment_intent")
        charge = world.store.get(intent["latest_charge"]) or {"status": "none"}
    if charge["status"] != "succeeded":
        message = "This payment does not have a successful charge to refund."
        raise world.conflict(message, code="payment_intent_unexpected_state")
    return charge


def _refund(world: World, charge: Obj, amount: int, params: dict[str, Any]) -> Obj:
    card = cards.of(world.store.get(charge["payment_method"]))
    goes = card.refund if card else "succeeded"
    refund = world.draft(
        "refund",
        "re_3",
        amount=amount,
        charge=charge["id"],
        currency=charge["currency"],
        customer=charge["customer"],
        metadata=merged_metadata({}, params.get("metadata")),
        payment_intent=charge["payment_intent"],
        payment_method=charge["payment_method"],
        reason=params.get("reason"),
        **{"pending_reason": "processing", "status": "pending"} if goes == "pending" else {},
    )
    transaction = balance.move(world, -amount, charge["currency"], "refund", refund["id"])
    world.store.put(refund | {"balance_transaction": transaction["id"]})
    total = charge["amount_refunded"] + amount
    previous = {"amount_refunded": charge["amount_refunded"], "refunded": charge["refunded"]}
    world.change(charge, amount_refunded=total, refunded=total == charge["amount"])
    world.emit("charge.refunded", charge, previous)
    world.emit("refund.created", refund | {"balance_transaction": transaction["id"]})
    if goes != "succeeded":
        world.store.schedule(world.now() + REFUND_AFTER_S, "refund.end", refund["id"])
    return refund | {"balance_transaction": transaction["id"]}


def _update_refund(world: World, params: dict[str, Any], id_: str) -> Obj:
    refund = world.named(id_, "refund")
    metadata = merged_metadata(refund["metadata"], params.get("metadata"))
    return world.change(refund, "refund.updated", metadata=metadata)


def _list_refunds(world: World, params: dict[str, Any]) -> Obj:
    equal = {name: params.get(name) for name in ("charge", "payment_intent")}
    return views.page(world, "refund", params, "/v1/refunds", equal=equal)


def _shown(amount: int, charge: Obj) -> str:
    return f"{amount / 100:.2f} {charge['currency']}"


views.INCLUDABLE["charge", "refunds"] = refunds_of

UNMODELLED_REFUND = (
    "currency",
    "customer",
    "origin",
    "instructions_email",
    "refund_application_fee",
    "reverse_transfer",
)

OPERATIONS = (
    Operation("POST", "/v1/refunds", "_refund_create_params", create_refund, UNMODELLED_REFUND),
    Operation("GET", "/v1/refunds", "_refund_list_params", _list_refunds),
    Operation("GET", "/v1/refunds/{}", "_refund_retrieve_params", views.retrieve("refund")),
    Operation("POST", "/v1/refunds/{}", "_refund_update_params", _update_refund),
    Operation("POST", "/v1/refunds/{}/cancel", "_refund_cancel_params", _cancel),
)
