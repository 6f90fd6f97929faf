"""The decision: what facts about one purchase change in a customer's checkouts, bookings, money and access.

All of it is pure. The snapshot holds everything that a decision needs. `needs_family` says whether the snapshot must
hold the linked checkouts too, `needs_running` whether it must hold what else runs, and `needs_trial_record` whether it
must hold the trial of the e-mail address.
"""

from collections.abc import Sequence
from dataclasses import replace

from paidup.model.booking import BookingStatus
from paidup.model.booking_slot import open_or_end_booking
from paidup.model.checkout import Checkout, CheckoutStatus
from paidup.model.fact import Channel, Fact, Payment, PaymentStatus, Price, Refund
from paidup.model.group import TrialRecord, exclusive_group, group_of, paid_first
from paidup.model.news import page_expired
from paidup.model.offer import Kind
from paidup.model.policy import Policy
from paidup.model.purchase import Provenance, Purchase
from paidup.model.review import review
from paidup.model.snapshot import ChangeSet, Snapshot

NEVER_PAID = "its first payment failed"
TRIAL_HAD = "the e-mail address has had its trial"


def decide(
    snapshot: Snapshot,
    facts: Sequence[Fact],
    policy: Policy,
    *,
    channel: Channel,
    now: int,
    heard_at: int | None = None,
) -> ChangeSet:
    """Return what *facts* change at *now*. They are about one purchase. *channel* brought them at *heard_at*.

    Both are epoch seconds. *heard_at* None: now.
    """
    change = ChangeSet(snapshot=snapshot, policy=policy, now=now)
    purchase = merged(snapshot, facts, channel=channel, now=now)
    if snapshot.checkout:
        change.put_checkout(_checkout_after(snapshot.checkout, facts, purchase, now=now))
    if purchase:
        change.put_purchase(purchase)
        if _newly_effective(snapshot, purchase) and policy.refund_duplicate_payments:
            _keep_one_payment(purchase, change)
            _keep_one_of_group(purchase, change)
        _remember_trial(purchase, change)
        if purchase.kind is Kind.LIVE_SESSION:
            open_or_end_booking(purchase, change)
        if purchase.failed and any(not plan.ended for plan in purchase.subscriptions):
            change.put_purchase(purchase.to_refund(NEVER_PAID, now=now))
        review(purchase, facts, change)
    for fact in facts:
        if fact.customer_ref and not change.account.customer_refs(fact.provider):
            change.account = change.account.known_as(fact.customer_ref)
    _note_news(facts, channel, change, heard_at=now if heard_at is None else heard_at)
    _note_report(facts, change)
    return change


def merged(snapshot: Snapshot, facts: Sequence[Fact], *, channel: Channel, now: int) -> Purchase | None:
    """Return the purchase with *facts* merged in. A page that expired unpaid makes no purchase.

    Metadata can be edited at the provider. If the checkout is known, its cart says what was sold.
    """
    purchase = snapshot.purchase
    for fact in facts:
        if purchase is None and page_expired(fact):
            continue
        before = purchase or Purchase.of(fact)
        purchase = before.merge(fact)
        newest, known = purchase.registers.get(fact.register), before.registers.get(fact.register)
        if newest and (known is None or newest.value != known.value):
            provenance = Provenance(channel=channel, at=now)
            purchase = replace(purchase, channels={**purchase.channels, fact.register: provenance})
    if purchase and snapshot.checkout:
        cart = snapshot.checkout.cart
        asked = Price(amount=cart.amount, currency=cart.currency)
        return replace(
            purchase,
            offer_id=cart.offer_id,
            kind=cart.kind,
            valid_days=cart.valid_days,
            quantity=cart.quantity,
            max_quantity=cart.max_quantity,
            group=group_of(cart),
            allow_several=cart.allow_several,
            uses_each=cart.uses,
            asked=asked,
        )
    return purchase


def needs_family(snapshot: Snapshot, facts: Sequence[Fact], *, now: int) -> bool:
    """Whether *facts* pay for a linked checkout. Then the snapshot must hold the linked checkouts too."""
    if snapshot.checkout is None or not snapshot.checkout.linked:
        return False
    purchase = merged(snapshot, facts, channel=Channel.SWEEP, now=now)
    return purchase is not None and _newly_effective(snapshot, purchase)


