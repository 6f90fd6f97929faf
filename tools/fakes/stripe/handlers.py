"""What of Stripe's happens by itself, by the name that it is scheduled under."""

from collections.abc import Callable

from tools.fakes.stripe import checkout, completion, disputes, refunds, renewals, subscriptions
from tools.fakes.stripe.world import World

HANDLERS: dict[str, Callable[[World, str], None]] = {
    "session.expire": checkout.expire_due,
    "payment.end": completion.settle_delayed,
    "charge.dispute": disputes.dispute_charge,
    "refund.end": refunds.end_refund,
    "subscription.turn": renewals.turn,
    "subscription.trial_will_end": subscriptions.warn_of_trial_end,
    "subscription.incomplete": subscriptions.expire_incomplete,
    "subscription.pending_update": renewals.expire_pending_update,
    "subscription.unpause": renewals.unpause,
    "invoice.finalize": renewals.finalize_due,
    "invoice.retry": renewals.retry,
}
