"""When to miss what a provider should have said of a subscription by now, and to ask for it."""

from paidup.model.coverage import Books
from paidup.model.fact import InvoiceStatus, SubscriptionStatus
from paidup.model.policy import DAY_S

HEARD_WITHIN_S = 60  # what is missing then is asked for
CHARGED_WITHIN_S = 7_200  # a provider charges a renewal about an hour after it began
ASK_AGAIN_S = 600

RENEWING = (SubscriptionStatus.TRIALING, SubscriptionStatus.ACTIVE, SubscriptionStatus.PAST_DUE)
# What cannot both be so for long: the other half was not heard.
CONTRADICTS = {SubscriptionStatus.ACTIVE: InvoiceStatus.OPEN, SubscriptionStatus.PAST_DUE: InvoiceStatus.PAID}


def asks_at(missed_at: int | None, asked_at: int | None) -> int | None:
    """Return when to ask for what was missed first at *missed_at* (epoch seconds; None: never).

    *asked_at* is when the provider was asked last. Each wait is twice as long as the one before.
    """
    if missed_at is None or asked_at is None or asked_at < missed_at:
        return missed_at
    waited = asked_at - missed_at
    return asked_at + max(ASK_AGAIN_S, waited) if waited < 30 * DAY_S else None


def news_missed_at(books: Books, since: int) -> int | None:
    """Return when news of the subscription in *books* is missed: of its first payment, a change, or a renewal.

    *since* is when what is known was heard first (epoch seconds). It is heard again each time that somebody asks.
    """
    plan, latest = books.plan, books.latest
    if plan.status is SubscriptionStatus.INCOMPLETE:
        return since + HEARD_WITHIN_S
    if plan.status not in RENEWING:
        return None
    if latest is not None and (plan.by_invoice or latest is not CONTRADICTS.get(plan.status)):
        return plan.period_end + CHARGED_WITHIN_S
    paid_until = max((line.end for line in books.paid_lines()), default=None)
    renewed = latest is None and paid_until is not None and plan.period_start >= paid_until
    return max(plan.period_start + CHARGED_WITHIN_S, since) if renewed else since + HEARD_WITHIN_S