def needs_running(snapshot: Snapshot, facts: Sequence[Fact], *, now: int) -> bool:
    """Whether *facts* begin a purchase beside others. Then the snapshot must hold what runs, and the open checkout."""
    account, purchase_id = snapshot.account, facts[0].purchase_id
    if not {*account.running, account.open_checkout_id} - {purchase_id, None}:
        return False
    purchase = merged(snapshot, facts, channel=Channel.SWEEP, now=now)
    return purchase is not None and purchase.running and _newly_effective(snapshot, purchase)


def needs_trial_record(snapshot: Snapshot, facts: Sequence[Fact], *, now: int) -> bool:
    """Whether *facts* begin a trial of a verified e-mail address. Then the snapshot must hold its trial record."""
    if snapshot.checkout is None or snapshot.checkout.trial_email is None:
        return False
    purchase = merged(snapshot, facts, channel=Channel.SWEEP, now=now)
    return purchase is not None and _trial_begins(purchase, snapshot) is not None


def _newly_effective(snapshot: Snapshot, purchase: Purchase) -> bool:
    return purchase.is_effective and not (snapshot.purchase and snapshot.purchase.is_effective)


def _checkout_after(checkout: Checkout, facts: Sequence[Fact], purchase: Purchase | None, *, now: int) -> Checkout:
    payment = purchase.payment if purchase else None
    finished = payment and payment.status is not PaymentStatus.EXPIRED  # paid, pending or failed: the page is spent
    if finished or (purchase and (purchase.subscription or purchase.invoices)):
        return checkout if checkout.status is CheckoutStatus.COMPLETED else checkout.completed(now=now)
    if any(page_expired(fact) and fact.source == checkout.token for fact in facts):
        return checkout.page_closed() if checkout.ended else checkout.expired(now=now)
    return checkout


def _keep_one_payment(purchase: Purchase, change: ChangeSet) -> None:
    """Keep the first payment of the linked checkouts. Every later payment goes back.

    Linked checkouts that are still open end, so that the buyer cannot pay twice in another tab. If a live session took
    place, or takes place now, its payment is kept first.
    """
    snapshot = change.snapshot
    for other in snapshot.family:
        if not other.ended:
            change.put_checkout(other.invalidated(by=purchase.purchase_id, now=change.now))
    rivals = [one for one in snapshot.family_purchases.values() if one.is_effective]
    booking = change.slot_booking
    in_use = booking.purchase_id if booking and booking.status is BookingStatus.LIVE else None

    def order(one: Purchase) -> tuple[bool, int, str]:
        return (one.used_at is None and one.purchase_id != in_use, one.paid_at or 0, one.purchase_id)

    first, *later = sorted([purchase, *rivals], key=order)
    for one in later:
        why = f"paid twice: {first.purchase_id} was paid before"
        change.put_purchase(one.to_refund(why, now=change.now, paid_before=first.purchase_id))
        change.note(one, f"refund due, {why}", channel=Channel.SWEEP)
        booking = change.slot_booking
        if booking and booking.purchase_id == one.purchase_id:
            change.put_booking(booking.called_off(why, now=change.now))


def _keep_one_of_group(purchase: Purchase, change: ChangeSet) -> None:
    """Keep the first subscription of the group that was paid on a page of ours. Every later one ends, and goes back.

    An open page of the group ends too, so that the buyer cannot subscribe a second time on it.
    """
    snapshot = change.snapshot
    purchase = change.purchase(purchase.purchase_id) or purchase
    group, page = exclusive_group(purchase), snapshot.open_checkout
    if group is None or not _counts_in_group(purchase):
        return
    if page and not page.ended and page.checkout_id not in change.checkouts and exclusive_group(page.cart) == group:
        change.put_checkout(page.invalidated(by=purchase.purchase_id, now=change.now))
    alike = [one.purchase for one in snapshot.running if one.group == group]
    rivals = [change.purchase(one.purchase_id) or one for one in alike if one.purchase_id != purchase.purchase_id]
    first, *later = sorted([purchase, *filter(_counts_in_group, rivals)], key=paid_first)
    for one in later:
        why = f"subscribed twice: {first.purchase_id} runs already"
        change.put_purchase(one.to_refund(why, now=change.now, paid_before=first.purchase_id))
        change.note(one, f"refund due, {why}", channel=Channel.SWEEP)


