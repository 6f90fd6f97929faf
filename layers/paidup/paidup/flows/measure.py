"""Measuring: what a change means for operators, as metrics. They are written after the change, and stop nothing."""

from paidup.model.arrival import payment_that_began, webhook_missed
from paidup.model.fact import Channel
from paidup.model.snapshot import ChangeSet
from paidup.outside import metrics


def settled(change: ChangeSet, purchase_id: str, channel: Channel, *, ms: float) -> None:
    """Count that *channel* brought news of a purchase, which took *ms* milliseconds to settle.

    If access began by a new payment, record how long the buyer waited for it, from the payment on.
    """
    if not change.timeline:
        return
    metrics.count("Settlement", channel=channel)
    if (paid_at := payment_that_began(change, purchase_id)) is not None:
        metrics.time("ChargeToAccess", max(0, change.now - paid_at) * 1000 + ms, channel=channel)
    if webhook_missed(change, purchase_id, channel):
        metrics.count("WebhookMissed", channel=channel)


def committed(change: ChangeSet) -> None:
    """Count the review cases that *change* opened."""
    for case in change.cases.values():
        if case.open:
            metrics.count("CaseOpened", reason=case.reason)
