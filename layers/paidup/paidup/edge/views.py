"""What the API shows: passes, access and checkouts as front-end developers read them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from paidup.flows.confirm import Confirmation, State
from paidup.model.access import Access
from paidup.model.account import Account
from paidup.model.booking import Booking, BookingStatus
from paidup.model.checkout import Checkout
from paidup.model.order import is_paid
from paidup.model.policy import Policy
from paidup.model.purchase import Purchase
from paidup.model.snapshot import Snapshot
from paidup.model.timeline import TimelineEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessView:
    """Something that the customer may use now, until `until` (epoch seconds; absent: for good)."""

    purchase_id: str
    offer_id: str
    kind: str
    status: str
    until: int | None = None

    @classmethod
    def of(cls, access: Access) -> "AccessView":
        """Return the view of *access*."""
        return cls(
            purchase_id=access.purchase_id,
            offer_id=access.offer_id,
            kind=access.kind,
            status=access.status,
            until=access.until,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseView:
    """What was bought: `amount` in minor units of `currency`; times in epoch seconds.

    Where paidup itself decided to give the money back, `refund_why` is the reason, as a clause for people, and
    `paid_before` the pass that the same purchase had been paid with already.
    """

    purchase_id: str
    checkout_id: str
    offer_id: str
    kind: str
    status: str
    amount: int
    currency: str
    provider: str
    provider_ref: str | None = None
    paid_at: int | None = None
    until: int | None = None
    renews_at: int | None = None
    cancel_at: int | None = None
    refunded: int = 0
    refund_why: str | None = None
    paid_before: str | None = None

    @classmethod
    def of(cls, purchase: Purchase, *, now: int, grace_s: int) -> "PurchaseView":
        """Return the view of *held* at *now*."""
        status = purchase.status_at(now=now, grace_s=grace_s)
        plan, payment = purchase.subscription, purchase.payment
        renews = plan and status.grants and plan.cancel_at is None
        return cls(
            purchase_id=purchase.purchase_id,
            checkout_id=purchase.purchase_id,
            offer_id=purchase.sells,
            kind=purchase.kind,
            status=status.state,
            amount=plan.amount if plan else payment.amount if payment else 0,
            currency=plan.currency if plan else payment.currency if payment else "",
            provider=purchase.provider,
            provider_ref=purchase.provider_ref,
            paid_at=purchase.paid_at,
            until=status.until,
            renews_at=plan.period_end if plan and renews else None,
            cancel_at=plan.cancel_at if plan else None,
            refunded=purchase.refunded,
            refund_why=purchase.refund_decision.why if purchase.refund_decision else None,
            paid_before=purchase.refund_decision.paid_before if purchase.refund_decision else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentToken:
    """One way to the provider's page; `token` and `url` are there while it can be paid. `expires_at`: epoch seconds."""

    checkout_id: str
    offer_id: str
    quantity: int
    status: str
    provider: str
    amount: int
    currency: str
    expires_at: int
    token: str | None = None
    url: str | None = None
    replaced_checkout_id: str | None = None

    @classmethod
    def of_checkout(cls, checkout: Checkout, *, now: int) -> Self:
        """Return the view of *checkout* at *now*."""
        payable = checkout.holds_slot(now=now)
        return cls(
            checkout_id=checkout.checkout_id,
            offer_id=checkout.cart.offer_id,
            quantity=checkout.cart.quantity,
            status=checkout.seen(now=now),
            provider=checkout.provider,
            amount=checkout.cart.amount,
            currency=checkout.cart.currency,
            expires_at=checkout.expires_at,
            token=checkout.token if payable else None,
            url=checkout.url if payable else None,
            replaced_checkout_id=checkout.replaces,
        )


