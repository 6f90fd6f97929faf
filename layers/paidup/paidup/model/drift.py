"""Drift: where an account here differs from the objects at the provider. Pure: values in, differences out.

A purchase is compared, register by register, with the facts that the provider reports now. What it sells is compared
with its checkout, and an account's access with what its purchases grant.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from paidup.model.access import Access
from paidup.model.account import Account
from paidup.model.checkout import Checkout
from paidup.model.fact import Dispute, Fact, Invoice, Payment, PaymentStatus, Price, Refund, Subscription, Value
from paidup.model.news import page_expired
from paidup.model.policy import Policy
from paidup.model.purchase import Purchase


class Drift(StrEnum):
    """The kinds of drift. What is not here is missing; what is not at the provider is a ghost."""

    MISSING_PURCHASE = "missing-purchase"
    NO_OBJECT = "no-object"
    GHOST_ACCESS = "ghost-access"
    MISSING_ACCESS = "missing-access"
    PAYMENT_UNSEEN = "payment-unseen"
    WRONG_STATUS = "wrong-status"
    WRONG_OFFER = "wrong-offer"
    WRONG_QUANTITY = "wrong-quantity"
    WRONG_PERIOD_END = "wrong-period-end"
    WRONG_AMOUNT = "wrong-amount"
    CANCELLATION_UNSEEN = "cancellation-unseen"
    CANCELLED_BUT_RUNNING = "cancelled-but-running"
    SECOND_SUBSCRIPTION = "second-subscription"
    BILL_UNSEEN = "bill-unseen"
    REFUND_UNSEEN = "refund-unseen"
    DISPUTE_UNSEEN = "dispute-unseen"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference of one purchase: what is so `here`, and what is so `there`, in words. `about`: the register."""

    drift: Drift
    purchase_id: str
    about: str
    here: str
    there: str


def differences(here: Purchase | None, facts: Sequence[Fact]) -> list[Difference]:
    """Return where the purchase *here* differs from *facts* about it, which the provider reports now.

    What settling would leave out, such as a bill of a period that is over, is no difference.
    """
    if here is None:
        told = [fact for fact in facts if not page_expired(fact)]
        if not told:
            return []
        first = told[0]
        there = ", ".join(sorted({_brief(fact.entry.value) for fact in told}))
        return [_difference(Drift.MISSING_PURCHASE, first, "nothing", there)]
    return [one for fact in facts for one in _differs(here, fact)]


def sale_differences(here: Purchase, checkout: Checkout) -> list[Difference]:
    """Return where *here* was sold another thing than *checkout* asked to be paid for."""
    cart = checkout.cart
    asked = Price(amount=cart.amount, currency=cart.currency)
    kinds = (
        (Drift.WRONG_OFFER, here.offer_id, cart.offer_id),
        (Drift.WRONG_QUANTITY, str(here.quantity), str(cart.quantity)),
        (Drift.WRONG_AMOUNT, _price(here.asked), _price(asked)),
    )
    found = ((drift, before, after) for drift, before, after in kinds if before != after)
    return [
        Difference(drift=drift, purchase_id=here.purchase_id, about="sale", here=before, there=after)
        for drift, before, after in found
    ]


def access_differences(
    account: Account, purchases: Iterable[Purchase], *, now: int, policy: Policy
) -> list[Difference]:
    """Return where the access of *account* at *now* (epoch seconds) is not what all its *purchases* grant."""
    granted = {one for purchase in purchases for one in purchase.access(now=now, policy=policy)}
    listed = {one.entitlement: one for one in account.current_access(now=now)}
    due = {one.entitlement: one for one in granted}
    found = [_of_access(Drift.GHOST_ACCESS, listed[key], _shown(listed[key]), "nothing") for key in listed.keys() - due]
    if not account.access_cut:
        found += [
            _of_access(Drift.MISSING_ACCESS, due[key], "nothing", _shown(due[key])) for key in due.keys() - listed
        ]
    return sorted(found, key=lambda one: (one.purchase_id, one.drift, one.here, one.there))


def no_object(purchase: Purchase) -> Difference:
    """Return that the provider has no object of *purchase*, which is here."""
    here = purchase.provider_ref or "a purchase"
    return Difference(drift=Drift.NO_OBJECT, purchase_id=purchase.purchase_id, about="", here=here, there="nothing")


def _differs(here: Purchase, fact: Fact) -> Iterator[Difference]:
    entry, value = here.registers.get(fact.register), fact.entry.value
    if entry is None:
        if (drift := _unseen(here, fact)) is not None:
            yield _difference(drift, fact, "nothing", _brief(value))
        return
    if entry.value == value:
        return
    match entry.value, value:
        case Payment() as known, Payment():
            yield from _compared(fact, known, value, _PAYMENT)
        case Subscription() as known, Subscription():
            yield from _plan_differs(fact, known, value)
        case Invoice() as known, Invoice():
            yield from _compared(fact, known, value, _INVOICE)
        case Refund() as known, Refund():
            yield from _compared(fact, known, value, _REFUND)
        case Dispute() as known, Dispute():
            yield from _compared(fact, known, value, _DISPUTE)


