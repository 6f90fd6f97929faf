"""Groups: what a customer has once at a time, and the one trial of each group.

An offer belongs to a group. While a purchase of the group runs, no second one of the group is sold.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from paidup.model.access import PurchaseStatus
from paidup.model.errors import Conflict
from paidup.model.offer import SUBSCRIPTIONS, Cart, Kind, Offer
from paidup.model.policy import Policy
from paidup.model.purchase import Purchase

MENDED_BY_A_CARD = frozenset({PurchaseStatus.PAST_DUE, PurchaseStatus.UNPAID})


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A purchase whose subscription may still take money. `group` is what it excludes others from (None: nothing)."""

    purchase: Purchase
    group: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """A trial of `group` that began for the e-mail address behind `email_hash`. `at` is in epoch seconds."""

    email_hash: str
    group: str
    at: int


class AlreadySubscribed(Conflict):
    """A subscription of the same group runs already. A second one would be paid beside it."""

    slug = "already-subscribed"
    title = "You have a subscription already"

    def __init__(self, purchase: Purchase, *, now: int, policy: Policy) -> None:
        """Refuse a second purchase of the group while *purchase* runs."""
        an_id, state = purchase.purchase_id, purchase.status_at(now=now, policy=policy).state
        plan = purchase.subscription
        steps = []
        if plan and plan.cancel_at is not None:
            steps.append(f"take its end back by POST /purchases/{an_id}/resume")
        if state in MENDED_BY_A_CARD:
            steps.append("mend the card by POST /billing-portal")
        steps.append(f"change its plan by POST /purchases/{an_id}/change")
        sentence = ", or ".join(steps)
        self.next_step = f"{sentence[0].upper()}{sentence[1:]}."
        self.members = {"purchase_id": an_id, "purchase_status": state.value, "offer_id": purchase.sells}
        super().__init__(f"The subscription {an_id!r} of the same group runs already ({state}).")


def group_of(thing: Cart | Purchase) -> str | None:
    """Return the group of *thing*. A subscription belongs to the default group if nothing says its group."""
    if thing.group is None and thing.kind is Kind.SUBSCRIPTION:
        return SUBSCRIPTIONS
    return thing.group


def exclusive_group(thing: Cart | Purchase | Offer) -> str | None:
    """Return the group that *thing* excludes others from, or None if it allows several."""
    if thing.allow_several:
        return None
    return thing.effective_group if isinstance(thing, Offer) else group_of(thing)


def names_its_group(purchase: Purchase) -> bool:
    """Whether the purchase itself says its group. If not, the offer that it sells now says it."""
    return purchase.group is not None and purchase.sells == purchase.offer_id


def running(purchases: Iterable[Purchase], offers: Iterable[Offer]) -> tuple[Running, ...]:
    """Return those of *purchases* that run, the first paid first.

    The offer that a purchase sells now decides about its group, if the purchase does not say it (see
    `names_its_group`) and the offer is among *offers*.
    """
    sold = {one.offer_id: one for one in offers}
    found = []
    for one in sorted(purchases, key=paid_first):
        offer = None if names_its_group(one) else sold.get(one.sells)
        if one.running:
            found.append(Running(purchase=one, group=exclusive_group(offer or one)))
    return tuple(found)


def refuse_second(cart: Cart, there: Iterable[Running], *, now: int, policy: Policy) -> None:
    """Raise AlreadySubscribed if one of the running purchases *there* is of the cart's group."""
    group = exclusive_group(cart)
    for one in there:
        if group is not None and one.group == group:
            raise AlreadySubscribed(one.purchase, now=now, policy=policy)


def paid_first(purchase: Purchase) -> tuple[int, str]:
    """Return the key by which purchases sort: the first paid first."""
    return (purchase.paid_at or 0, purchase.purchase_id)
