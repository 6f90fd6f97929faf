"""Arrival: by which payment the access to a purchase began, and whether its webhook was missed."""

from paidup.model.fact import Channel
from paidup.model.snapshot import ChangeSet

AFTERWARDS = frozenset({Channel.SWEEP, Channel.RECONCILER})
MISSED_AFTER_S = 60


def payment_that_began(change: ChangeSet, purchase_id: str) -> int | None:
    """Return when the provider took the payment (epoch seconds) by which access to the purchase begins with *change*.

    None: access does not begin, or begins for another reason than a new payment.
    """
    before, after = change.snapshot.purchase, change.purchase(purchase_id)
    had = before is not None and before.status_at(now=change.now, policy=change.policy).grants
    if had or after is None or not after.status_at(now=change.now, policy=change.policy).grants:
        return None
    return min(payments_in(change, purchase_id), default=None)


def webhook_missed(change: ChangeSet, purchase_id: str, channel: Channel) -> bool:
    """Whether *change* is about a payment that only the sweep or the reconciler brought, over a minute after it.

    Then its webhook did not come, or came to nothing. A sweep that looks at a page in the very moment of its payment
    may well be before the webhook.
    """
    found = channel in AFTERWARDS
    return found and any(change.now - at > MISSED_AFTER_S for at in payments_in(change, purchase_id))


def payments_in(change: ChangeSet, purchase_id: str) -> list[int]:
    """Return when the provider took the payments for the purchase that were not known before *change*."""
    news = (one for one in change.timeline if one.purchase_id == purchase_id)
    return [one.provider_paid_at for one in news if one.provider_paid_at is not None]
