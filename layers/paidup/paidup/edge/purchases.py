"""What customers send to manage a purchase and hosts send to use one, and what they get back."""

from dataclasses import asdict, dataclass
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from paidup.edge.views.purchase import PurchaseView
from paidup.flows.manage import Wanted
from paidup.flows.redeem import Redeemed
from paidup.model.money import digits_of
from paidup.model.offer import MAX_QUANTITY, Cart
from paidup.model.policy import Policy
from paidup.model.provider import ChangePreview
from paidup.model.purchase import Purchase

MOST_AT_ONCE = 1_000


class ChangeRequest(BaseModel):
    """The offer that the subscription shall sell from now on, and how many (as many as now, if it is left out)."""

    model_config = ConfigDict(extra="forbid", strict=True)

    offer_id: str = Field(min_length=1, max_length=100)
    quantity: int | None = Field(default=None, ge=1, le=MAX_QUANTITY)

    @property
    def wanted(self) -> Wanted:
        """What the subscription shall sell."""
        return Wanted(offer_id=self.offer_id, quantity=self.quantity)


class CancelRequest(BaseModel):
    """When the subscription ends: with its period, or now, if the shop allows that."""

    model_config = ConfigDict(extra="forbid", strict=True)

    at: Literal["period_end", "now"] = "period_end"


class PortalRequest(BaseModel):
    """Where the customer comes back to from the provider's page."""

    model_config = ConfigDict(extra="forbid", strict=True)

    return_url: str | None = Field(default=None, max_length=2_000)


class UseRequest(BaseModel):
    """How many uses are taken."""

    model_config = ConfigDict(extra="forbid", strict=True)

    count: int = Field(default=1, ge=1, le=MOST_AT_ONCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeView(PurchaseView):
    """The purchase after a change: `changed`, or `pending` until the customer approves the payment on `mend_url`."""

    state: Literal["changed", "pending"]

    @classmethod
    def of_change(cls, purchase: Purchase, *, pending: bool, now: int, policy: Policy) -> Self:
        """Return the view of *purchase* at *now*."""
        view = PurchaseView.of(purchase, now=now, policy=policy)
        return cls(**asdict(view), state="pending" if pending else "changed")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePreviewView:
    """What a change would cost: `due_now`, and `next_amount` at `next_at` (epoch seconds).

    Amounts are minor units of `currency`, which has `digits`. If what is left of the present period is worth more than
    the change costs, `credited` pays for later bills.
    """

    offer_id: str
    quantity: int
    due_now: int
    credited: int
    next_amount: int
    next_at: int
    currency: str
    digits: int

    @classmethod
    def of(cls, cart: Cart, preview: ChangePreview) -> Self:
        """Return the view of the *preview* of a change to *cart*."""
        digits = digits_of(preview.currency)
        return cls(offer_id=cart.offer_id, quantity=cart.quantity, **asdict(preview), digits=digits)


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalView:
    """The provider's page for cards and bills. It can be opened for a few minutes."""

    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UseView:
    """A use of a purchase: `count` were taken, and `uses_left` of `uses` are left. Times are epoch seconds."""

    use_id: str
    purchase_id: str
    offer_id: str
    status: str
    count: int
    taken_at: int
    uses: int
    uses_left: int
    taken_back_at: int | None = None

    @classmethod
    def of(cls, redeemed: Redeemed, *, now: int, policy: Policy) -> Self:
        """Return the view of a use at *now*."""
        use, purchase = redeemed.use, redeemed.purchase
        return cls(
            use_id=use.use_id,
            purchase_id=use.purchase_id,
            offer_id=purchase.offer_id,
            status=purchase.status_at(now=now, policy=policy).state,
            count=use.count,
            taken_at=use.taken_at,
            uses=purchase.uses or 0,
            uses_left=purchase.uses_left or 0,
            taken_back_at=use.taken_back_at,
        )
