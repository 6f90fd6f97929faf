"""Disputes: a buyer's bank takes money back, and sometimes gives it again."""

from typing import Any

from tools.fakes.store import Obj
from tools.fakes.stripe import balance, cards, views
from tools.fakes.stripe.operation import Operation, merged_metadata
from tools.fakes.stripe.wire import Refusal
from tools.fakes.stripe.world import World

ANSWER_WITHIN_S = 7 * 86_400
OPEN = ("warning_needs_response", "warning_under_review", "needs_response", "under_review")


def open_dispute(
    world: World, charge: Obj, *, amount: int | None = None, reason: str = "fraudulent", inquiry: bool = False
) -> Obj:
    """Dispute a *charge*; an *inquiry* asks first and takes no money yet."""
    if charge["status"] != "succeeded" or charge["disputed"]:
        raise Refusal(f"Charge {charge['id']} cannot be disputed: it is unpaid or disputed already.")
    sum_ = charge["amount"] if amount is None else amount
    dispute = world.make(
        "dispute",
        "du_1",
        amount=sum_,
        charge=charge["id"],
        currency=charge["currency"],
        evidence_details={"due_by": world.now() + ANSWER_WITHIN_S},
        is_charge_refundable=inquiry,
        payment_intent=charge["payment_intent"],
        payment_method_details={"card": {"case_type": "inquiry" if inquiry else "chargeback"}},
        reason=reason,
        status="warning_needs_response" if inquiry else "needs_response",
    )
    world.change(charge, "charge.updated", disputed=True)
    world.emit("charge.dispute.created", dispute)
    if not inquiry:
        withdrawn = balance.move(world, -sum_, charge["currency"], "adjustment", dispute["id"])
        world.change(dispute, balance_transactions=[withdrawn])
        world.emit("charge.dispute.funds_withdrawn", dispute)
    return dispute


def close_dispute(world: World, dispute: Obj, status: str) -> Obj:
    """End a *dispute*: `won`, `lost`, or `warning_closed` for an inquiry."""
    if dispute["status"] not in OPEN:
        raise world.conflict(f"This dispute is already closed: it is {dispute['status']}.")
    if (status == "warning_closed") != dispute["status"].startswith("warning"):
        raise Refusal(f"A dispute that is {dispute['status']} cannot become {status}.", param="status")
    if status == "won":
        back = balance.move(world, dispute["amount"], dispute["currency"], "adjustment", dispute["id"])
        world.change(dispute, balance_transactions=[*dispute["balance_transactions"], back])
    world.change(dispute, "charge.dispute.updated", status=status)
    world.emit("charge.dispute.closed", dispute)
    if status == "won":
        world.emit("charge.dispute.funds_reinstated", dispute)
    return dispute


def dispute_charge(world: World, charge_id: str) -> None:
    """Open the dispute that a test card brings about."""
    charge = world.store.need(charge_id)
    card = cards.of(world.store.get(charge["payment_method"]))
    if card and card.disputed and not charge["disputed"] and not charge["refunded"]:
        open_dispute(world, charge, reason=card.disputed)


def _update(world: World, params: dict[str, Any], id_: str) -> Obj:
    dispute = world.named(id_, "dispute")
    fields: dict[str, Any] = {"metadata": merged_metadata(dispute["metadata"], params.get("metadata"))}
    if evidence := params.get("evidence"):
        details = dispute["evidence_details"] | {"has_evidence": True}
        fields |= {"evidence": dispute["evidence"] | evidence, "evidence_details": details}
    world.change(dispute, "charge.dispute.updated", **fields)
    magic = {"winning_evidence": "won", "losing_evidence": "lost"}
    status = magic.get(dispute["evidence"]["uncategorized_text"] or "")
    return close_dispute(world, dispute, status) if status and dispute["status"] in OPEN else dispute


def _close(world: World, _: dict[str, Any], id_: str) -> Obj:
    dispute = world.named(id_, "dispute")
    return close_dispute(world, dispute, "warning_closed" if dispute["status"].startswith("warning") else "lost")


def _list(world: World, params: dict[str, Any]) -> Obj:
    equal = {name: params.get(name) for name in ("charge", "payment_intent")}
    return views.page(world, "dispute", params, "/v1/disputes", equal=equal)


OPERATIONS = (
    Operation("GET", "/v1/disputes", "_dispute_list_params", _list),
    Operation("GET", "/v1/disputes/{}", "_dispute_retrieve_params", views.retrieve("dispute")),
    Operation("POST", "/v1/disputes/{}", "_dispute_update_params", _update),
    Operation("POST", "/v1/disputes/{}/close", "_dispute_close_params", _close),
)
