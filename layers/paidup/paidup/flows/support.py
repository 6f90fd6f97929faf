"""Support: what a person decides about a customer's purchase."""

from dataclasses import replace

from paidup.flows.refund import refund
from paidup.flows.services import Services
from paidup.flows.transact import update
from paidup.model.case import CaseReason
from paidup.model.errors import Conflict, NotFound
from paidup.model.fact import Channel
from paidup.model.offer import Kind
from paidup.model.purchase import Purchase
from paidup.model.settlement import book_again, ensure_booking_slot
from paidup.model.snapshot import ChangeSet, Snapshot


class NothingPaid(Conflict):
    """There is no payment to refund."""

    slug = "nothing-paid"
    title = "Nothing was paid"
    next_step = "Look at the purchase: its payment failed, or was never made."

    def __init__(self, purchase_id: str) -> None:
        """Refuse to refund *purchase_id*, because it was never paid."""
        super().__init__(f"Nothing was paid for the purchase {purchase_id!r}.")


def review(customer_id: str, purchase_id: str, services: Services, *, grant: bool, by: str, now: int) -> None:
    """Decide about a payment: *grant* the purchase although the amount is wrong, or refund it.

    *by* is the person who decided. It is stored in the review case and on the timeline. If a live session is granted,
    its booking waits from *now* (epoch seconds) on. If a live session is refunded, its booking ends. An earlier refund
    decision stays.

    Raises NotFound if the customer has no such purchase, NothingPaid if there is no payment to refund, and
    BookingInTheWay if another booking is open.
    """

    def step(snapshot: Snapshot, change: ChangeSet) -> None:
        purchase = snapshot.purchase
        if purchase is None:
            raise NotFound("purchase", purchase_id)
        if not grant and not purchase.paid:
            raise NothingPaid(purchase_id)
        if purchase.refund_decision or (grant and not purchase.needs_review):
            return
        outcome = "granted by support" if grant else "refunded by support"
        decided = replace(purchase, accepted=True) if grant else purchase.to_refund("support decided", now=now)
        decided = change.decide_case(decided, CaseReason.AMOUNT_MISMATCH, outcome, by=by)
        change.put_purchase(decided)
        change.note(decided, outcome, channel=Channel.SUPPORT, decided_by=by)
        _rebook(purchase, change, grant=grant)

    update(customer_id, purchase_id, step, services, now=now)
    if not grant:
        refund(customer_id, purchase_id, services, now=now, channel=Channel.SUPPORT)


def _rebook(purchase: Purchase, change: ChangeSet, *, grant: bool) -> None:
    """Open the booking of a granted live session, or end the booking of a refunded one."""
    in_slot = change.slot_booking
    if in_slot and in_slot.purchase_id == purchase.purchase_id and not grant:
        change.put_booking(in_slot.called_off("support decided", now=change.now))
    elif grant and purchase.kind is Kind.LIVE_SESSION and change.snapshot.booking is None:
        ensure_booking_slot(change)
        book_again(purchase, purchase.purchase_id, change)
