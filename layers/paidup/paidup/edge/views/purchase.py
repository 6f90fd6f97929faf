"""What was bought."""

from dataclasses import dataclass

from paidup.model.money import digits_of
from paidup.model.policy import Policy
from paidup.model.purchase import Purchase


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseView:
    """What was bought: `amount` in minor units of `currency`, which has `digits`; times in epoch seconds.

    Where paidup itself decided to give the money back, `refund_why` is the reason, as a clause for people, and
    `paid_before` the pass that the same purchase had been paid with already. On the page `mend_url` the customer can
    pay a bill that is not paid. If uses are counted, `uses_left` of `uses` are left.
    """

    purchase_id: str
    checkout_id: str
    offer_id: str
    kind: str
    status: str
    quantity: int
    amount: int
    currency: str
    digits: int
    provider: str
    provider_ref: str | None = None
    paid_at: int | None = None
    until: int | None = None
    renews_at: int | None = None
    cancel_at: int | None = None
    refunded: int = 0
    refund_why: str | None = None
    paid_before: str | None = None
    mend_url: str | None = None
    uses: int | None = None
    uses_left: int | None = None

    @classmethod
    def of(cls, purchase: Purchase, *, now: int, policy: Policy) -> "PurchaseView":
        """Return the view of *held* at *now*."""
        status = purchase.status_at(now=now, policy=policy)
        plan, payment = purchase.subscription, purchase.payment
        currency = plan.currency if plan else payment.currency if payment else ""
        renews = plan and status.grants and plan.cancel_at is None
        return cls(
            purchase_id=purchase.purchase_id,
            checkout_id=purchase.purchase_id,
            offer_id=purchase.sells,
            kind=purchase.kind,
            status=status.state,
            quantity=purchase.sold_quantity,
            amount=plan.amount if plan else payment.amount if payment else 0,
            currency=currency,
            digits=digits_of(currency),
            provider=purchase.provider,
            provider_ref=purchase.provider_ref,
            paid_at=purchase.paid_at,
            until=status.until,
            renews_at=plan.period_end if plan and renews else None,
            cancel_at=plan.cancel_at if plan else None,
            refunded=purchase.refunded,
            refund_why=purchase.refund_decision.why if purchase.refund_decision else None,
            paid_before=purchase.refund_decision.paid_before if purchase.refund_decision else None,
            mend_url=purchase.mend_url,
            uses=purchase.uses,
            uses_left=purchase.uses_left,
        )
