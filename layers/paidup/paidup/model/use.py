"""Uses: what was taken from a purchase whose uses are counted, such as the ten classes of a pass."""

from dataclasses import dataclass, replace
from hashlib import sha256

from paidup.model.errors import Conflict, Malformed
from paidup.model.purchase import Purchase

KEPT_S = 7 * 86_400
TAKEN_BACK_WITHIN_S = 86_400


class NotEnoughUses(Conflict):
    """The purchase has fewer uses left than are asked for."""

    slug = "not-enough-uses"
    title = "Not enough uses are left"
    next_step = "Take at most what is left. The customer can buy more with POST /payment-tokens."

    def __init__(self, purchase_id: str, left: int) -> None:
        """Refuse to take more than *left* from *purchase_id*."""
        super().__init__(f"The purchase {purchase_id!r} has {left} {'use' if left == 1 else 'uses'} left.")


class NotUsable(Conflict):
    """The purchase grants no access now: it has ended, was refunded, or is not paid."""

    slug = "not-usable"
    title = "The purchase cannot be used now"
    next_step = "Look at the purchase: it was not paid, has ended, or its money went back."

    def __init__(self, purchase_id: str, status: str) -> None:
        """Refuse to use *purchase_id*, which has the *status*."""
        super().__init__(f"The purchase {purchase_id!r} is {status}.")


class TooLate(Conflict):
    """A use is taken back within a day, and not later."""

    slug = "too-late"
    title = "The use cannot be taken back any more"
    next_step = "Support can give the customer another purchase."

    def __init__(self, use_id: str) -> None:
        """Refuse to take *use_id* back."""
        super().__init__(f"The use {use_id!r} was taken more than a day ago.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """`count` uses that `by` took from a purchase at `taken_at`. `taken_back_at`: they were given back. Epoch seconds.

    `use_id` is derived from the caller's Idempotency-Key, so that the same key takes once.
    """

    use_id: str
    customer_id: str
    purchase_id: str
    count: int
    by: str
    taken_at: int
    taken_back_at: int | None = None

    @property
    def purge_at(self) -> int:
        """When the record may be deleted (epoch seconds). The timeline tells of the use for longer."""
        return self.taken_at + KEPT_S

    def same_as(self, count: int) -> "Use":
        """Return this use, because its request came again. Raises Malformed if that asked for another *count*."""
        if count != self.count:
            raise Malformed("Idempotency-Key", "was used for another count; send a new key")
        return self

    def taken_back(self, *, now: int) -> "Use":
        """Return this use given back at *now* (epoch seconds). A second call changes nothing. Raises TooLate."""
        if self.taken_back_at is not None:
            return self
        if now - self.taken_at > TAKEN_BACK_WITHIN_S:
            raise TooLate(self.use_id)
        return replace(self, taken_back_at=now)


def use_id(purchase_id: str, key: str) -> str:
    """Return the id of the use that the caller's Idempotency-Key *key* takes from *purchase_id*."""
    return "use_" + sha256(f"{purchase_id} {key}".encode()).hexdigest()[:32]


def take(purchase: Purchase, count: int, *, grants: bool, status: str) -> Purchase:
    """Return *purchase* with *count* more uses taken. It *grants* access now, and has the *status*.

    Raises NotEnoughUses and NotUsable.
    """
    left = purchase.uses_left or 0
    if left == 0 or (grants and count > left):
        raise NotEnoughUses(purchase.purchase_id, left)
    if not grants:
        raise NotUsable(purchase.purchase_id, status)
    return replace(purchase, used=purchase.used + count)


def give_back(purchase: Purchase, count: int) -> Purchase:
    """Return *purchase* with *count* uses given back."""
    return replace(purchase, used=max(0, purchase.used - count))
