"""What a customer may use."""

from dataclasses import dataclass

from paidup.edge.views.copied import copied
from paidup.model.access import Access
from paidup.model.account import Account


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessView:
    """`quantity` of an offer that the customer may use now, until `until` (epoch seconds; absent: for good).

    If uses are counted, `uses_left` of `uses` are left.
    """

    purchase_id: str
    offer_id: str
    kind: str
    status: str
    quantity: int = 1
    until: int | None = None
    uses: int | None = None
    uses_left: int | None = None

    @classmethod
    def of(cls, access: Access) -> "AccessView":
        """Return the view of *access*."""
        return copied(cls, access)


def access_of(account: Account, *, now: int) -> list[AccessView]:
    """Return what the customer may use at *now*."""
    return [AccessView.of(one) for one in account.current_access(now=now)]
