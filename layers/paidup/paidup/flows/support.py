"""Support: what a person decides about a customer's purchase."""

from dataclasses import dataclass

from paidup.flows.refund import refund
from paidup.flows.services import Services
from paidup.flows.transact import transact, update
from paidup.model.booking_slot import book_again, ensure_booking_slot
from paidup.model.case import CaseReason
from paidup.model.errors import Conflict, NotFound
from paidup.model.fact import Channel
from paidup.model.offer import Kind
from paidup.model.purchase import Purchase
from paidup.model.snapshot import ChangeSet, Snapshot
from paidup.model.timeline import decided

# What a decision about the purchase ends. A refund that does not arrive ends only when the money is back.
DECIDABLE = (
    CaseReason.AMOUNT_MISMATCH,
    CaseReason.UNKNOWN_PRICE,
    CaseReason.PARTLY_TAKEN_BACK,
    CaseReason.PAID_AFTER_END,
    CaseReason.BILLED_BESIDE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Who decided something (`by`), why, and when (epoch seconds). It is kept on the timeline."""

    by: str
    reason: str
    now: int


class NothingPaid(Conflict):
    """There is no payment to refund."""

    slug = "nothing-paid"
    title = "Nothing was paid"
    next_step = "Look at the purchase: its payment failed, or was never made."

    def __init__(self, purchase_id: str) -> None:
        """Refuse to refund *purchase_id*, because it was never paid."""
        super().__init__(f"Nothing was paid for the purchase {purchase_id!r}.")


def review(customer_id: str, purchase_id: str, services: Services, decision: Decision, *, grant: bool) -> None:
    """Decide the open cases of a purchase: *grant* it as it was paid, or refund it.

    Who decided is stored in the review case and on the timeline, and the reason on the timeline. If a live session is
    granted, its booking waits from now on. If a live session is refunded, its booking ends. An earlier refund decision
    stays.

    Raises NotFound if the customer has no such purchase, NothingPaid if there is no payment to refund, and
    BookingInTheWay if another booking is open.
    """
    by, now = decision.by, decision.now

    def step(snapshot: Snapshot, change: ChangeSet) -> None:
        purchase = snapshot.purchase
        if purchase is None:
            raise NotFound("purchase", purchase_id)
        if not grant and not purchase.paid:
            raise NothingPaid(purchase_id)
        waits = purchase.needs_review or bool(purchase.open_cases)
        if purchase.refund_decision or (grant and not waits):
            return
        outcome = "granted by support" if grant else "refunded by support"
        wrong = purchase.needs_review or purchase.nameless
        kept = purchase.accept(now=now) if wrong else purchase
        decided = kept if grant else purchase.to_refund("support decided", now=now)
        for reason in DECIDABLE:
            decided = change.decide_case(decided, reason, outcome, by=by)
        change.put_purchase(decided)
        change.note(decided, outcome, channel=Channel.SUPPORT, decided_by=by, reason=decision.reason)
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


def note(customer_id: str, purchase_id: str, what: str, services: Services, decision: Decision) -> None:
    """Write on the customer's timeline *what* support did about a purchase (an empty id: about the account)."""

    def load() -> Snapshot:
        return Snapshot(account=services.table.account(customer_id))

    def decide(snapshot: Snapshot) -> ChangeSet:
        change = ChangeSet(snapshot=snapshot, policy=services.policy, now=decision.now)
        account, keep_s = snapshot.account, services.policy.timeline_retention_s
        change.timeline.append(
            decided(
                what,
                account=account,
                purchase_id=purchase_id,
                by=decision.by,
                reason=decision.reason,
                now=decision.now,
                purge_at=decision.now + keep_s,
            )
        )
        return change

    transact(customer_id, load, decide, services)
