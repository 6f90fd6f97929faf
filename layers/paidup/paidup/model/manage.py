"""Managing a subscription: what its customer may do with it now, and why not."""

from paidup.model.errors import Conflict, Malformed, Refusal
from paidup.model.fact import Subscription, SubscriptionStatus
from paidup.model.offer import Kind, Offer
from paidup.model.purchase import Purchase

UNPAID = (SubscriptionStatus.PAST_DUE, SubscriptionStatus.UNPAID, SubscriptionStatus.INCOMPLETE)


class NotASubscription(Conflict):
    """The purchase was bought once, so there is nothing to change or cancel."""

    slug = "not-a-subscription"
    title = "The purchase is no subscription"
    next_step = "Nothing will be charged again. To buy something else, use POST /payment-tokens."

    def __init__(self, purchase_id: str) -> None:
        """Refuse to manage *purchase_id*."""
        super().__init__(f"The purchase {purchase_id!r} was paid once, and does not renew.")


class SubscriptionEnded(Conflict):
    """The subscription has ended for good."""

    slug = "subscription-ended"
    title = "The subscription has ended"
    next_step = "Buy it again with POST /payment-tokens."

    def __init__(self, purchase_id: str) -> None:
        """Refuse to manage *purchase_id*, whose subscription has ended."""
        super().__init__(f"The subscription of the purchase {purchase_id!r} has ended.")


class MoneyGoesBack(Conflict):
    """The purchase is being refunded, which ends its subscription."""

    slug = "being-refunded"
    title = "The purchase is being refunded"
    next_step = "Wait for the money. To subscribe again, use POST /payment-tokens."

    def __init__(self, purchase_id: str) -> None:
        """Refuse to manage *purchase_id*, because its money goes back."""
        super().__init__(f"The money of the purchase {purchase_id!r} goes back, which ends its subscription.")


class NotReportedYet(Conflict):
    """The purchase is paid, but the provider has not reported its subscription yet."""

    slug = "not-reported-yet"
    title = "The subscription is not known yet"
    next_step = "Try again in a few seconds."
    retryable = True

    def __init__(self, purchase_id: str) -> None:
        """Refuse to manage *purchase_id*, until its subscription is reported."""
        super().__init__(f"The subscription of the purchase {purchase_id!r} is not known yet.")


class PaymentDue(Conflict):
    """A bill of the subscription is not paid, so it cannot be changed."""

    slug = "payment-due"
    title = "A payment is due"
    next_step = "Pay the bill at the purchase's mend_url, or put another card on file with POST /billing-portal."

    def __init__(self, purchase_id: str) -> None:
        """Refuse to change *purchase_id* before its bill is paid."""
        super().__init__(f"The purchase {purchase_id!r} has a bill that is not paid; pay it before changing.")


class ResumeFirst(Conflict):
    """The subscription is about to end, so it cannot be changed."""

    slug = "resume-first"
    title = "The subscription was cancelled"
    next_step = "Take the cancellation back with POST /purchases/{purchase_id}/resume, then change."

    def __init__(self, purchase_id: str) -> None:
        """Refuse to change *purchase_id*, which will end."""
        super().__init__(f"The purchase {purchase_id!r} will end with its period.")


class CollectionPaused(Conflict):
    """The shop has paused the subscription."""

    slug = "collection-paused"
    title = "The subscription is paused"
    next_step = "Ask the shop to let it go on."

    def __init__(self, purchase_id: str) -> None:
        """Refuse to change *purchase_id* while it is paused."""
        super().__init__(f"The purchase {purchase_id!r} is paused by the shop.")


class CancelNowRefused(Conflict):
    """The shop does not let customers end a subscription within its period."""

    slug = "cancel-now-refused"
    title = "Subscriptions end with their period"
    next_step = 'Send {"at": "period_end"}: what is paid can be used until then.'

    def __init__(self, purchase_id: str) -> None:
        """Refuse to end *purchase_id* at once."""
        super().__init__(f"The purchase {purchase_id!r} cannot be ended before its period ends.")


class ChangeImpossible(Conflict):
    """The subscription is paid by debit or by invoice, and such a payment takes days. Nothing changed."""

    slug = "change-impossible"
    title = "The subscription cannot be changed"
    next_step = "Put a card on file with POST /billing-portal, then change. Or cancel, and buy the other offer later."

    def __init__(self, purchase_id: str) -> None:
        """Refuse to change *purchase_id*."""
        super().__init__(f"The purchase {purchase_id!r} is paid in a way that a change cannot wait for.")


class ChangeDeclined(Refusal):
    """The payment for a change was declined. Nothing changed, and nothing was charged."""

    slug = "change-declined"
    status = 402
    title = "The payment for the change was declined"
    next_step = "Nothing changed. Put another card on file with POST /billing-portal, then change again."

    def __init__(self, purchase_id: str) -> None:
        """Report that the change of *purchase_id* was not paid."""
        super().__init__(f"The purchase {purchase_id!r} stays as it was: the payment for the change was declined.")


class NothingToManage(Conflict):
    """The customer is not known at any payment provider, so there are no cards and bills."""

    slug = "nothing-to-manage"
    title = "There are no cards and bills yet"
    next_step = "Buy something first with POST /payment-tokens."

    def __init__(self, customer_id: str) -> None:
        """Refuse to open a portal for *customer_id*."""
        super().__init__(f"The customer {customer_id!r} has bought nothing yet.")


def manageable(purchase: Purchase) -> Subscription:
    """Return the subscription of *purchase*. Raises NotASubscription, MoneyGoesBack and NotReportedYet."""
    plan = purchase.subscription
    if plan is None and purchase.kind is not Kind.SUBSCRIPTION:
        raise NotASubscription(purchase.purchase_id)
    if purchase.refund_decision:
        raise MoneyGoesBack(purchase.purchase_id)
    if plan is None:
        raise NotReportedYet(purchase.purchase_id)
    return plan


def check_running(purchase: Purchase) -> Subscription:
    """Return the subscription of *purchase*. Raises what `manageable` raises, and SubscriptionEnded."""
    plan = manageable(purchase)
    if plan.ended:
        raise SubscriptionEnded(purchase.purchase_id)
    return plan


def check_change(purchase: Purchase, offer: Offer, current: Offer | None) -> Subscription:
    """Return the subscription of *purchase* if it can be changed to *offer*. *current* is the offer it sells now.

    Raises what `check_running` raises, PaymentDue, ResumeFirst and CollectionPaused. Raises Malformed if *offer* does
    not fit.
    """
    plan = check_running(purchase)
    if plan.status in UNPAID:
        raise PaymentDue(purchase.purchase_id)
    if plan.paused or plan.status is SubscriptionStatus.PAUSED:
        raise CollectionPaused(purchase.purchase_id)
    if plan.cancel_at is not None:
        raise ResumeFirst(purchase.purchase_id)
    if offer.kind is not Kind.SUBSCRIPTION:
        raise Malformed("offer_id", f"{offer.offer_id} is no subscription")
    if offer.currency != plan.currency:
        raise Malformed("offer_id", f"{offer.offer_id} is sold in {offer.currency}, not in {plan.currency}")
    if offer.providers and purchase.provider not in offer.providers:
        raise Malformed("offer_id", f"{offer.offer_id} is not sold through {purchase.provider}")
    if current and offer.effective_group != current.effective_group:
        raise Malformed("offer_id", f"{offer.offer_id} is not of the group of {current.offer_id}; buy it beside")
    return plan
