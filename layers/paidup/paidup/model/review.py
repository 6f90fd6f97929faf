"""Which review cases facts open about a purchase, and which ones they close."""

from collections.abc import Sequence

from paidup.model.case import CaseReason
from paidup.model.fact import Fact, Invoice, InvoiceStatus
from paidup.model.purchase import Purchase
from paidup.model.snapshot import ChangeSet


def review(purchase: Purchase, facts: Sequence[Fact], change: ChangeSet) -> None:
    """Open and close the review cases of *purchase*, into which *facts* are merged."""
    _review_amount(purchase, facts, change)
    _review_refund(purchase, facts, change)
    _review_price(purchase, facts, change)
    _review_parts(purchase, facts, change)
    _review_end(purchase, facts, change)
    _review_added(purchase, facts, change)


def _review_amount(purchase: Purchase, facts: Sequence[Fact], change: ChangeSet) -> None:
    """Open a review case if the paid amount is wrong. Close it if the money was refunded elsewhere."""
    before = change.snapshot.purchase
    if purchase.needs_review == (before is not None and before.needs_review):
        return
    purchase = change.purchase(purchase.purchase_id) or purchase
    if not purchase.needs_review:
        change.put_purchase(change.decide_case(purchase, CaseReason.AMOUNT_MISMATCH, "the money went back"))
        return
    asked, paid = purchase.asked, purchase.first_paid
    why = f"Asked for {asked.amount} {asked.currency}" if asked else ""
    why += f", paid {paid.amount} {paid.currency}." if paid else ""
    _open_case(purchase, CaseReason.AMOUNT_MISMATCH, why, facts, change)


def _review_refund(purchase: Purchase, facts: Sequence[Fact], change: ChangeSet) -> None:
    """Open a review case if a bank returned a refund to us. Close it if the refund arrives later."""
    purchase = change.purchase(purchase.purchase_id) or purchase
    before = change.snapshot.purchase
    was_back = before is not None and before.fully_refunded
    if purchase.refund_decision is None or purchase.fully_refunded == was_back:
        return
    if was_back:
        why = "A refund came back from the buyer's bank."
        _open_case(purchase, CaseReason.REFUND_RETURNED, why, facts, change)
        return
    for reason in (CaseReason.REFUND_STUCK, CaseReason.REFUND_RETURNED):
        purchase = change.decide_case(purchase, reason, "the refund arrived")
    change.put_purchase(purchase)


def _review_price(purchase: Purchase, facts: Sequence[Fact], change: ChangeSet) -> None:
    """Open a review case if a price names no offer, since nobody knows what it sells. Close it once it names one."""
    purchase = change.purchase(purchase.purchase_id) or purchase
    if purchase.nameless and not (purchase.needs_review or purchase.refund_decision):
        why = "The customer pays a price that names no offer: let the price or an offer name the other."
        _open_case(purchase, CaseReason.UNKNOWN_PRICE, why, facts, change)
    else:
        change.put_purchase(change.decide_case(purchase, CaseReason.UNKNOWN_PRICE, "every price names an offer"))


def _review_parts(purchase: Purchase, facts: Sequence[Fact], change: ChangeSet) -> None:
    """Open a review case if a part of a payment went back: access goes on, and a person decides whether it should."""
    purchase = change.purchase(purchase.purchase_id) or purchase
    part, before = purchase.reversals.part, change.snapshot.purchase
    if part == 0:
        said = "the whole went back" if purchase.reversals.state else "the money came back"
        change.put_purchase(change.decide_case(purchase, CaseReason.PARTLY_TAKEN_BACK, said))
    elif before is None or part != before.reversals.part:
        why = f"{part} (minor units) of what was paid went back by a refund or a dispute; access goes on."
        _open_case(purchase, CaseReason.PARTLY_TAKEN_BACK, why, facts, change)


def _review_end(purchase: Purchase, facts: Sequence[Fact], change: ChangeSet) -> None:
    """Open a review case if a subscription is paid after it ended: nothing is granted for that money."""
    purchase = change.purchase(purchase.purchase_id) or purchase
    late, before = purchase.paid_after_end, change.snapshot.purchase
    if late and late != (before.paid_after_end if before else 0) and not purchase.refund_decision:
        why = f"{late} (minor units) were paid for a subscription that had ended before: nothing is granted for that."
        _open_case(purchase, CaseReason.PAID_AFTER_END, why, facts, change)
    elif not late:
        change.put_purchase(change.decide_case(purchase, CaseReason.PAID_AFTER_END, "the money went back"))


def _review_added(purchase: Purchase, facts: Sequence[Fact], change: ChangeSet) -> None:
    """Open a review case if the customer paid for what was added to a subscription's bill by hand: nothing is granted
    for that.
    """
    before = change.snapshot.purchase
    known = before.invoices if before else {}
    paid_before = {an_id for an_id, bill in known.items() if bill.status is InvoiceStatus.PAID}
    bills = [fact.entry.value for fact in facts if fact.about not in paid_before]
    paid = [one for one in bills if isinstance(one, Invoice) and one.status is InvoiceStatus.PAID]
    if prices := sorted({price for bill in paid for price in bill.beside}):
        purchase = change.purchase(purchase.purchase_id) or purchase
        why = f"The bill of a subscription was paid, and with it what was added to it ({', '.join(prices)})."
        _open_case(purchase, CaseReason.BILLED_BESIDE, why, facts, change)


def _open_case(purchase: Purchase, reason: CaseReason, why: str, facts: Sequence[Fact], change: ChangeSet) -> None:
    """Open a review case about *purchase*, because of *facts*."""
    fact_ids = tuple(fact.fact_id for fact in facts)
    change.put_purchase(change.open_case(purchase, reason, why, facts=fact_ids))