# What is compared, in this order: the kinds of drift, and the fields whose difference is one.
_PAYMENT = ((Drift.WRONG_STATUS, ("status",)), (Drift.WRONG_AMOUNT, ("amount", "subtotal", "currency")))
_INVOICE = ((Drift.WRONG_STATUS, ("status",)), (Drift.WRONG_AMOUNT, ("amount", "subtotal", "currency")))
_REFUND = ((Drift.REFUND_UNSEEN, ("refunded",)), (Drift.WRONG_AMOUNT, ("amount", "currency")))
_DISPUTE = ((Drift.DISPUTE_UNSEEN, ("status", "amount")),)


def _compared(
    fact: Fact, known: Value, value: Value, kinds: Sequence[tuple[Drift, Sequence[str]]]
) -> Iterator[Difference]:
    """Yield a difference for each of *kinds* whose fields differ, or else one of the kind `other`."""
    found = False
    for drift, names in kinds:
        before, after = _fields(known, names), _fields(value, names)
        if before != after:
            found = True
            yield _difference(drift, fact, before, after)
    if not found:
        changed = [name for name, one in asdict(value).items() if asdict(known)[name] != one]
        yield _difference(Drift.OTHER, fact, _fields(known, changed), _fields(value, changed))


def _plan_differs(fact: Fact, known: Subscription, value: Subscription) -> Iterator[Difference]:
    kinds: list[tuple[Drift, str, str]] = []
    if value.ended != known.ended:
        drift = Drift.CANCELLED_BUT_RUNNING if value.ended else Drift.WRONG_STATUS
        kinds.append((drift, known.status, value.status))
    elif _state(known) != _state(value):
        kinds.append((Drift.WRONG_STATUS, _state(known), _state(value)))
    if _prices(known) != _prices(value):
        kinds.append((Drift.WRONG_OFFER, _prices(known), _prices(value)))
    elif _quantities(known) != _quantities(value):
        kinds.append((Drift.WRONG_QUANTITY, _quantities(known), _quantities(value)))
    if known.period_end != value.period_end or known.trial_end != value.trial_end:
        kinds.append((Drift.WRONG_PERIOD_END, str(known.period_end), str(value.period_end)))
    if known.cancel_at != value.cancel_at:
        kinds.append((Drift.CANCELLATION_UNSEEN, str(known.cancel_at), str(value.cancel_at)))
    if kinds:
        yield from (_difference(drift, fact, before, after) for drift, before, after in kinds)
    else:
        yield from _compared(fact, known, value, ())


def _unseen(here: Purchase, fact: Fact) -> Drift | None:
    """Return the kind of drift if the register of *fact* is not known here, or None if it need not be."""
    match fact.entry.value:
        case Payment(status=status):
            return None if status is PaymentStatus.EXPIRED else Drift.PAYMENT_UNSEEN
        case Subscription():
            return Drift.SECOND_SUBSCRIPTION if here.subscriptions else Drift.PAYMENT_UNSEEN
        case Invoice():
            return Drift.BILL_UNSEEN if fact.register in here.merge(fact).registers else None
        case Refund(none=True):
            return None
        case Refund():
            return Drift.REFUND_UNSEEN
    return Drift.DISPUTE_UNSEEN


def _difference(drift: Drift, fact: Fact, here: str, there: str) -> Difference:
    return Difference(drift=drift, purchase_id=fact.purchase_id, about=fact.register, here=here, there=there)


def _of_access(drift: Drift, access: Access, here: str, there: str) -> Difference:
    return Difference(drift=drift, purchase_id=access.purchase_id, about="access", here=here, there=there)


def _price(price: Price | None) -> str:
    return f"{price.amount} {price.currency}" if price else "unknown"


def _brief(value: Value) -> str:
    """Return *value* in a few words."""
    match value:
        case Refund(refunded=refunded, amount=amount, currency=currency):
            return f"refund {refunded} of {amount} {currency}"
        case Payment(amount=amount, currency=currency) | Invoice(amount=amount, currency=currency):
            return f"{value.tag} {value.status} {amount} {currency}"
    return f"{value.tag} {value.status}"


def _fields(value: Value, names: Sequence[str]) -> str:
    return " ".join(str(getattr(value, name)) for name in names)


def _state(plan: Subscription) -> str:
    return f"{plan.status}, not collected" if plan.paused else str(plan.status)


def _prices(plan: Subscription) -> str:
    return ", ".join(sorted(one.price for one in plan.items))


def _quantities(plan: Subscription) -> str:
    return ", ".join(f"{one.quantity} of {one.price}" for one in sorted(plan.items, key=lambda item: item.price))


def _shown(access: Access) -> str:
    return f"{access.quantity} {access.offer_id} until {access.until or 'for good'}"
