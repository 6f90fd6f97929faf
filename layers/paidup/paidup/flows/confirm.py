"""Confirming: the state of a checkout for its buyer. If no webhook has reported it, the provider is asked."""

from dataclasses import dataclass
from enum import StrEnum

from paidup.flows.services import Services
from paidup.flows.settle import settle
from paidup.flows.transact import update
from paidup.model.access import PurchaseStatus
from paidup.model.account import Account
from paidup.model.checkout import Checkout, CheckoutStatus
from paidup.model.errors import BudgetSpent, NotFound, ObjectMissing, Refusal
from paidup.model.fact import Channel
from paidup.model.purchase import Purchase
from paidup.model.snapshot import ChangeSet, Snapshot
from paidup.model.timeline import TimelineEntry
from paidup.outside.deadline import within
from paidup.outside.log import logger

ASK_WITHIN_S = 5.0


class State(StrEnum):
    """The states that the poll returns."""

    CONFIRMING = "confirming"
    ACTIVE = "active"
    FAILED = "failed"
    EXPIRED = "expired"
    REFUNDED = "refunded"


STATE_OF = {
    PurchaseStatus.PENDING: State.CONFIRMING,
    PurchaseStatus.REFUNDING: State.REFUNDED,
    PurchaseStatus.REFUNDED: State.REFUNDED,
    PurchaseStatus.QUARANTINED: State.FAILED,
    PurchaseStatus.FAILED: State.FAILED,
    PurchaseStatus.UNPAID: State.FAILED,
    PurchaseStatus.DISPUTED: State.FAILED,
    PurchaseStatus.CHARGED_BACK: State.REFUNDED,
    PurchaseStatus.PAUSED: State.EXPIRED,
    PurchaseStatus.CANCELED: State.EXPIRED,
    PurchaseStatus.ENDED: State.EXPIRED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """The state of one checkout for its buyer. The client polls again after `attempt_after_ms` (0: not at all)."""

    checkout_id: str
    state: State
    attempt_after_ms: int
    account: Account
    purchase: Purchase | None
    timeline: list[TimelineEntry]


def confirm(customer_id: str, checkout_id: str, services: Services, *, now: int) -> Confirmation:
    """Return the state of the customer's checkout at *now* (epoch seconds). A known state needs one read.

    If the state is not known, the provider is asked: 3 s after the page opened, then at most once in 3 s. So a purchase
    shows even if no webhook arrives. Raises NotFound if the customer has no such checkout.
    """
    snapshot = services.table.load(customer_id, checkout_id)
    if snapshot.checkout is None and snapshot.purchase is None:
        raise NotFound("checkout", checkout_id)
    if (
        _undecided(snapshot, services, now=now)
        and snapshot.checkout
        and refresh(snapshot.checkout, Channel.POLL, services, now=now)
    ):
        snapshot = services.table.load(customer_id, checkout_id)
    state = state_of(snapshot, services, now=now)
    again_ms = services.policy.poll_every_s * 1000 if state is State.CONFIRMING else 0
    timeline = services.table.timeline(customer_id, purchase_id=checkout_id) if snapshot.purchase else []
    return Confirmation(
        checkout_id=checkout_id,
        state=state,
        attempt_after_ms=again_ms,
        account=snapshot.account,
        purchase=snapshot.purchase,
        timeline=timeline,
    )


def refresh(checkout: Checkout, channel: Channel, services: Services, *, now: int) -> bool:
    """Ask the provider about *checkout*'s page, settle the facts, and return whether the provider was asked.

    The provider is asked at most once in 3 s per checkout. Requests at the same time claim the turn through the
    account's version. If the provider does not answer, the read budget is spent, or other writers are always first,
    nothing changes: the client polls again.
    """
    if not checkout.token or not _turn(checkout, services, now=now):
        return False

    def claim(snapshot: Snapshot, change: ChangeSet) -> None:
        if snapshot.checkout and _turn(snapshot.checkout, services, now=now):
            change.put_checkout(snapshot.checkout.asked(now=now))

    try:
        if update(checkout.customer_id, checkout.checkout_id, claim, services, now=now).change.empty:
            return False
        with services.asking(channel, now=now):
            look_at_page(checkout, channel, services, now=now)
    except (Refusal, BudgetSpent) as refusal:
        logger.warning("page.unseen", checkout_id=checkout.checkout_id, why=refusal.slug)
    return True


def look_at_page(checkout: Checkout, channel: Channel, services: Services, *, now: int) -> None:
    """Ask the provider about *checkout*'s page, and settle the facts. If the page is missing there, end the checkout.

    Raises ProviderUnavailable and ProviderRefused, and what `settle` raises.
    """
    try:
        with within(ASK_WITHIN_S):
            if facts := services.provider(checkout.provider).page(checkout).facts:
                settle(facts, channel, services, now=now)
    except ObjectMissing:
        _expire_missing(checkout, services, now=now)


def _expire_missing(checkout: Checkout, services: Services, *, now: int) -> None:
    """End *checkout*, because its page is missing at the provider."""

    def step(snapshot: Snapshot, change: ChangeSet) -> None:
        if snapshot.checkout and not snapshot.checkout.ended:
            change.put_checkout(snapshot.checkout.expired(now=now))

    update(checkout.customer_id, checkout.checkout_id, step, services, now=now)


def state_of(snapshot: Snapshot, services: Services, *, now: int) -> State:
    """Return the state of the purchase or checkout in *snapshot* at *now*."""
    if snapshot.purchase:
        status = snapshot.purchase.status_at(now=now, policy=services.policy)
        return State.ACTIVE if status.grants else STATE_OF[status.state]
    if snapshot.checkout and snapshot.checkout.seen(now=now) in (CheckoutStatus.EXPIRED, CheckoutStatus.INVALIDATED):
        return State.EXPIRED
    return State.CONFIRMING


def _undecided(snapshot: Snapshot, services: Services, *, now: int) -> bool:
    """Whether the provider may know more: the state is not known, or the checkout ended and its page is not closed."""
    if state_of(snapshot, services, now=now) is State.CONFIRMING:
        return True
    return snapshot.purchase is None and snapshot.checkout is not None and snapshot.checkout.due_at is not None


def _turn(checkout: Checkout, services: Services, *, now: int) -> bool:
    last = checkout.asked_at or checkout.opened_at or checkout.created_at
    return now - last >= services.policy.ask_every_s
