"""The whole account."""

from dataclasses import dataclass, field
from typing import Self

from paidup.edge.views.access import AccessView, access_of
from paidup.edge.views.booking import BookingView
from paidup.edge.views.payment_token import PaymentToken
from paidup.edge.views.purchase import PurchaseView
from paidup.model.policy import Policy
from paidup.model.purchase import Purchase
from paidup.model.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """The whole account as of one version; `next` asks for the following page of `purchases`.

    `access_cut` says that there is more access than is listed: each offer's longest is listed, and 200 in all.
    `trials_used` are the groups of which the customer has had their trial: their offers begin at the price at once.
    """

    customer_id: str
    billing_version: int
    access: list[AccessView]
    access_cut: bool = False
    purchases: list[PurchaseView]
    next: str | None = None
    checkout: PaymentToken | None = None
    booking: BookingView | None = None
    trials_used: list[str] = field(default_factory=list)

    @classmethod
    def of(
        cls, snapshot: Snapshot, purchases: list[Purchase], following: str | None, *, now: int, policy: Policy
    ) -> Self:
        """Return the view of an account at *now*."""
        open_one = snapshot.checkout if snapshot.checkout and snapshot.checkout.holds_slot(now=now) else None
        slot = snapshot.slot_booking
        booking = slot if slot and slot.open and not slot.stale(now=now) else None
        return cls(
            customer_id=snapshot.account.customer_id,
            billing_version=snapshot.account.billing_version,
            access=access_of(snapshot.account, now=now),
            access_cut=snapshot.account.access_cut,
            next=following,
            purchases=[PurchaseView.of(purchase, now=now, policy=policy) for purchase in purchases],
            checkout=PaymentToken.of_checkout(open_one, now=now) if open_one else None,
            booking=BookingView.of(booking, now=now, policy=policy) if booking else None,
            trials_used=list(snapshot.account.trials),
        )
