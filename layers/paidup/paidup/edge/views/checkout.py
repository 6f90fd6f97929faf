"""A checkout, and what to do with it next."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from paidup.edge.views.payment_token import PaymentToken
from paidup.edge.views.purchase import PurchaseView
from paidup.model.order import is_paid
from paidup.model.policy import Policy
from paidup.model.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutStory(PaymentToken):
    """A checkout as its buyer finds it again: what remains (seconds), their own `context`, and what to do `next`."""

    remaining_s: int
    next: Literal["pay", "recover", "done"]
    replaced_by: str | None = None
    context: Mapping[str, Any] | None = None
    purchase: PurchaseView | None = None

    @classmethod
    def of(cls, snapshot: Snapshot, *, now: int, policy: Policy) -> Self:
        """Return the view of the checkout in *snapshot*, at *now*."""
        if snapshot.checkout is None:
            raise ValueError("a story needs a checkout")
        checkout, purchase = snapshot.checkout, snapshot.purchase
        payable = checkout.holds_slot(now=now) and checkout.url is not None
        done = is_paid(checkout, purchase, now=now)
        return cls(
            **asdict(PaymentToken.of_checkout(checkout, now=now)),
            remaining_s=max(0, checkout.expires_at - now) if payable else 0,
            next="done" if done else "pay" if payable else "recover",
            replaced_by=checkout.replaced_by,
            context=checkout.context,
            purchase=PurchaseView.of(purchase, now=now, policy=policy) if purchase else None,
        )
