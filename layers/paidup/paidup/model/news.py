"""News: whether facts say anything that is not known yet, apart from when it was said."""

from collections.abc import Sequence

from paidup.model.checkout import Checkout
from paidup.model.fact import Fact, Payment, PaymentStatus, Refund
from paidup.model.purchase import Purchase


def brings_news(facts: Sequence[Fact], purchase: Purchase | None, checkout: Checkout | None) -> bool:
    """Whether *facts* change what is known of *purchase* and its *checkout*. The facts are about one purchase.

    A value that was said before, and is said again later, is no news. So what is read each hour is not written each
    hour.
    """
    if purchase is None:
        waits = checkout is not None and not checkout.ended
        return waits or not all(page_expired(fact) for fact in facts)
    merged = purchase
    for fact in facts:
        if not says_nothing_went_back(fact, purchase):
            merged = merged.merge(fact)
    return _said(merged) != _said(purchase)


def page_expired(fact: Fact) -> bool:
    """Whether *fact* says that a page ended unpaid. That makes no purchase."""
    value = fact.entry.value
    return isinstance(value, Payment) and value.status is PaymentStatus.EXPIRED


def says_nothing_went_back(fact: Fact, purchase: Purchase) -> bool:
    """Whether *fact* says that nothing was refunded, of a payment of which no refund was ever heard."""
    value = fact.entry.value
    return isinstance(value, Refund) and value.none and bool(value.amount) and fact.register not in purchase.registers


def _said(purchase: Purchase) -> tuple[object, ...]:
    """Return what was said of *purchase*, without when."""
    values = {name: entry.value for name, entry in purchase.registers.items()}
    return (values, purchase.refs, purchase.paid_at, {price: one.offer_id for price, one in purchase.names.items()})
