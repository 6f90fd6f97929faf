"""Refunding: carry out a refund decision. The money goes back once, even if it takes many tries."""

from dataclasses import replace

from paidup.flows.services import Services
from paidup.flows.settle import settle
from paidup.flows.transact import update
from paidup.model.case import CaseReason
from paidup.model.errors import Contended, ProviderRefused, ProviderUnavailable
from paidup.model.fact import Channel
from paidup.model.snapshot import ChangeSet, Snapshot
from paidup.outside import metrics
from paidup.outside.deadline import within
from paidup.outside.log import logger

REFUND_WITHIN_S = 10.0
TRIES_BEFORE_CASE = 6


def refund(
    customer_id: str, purchase_id: str, services: Services, *, now: int, channel: Channel = Channel.SWEEP
) -> bool:
    """Refund the purchase if that is due at *now* (epoch seconds). Return False if the provider was down.

    The idempotency key is derived from the purchase, so the same call finishes after a crash. A failed refund is tried
    again after 1, 2, 4 … at most 60 minutes. After six tries a review case opens.
    """
    purchase = services.table.purchase(customer_id, purchase_id)
    if purchase is None or purchase.refund_decision is None or purchase.fully_refunded:
        return True
    if purchase.refund_decision.due_at > now:
        return True
    answered = True
    try:
        with within(REFUND_WITHIN_S):
            facts = services.provider(purchase.provider).refund(purchase)
        if facts:
            settle(facts, channel, services, now=now)
        logger.info("money.given_back", purchase_id=purchase_id, why=purchase.refund_decision.why)
    except (ProviderUnavailable, ProviderRefused, Contended) as refusal:
        answered = not isinstance(refusal, ProviderUnavailable)
        logger.warning("money.kept", purchase_id=purchase_id, tries=purchase.refund_decision.tries, why=str(refusal))
    _try_later(customer_id, purchase_id, services, now=now)
    return answered


def _try_later(customer_id: str, purchase_id: str, services: Services, *, now: int) -> None:
    """Make the purchase due again later, if the money is not back yet."""

    def step(snapshot: Snapshot, change: ChangeSet) -> None:
        purchase = snapshot.purchase
        if purchase is None or purchase.refund_decision is None or purchase.fully_refunded:
            return
        tried = purchase.refund_decision.tried(now=now)
        if tried.tries >= TRIES_BEFORE_CASE:
            why = f"Could not be given back in {tried.tries} tries ({tried.why})."
            purchase = change.open_case(purchase, CaseReason.REFUND_STUCK, why)
        change.put_purchase(replace(purchase, refund_decision=tried))

    tried = update(customer_id, purchase_id, step, services, now=now).change.purchases.get(purchase_id)
    if tried and tried.refund_decision and tried.refund_decision.tries >= TRIES_BEFORE_CASE:
        metrics.count("RefundStuck")
