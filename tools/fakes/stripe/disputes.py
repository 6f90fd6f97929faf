"""Disputes: a buyer's bank takes money back, and sometimes gives it again."""

from typing import Any

from tools.fakes.store import Obj
from tools.fakes.stripe import balance, cards, views
from tools.fakes.stripe.operation import Operation, merged_metadata
from tools.fakes.stripe.wire import Refusal
from tools.fakes.stripe.world import World

ANSWER_WITHIN_S = 7 * 86_400
MOVES = {
    "warning_needs_response": ("warning_under_review", "warning_closed", "needs_response"),
    "warning_under_review": ("warning_closed", "needs_response"),
    "needs_response": ("under_review", "won", "lost"),
    "under_review": ("appeal_needs_response", "won", "lost"),
    "appeal_needs_response": ("appeal_under_review", "lost"),
    "appeal_under_review": ("won", "lost"),
}
"""What each status of an open dispute can become; the merchant's bank and the buyer's take turns."""
CLOSED = ("won", "lost", "warning_closed", "prevented")
KINDS = ("chargeback", "inquiry", "resolution", "block")
"""How a dispute begins: `inquiry` asks first. One that was prevented is a `resolution`, with the money back at the
buyer, or a `block`, which moves none.
"""


def open_dispute(
    world: World, charge: Obj, *, amount: int | None = None, reason: str = "fraudulent", kind: str = "chargeback"
) -> Obj:
    """Dispute *amount* of a *charge*, or all that is not disputed yet."""
    known = world.store.by("dispute", charge=charge["id"])
    left = charge["amount"] - sum(one["amount"] for one in known if one["status"] not in ("won", "warning_closed"))
    sum_ = left if amount is None else amount
    if charge["status"] != "succeeded" or not 0 < sum_ <= left:
        raise Refusal(f"Charge {charge['id']} cannot be disputed: it is unpaid, or disputed already.")
    prevented = kind in ("resolution", "block")
    dispute = world.make(
        "dispute",
        "du_1",
        amount=sum_,
        charge=charge["id"],
        currency=charge["currency"],
        evidence_details={"due_by": None if prevented else world.now() + ANSWER_WITHIN_S},
        is_charge_refundable=kind == "inquiry",
        payment_intent=charge["payment_intent"],
        payment_method_details={"card": {"case_type": kind}},
        reason=reason,
        status="prevented" if prevented else "warning_needs_response" if kind == "inquiry" else "needs_response",
    )
    world.change(charge, "charge.updated", disputed=True)
    world.emit("charge.dispute.created", dispute)
    if kind in ("chargeback", "resolution"):
        _withdraw(world, dispute)
    if prevented:
        world.emit("charge.dispute.closed", dispute)
    return dispute


def move_dispute(world: World, dispute: Obj, status: str) -> Obj:
    """Let a *dispute* go on to *status* (see `MOVES`), and end with `won`, `lost` or `warning_closed`."""
    before = dispute["status"]
    if before in CLOSED:
        raise world.conflict(f"This dispute is already closed: it is {before}.")
    if status not in MOVES[before]:
        raise Refusal(f"A dispute that is {before} cannot become {status}.", param="status")
    if status == "won":
        back = balance.move(world, dispute["amount"], dispute["currency"], "adjustment", dispute["id"])
        world.change(dispute, balance_transactions=[*dispute["balance_transactions"], back])
    fields: dict[str, Any] = {"status": status}
    if status == "needs_response":
        card = dispute["payment_method_details"]["card"] | {"case_type": "chargeback"}
        details = dispute["payment_method_details"] | {"card": card}
        fields |= {"is_charge_refundable": False, "payment_method_details": details}
    world.change(dispute, "charge.dispute.updated", **fields)
    if status == "needs_response":
        _withdraw(world, dispute)
    if status in CLOSED:
        world.emit("charge.dispute.closed", dispute)
    if status == "won":
        world.emit("charge.dispute.funds_reinstated", dispute)
    return dispute


def _withdraw(world: World, dispute: Obj) -> None:
    withdrawn = balance.move(world, -dispute["amount"], dispute["currency"], "adjustment", dispute["id"])
    world.change(dispute, balance_transactions=[withdrawn])
    world.emit("charge.dispute.funds_withdrawn", dispute)


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
    return move_dispute(world, dispute, status) if status in MOVES.get(dispute["status"], ()) else dispute


def _close(world: World, _: dict[str, Any], id_: str) -> Obj:
    dispute = world.named(id_, "dispute")
    return move_dispute(world, dispute, "warning_closed" if dispute["status"].startswith("warning") else "lost")


def _list(world: World, params: dict[str, Any]) -> Obj:
    equal = {name: params.get(name) for name in ("charge", "payment_intent")}
    return views.page(world, "dispute", params, "/v1/disputes", equal=equal)


OPERATIONS = (
    Operation("GET", "/v1/disputes", "_dispute_list_params", _list),
    Operation("GET", "/v1/disputes/{}", "_dispute_retrieve_params", views.retrieve("dispute")),
    Operation("POST", "/v1/disputes/{}", "_dispute_update_params", _update),
    Operation("POST", "/v1/disputes/{}/close", "_dispute_close_params", _close),
)