def _counts_in_group(purchase: Purchase) -> bool:
    """Whether *purchase* runs, was paid on a page of ours, and its money stays."""
    return purchase.running and purchase.is_effective and purchase.asked is not None


def _remember_trial(purchase: Purchase, change: ChangeSet) -> None:
    """Remember the group of a trial that began, for the customer and for the e-mail address of the checkout.

    Two customers with one address may have had a page with a trial at the same time. The first trial that is heard of
    stays. The other subscription ends.
    """
    group, checkout = _trial_begins(purchase, change.snapshot), change.snapshot.checkout
    if group is None:
        return
    change.account = change.account.with_trial(group)
    if checkout is None or checkout.trial_email is None:
        return
    if change.snapshot.trial_record is None:
        change.trial_record = TrialRecord(email_hash=checkout.trial_email, group=group, at=change.now)
        return
    purchase = change.purchase(purchase.purchase_id) or purchase
    if purchase.running:
        change.put_purchase(purchase.to_refund(TRIAL_HAD, now=change.now))
        change.note(purchase, f"refund due, {TRIAL_HAD}", channel=Channel.SWEEP)


def _trial_begins(purchase: Purchase, snapshot: Snapshot) -> str | None:
    """Return the group of which a trial of the customer begins by *purchase*, or None."""
    group = group_of(purchase)
    return group if purchase.had_trial and group not in snapshot.account.trials else None


def _note_news(facts: Sequence[Fact], channel: Channel, change: ChangeSet, *, heard_at: int) -> None:
    """Add a timeline entry for every fact that changes a value. A newer stamp on the same value changes nothing."""
    snapshot = change.snapshot
    before = snapshot.purchase.registers if snapshot.purchase else {}
    checkout = snapshot.checkout
    moved = checkout is not None and checkout.checkout_id in change.checkouts
    moved = moved and change.checkouts[checkout.checkout_id].status is not checkout.status if checkout else False
    for fact in facts:
        known = before.get(fact.register)
        purchase = change.purchase(fact.purchase_id)
        newest = purchase.registers.get(fact.register) if purchase else None
        if known is None and isinstance(fact.entry.value, Refund) and fact.entry.value.none:
            continue  # "nothing refunded" is no news if no refund was known
        if moved or (newest and (known is None or known.value != newest.value)):
            change.note(
                purchase or Purchase.of(fact),
                _phrase(fact, purchase, change),
                channel=channel,
                said_by=fact.provider,
                register=fact.register,
                occurred_at=fact.entry.at,
                fact_id=fact.fact_id,
                provider_paid_at=_paid_at(fact, purchase),
                heard_at=heard_at,
            )


def _note_report(facts: Sequence[Fact], change: ChangeSet) -> None:
    """Keep the second of the report that changed the access. What we fetched tells not when it happened."""
    if change.account.billing_version != change.snapshot.account.billing_version:
        reported = max((fact.entry.at for fact in facts if not fact.entry.fetched), default=None)
        change.account = replace(change.account, reported_at=reported)


def _paid_at(fact: Fact, purchase: Purchase | None) -> int | None:
    """Return when the provider took the payment that *fact* reports. Its invoice knows that best, if it is known."""
    value = fact.entry.value
    bill = purchase.invoices.get(value.invoice or "") if purchase and isinstance(value, Payment) else None
    return fact.payment_at and ((bill.paid_at if bill else None) or fact.payment_at)


def _phrase(fact: Fact, purchase: Purchase | None, change: ChangeSet) -> str:
    """Return a sentence for people about the change, such as `payment paid: none -> active`."""

    def state(one: Purchase | None) -> str:
        return one.status_at(now=change.now, policy=change.policy).state if one else "none"

    said = getattr(fact.entry.value, "status", None) or "reported"
    return f"{fact.register} {said}: {state(change.snapshot.purchase)} -> {state(purchase)}"