def access_of(account: Account, *, now: int) -> list[AccessView]:
    """Return what the customer may use at *now*."""
    return [AccessView.of(one) for one in account.current_access(now=now)]


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingView:
    """A live session: `accept_by` and the other times in epoch seconds; `checkout_id` is where it was paid.

    `if_called_off` is what becomes of what was paid where nobody accepts it in time, or it is cancelled: `refunded`, or
    `credited`, which makes the next booking of the same offer free of charge.
    """

    booking_id: str
    checkout_id: str
    purchase_id: str
    offer_id: str
    status: str
    created_at: int
    accept_by: int
    remaining_s: int
    if_called_off: Literal["refunded", "credited"]
    accepted_at: int | None = None
    ended_at: int | None = None

    @classmethod
    def of(cls, booking: Booking, *, now: int, policy: Policy) -> Self:
        """Return the view of *booking* at *now*."""
        waits = booking.status is BookingStatus.WAITING
        return cls(
            booking_id=booking.booking_id,
            checkout_id=booking.purchase_id,
            purchase_id=booking.purchase_id,
            offer_id=booking.offer_id,
            status=booking.status_at(now),
            created_at=booking.created_at,
            accept_by=booking.accept_by,
            remaining_s=max(0, booking.accept_by - now) if waits else 0,
            if_called_off="credited" if policy.credit_unaccepted_bookings else "refunded",
            accepted_at=booking.accepted_at,
            ended_at=booking.ended_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutStory(PaymentToken):
    """A checkout as its buyer finds it again: what remains (seconds), their own `context`, and what to do `next`."""

    remaining_s: int
    next: Literal["pay", "recover", "done"]
    replaced_by: str | None = None
    context: Mapping[str, Any] | None = None
    purchase: PurchaseView | None = None

    @classmethod
    def of(cls, snapshot: Snapshot, *, now: int, grace_s: int) -> Self:
        """Return the view of the checkout in *snapshot*, at *now*."""
        if snapshot.checkout is None:
            raise ValueError("a story needs a checkout")
        checkout, purchase = snapshot.checkout, snapshot.purchase
        payable = checkout.holds_slot(now=now) and checkout.url is not None
        done = is_paid(checkout, purchase, now=now)
        return cls(
            **asdict(PaymentToken.of_checkout(checkout, now=now)),
            remaining_s=max(0, checkout.expires_at - now) if payable else 0,
            next="done" if done else "pay" if payable else "recover",
            replaced_by=checkout.replaced_by,
            context=checkout.context,
            purchase=PurchaseView.of(purchase, now=now, grace_s=grace_s) if purchase else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Something that happened to a purchase: what, when (epoch seconds), who said it, and how it reached us.

    `said_by` is a payment provider, `paidup` or `clock`; `settled_at` is when it took effect here.
    """

    what: str
    at: int
    said_by: str
    channel: str
    settled_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationView:
    """How one purchase stands; ask again after `attempt_after_ms` (0: the answer is known)."""

    state: State
    attempt_after_ms: int
    checkout_id: str
    billing_version: int
    purchase: PurchaseView | None = None
    timeline: list[Moment]

    @classmethod
    def of(cls, found: Confirmation, *, now: int, grace_s: int) -> Self:
        """Return the view of what was *found* at *now*."""
        view = PurchaseView.of(found.purchase, now=now, grace_s=grace_s) if found.purchase else None
        return cls(
            state=found.state,
            attempt_after_ms=found.attempt_after_ms,
            checkout_id=found.checkout_id,
            billing_version=found.account.billing_version,
            timeline=[moment(entry) for entry in reversed(found.timeline)],
            purchase=view,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """The whole account as of one version; `next` asks for the following page of `purchases`.

    `access_cut` says that there is more access than is listed: each offer's longest is listed, and 200 in all.
    """

    customer_id: str
    billing_version: int
    access: list[AccessView]
    access_cut: bool = False
    purchases: list[PurchaseView]
    next: str | None = None
    checkout: PaymentToken | None = None
    booking: BookingView | None = None

    @classmethod
    def of(
        cls, snapshot: Snapshot, purchases: list[Purchase], following: str | None, *, now: int, policy: Policy
    ) -> Self:
        """Return the view of an account at *now*."""
        open_one = snapshot.checkout if snapshot.checkout and snapshot.checkout.holds_slot(now=now) else None
        slot = snapshot.slot_booking
        booking = slot if slot and slot.open and not slot.stale(now=now) else None
        return cls(
            customer_id=snapshot.account.customer_id,
            billing_version=snapshot.account.billing_version,
            access=access_of(snapshot.account, now=now),
            access_cut=snapshot.account.access_cut,
            next=following,
            purchases=[PurchaseView.of(purchase, now=now, grace_s=policy.grace_s) for purchase in purchases],
            checkout=PaymentToken.of_checkout(open_one, now=now) if open_one else None,
            booking=BookingView.of(booking, now=now, policy=policy) if booking else None,
        )


def moment(entry: TimelineEntry) -> Moment:
    """Return the view of a timeline entry."""
    return Moment(
        what=entry.change,
        at=entry.occurred_at,
        said_by=entry.said_by,
        channel=entry.channel,
        settled_at=entry.settled_at,
    )
