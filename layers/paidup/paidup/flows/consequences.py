"""Consequences: what facts about one pass come to for the customer's checkouts, bookings, money and access."""

from collections.abc import Sequence
from dataclasses import replace

from paidup.flows.attention import quarantine_record, stuck_record
from paidup.flows.draft import Draft
from paidup.flows.services import Services
from paidup.model.booking import Booking, BookingInTheWay, BookingStatus, waiting, waiting_since
from paidup.model.checkout import Checkout, CheckoutStatus, same_purchase
from paidup.model.fact import Channel, Fact, Payment, PaymentStatus, Price, Refund
from paidup.model.offer import Kind
from paidup.model.purchase import Provenance, Purchase
from paidup.model.snapshot import Seen
from paidup.model.timeline import EventStatus, TimelineEntry

TAKEN_BACK = "its payment was taken back"


def work_out(facts: Sequence[Fact], channel: Channel, seen: Seen, services: Services, *, now: int) -> Draft:
    """Return what *facts* of one pass, heard by *channel*, come to, given what was *seen*; nothing is written yet."""
    draft = Draft(seen=seen, account=seen.account, now=now, grace_s=services.policy.grace_s)
    purchase = _merged(facts, channel, seen, now=now)
    if seen.checkout:
        draft.put_checkout(_moved(seen.checkout, facts, purchase, now=now))
    if purchase:
        draft.put_purchase(purchase)
        newly_paid = purchase.is_effective and not (seen.purchase and seen.purchase.is_effective)
        if newly_paid and services.policy.refund_duplicate_payments:
            _keep_one_payment(purchase, draft, services)
        if purchase.kind is Kind.LIVE_SESSION:
            _book(draft.purchases[purchase.purchase_id], draft, services)
        _quarantine(purchase, seen, draft)
        _watch(draft.purchases[purchase.purchase_id], seen, draft)
    for fact in facts:
        if fact.customer_ref and not draft.account.customer_refs(fact.provider):
            draft.account = draft.account.known_as(fact.customer_ref)
    _tell(facts, channel, seen, draft)
    return draft


def call_off(purchase: Purchase, booking: Booking, why: str, draft: Draft, services: Services) -> None:
    """End the open *booking* that *held* paid for: the money goes back, or the pass is kept for the next booking."""
    ended = booking.expire(now=draft.now) if booking.stale(now=draft.now) else booking.called_off(why, now=draft.now)
    _close(ended, purchase, why, draft, services)


def _close(ended: Booking, purchase: Purchase, why: str, draft: Draft, services: Services) -> None:
    draft.put_booking(ended)
    if purchase.is_effective and not services.policy.credit_unaccepted_bookings:
        purchase = purchase.to_refund(why, now=draft.now)
    draft.put_purchase(purchase)
    note(purchase, f"booking {ended.status}: {why}", draft)


def _merged(facts: Sequence[Fact], channel: Channel, seen: Seen, *, now: int) -> Purchase | None:
    """Return the pass with *facts* merged in; a page that expired unpaid makes no pass."""
    purchase = seen.purchase
    for fact in facts:
        if purchase is None and _page_expired(fact):
            continue
        before = purchase or Purchase.of(fact)
        purchase = before.merge(fact)
        if purchase.registers.get(fact.register) != before.registers.get(fact.register):
            purchase = replace(
                purchase, channels={**before.channels, fact.register: Provenance(channel=channel, at=now)}
            )
    if purchase and seen.checkout:  # whatever somebody made of our metadata in the provider's dashboard
        cart = seen.checkout.cart
        asked = Price(amount=cart.amount, currency=cart.currency)
        purchase = replace(purchase, offer_id=cart.offer_id, kind=cart.kind, valid_days=cart.valid_days, asked=asked)
    return purchase


def _moved(checkout: Checkout, facts: Sequence[Fact], purchase: Purchase | None, *, now: int) -> Checkout:
    payment = purchase.payment if purchase else None
    finished = payment and payment.status is not PaymentStatus.EXPIRED  # paid, pending or failed: nobody can pay there
    if finished or (purchase and purchase.subscription):
        return checkout if checkout.status is CheckoutStatus.COMPLETED else checkout.completed(now=now)
    if any(_page_expired(fact) and fact.source == checkout.token for fact in facts):
        return checkout.page_closed() if checkout.ended else checkout.expired(now=now)
    return checkout


def _keep_one_payment(purchase: Purchase, draft: Draft, services: Services) -> None:
    """Of a checkout and those it replaced, or that replaced it, one is paid for good: a later payment goes back.

    One that is still open is ended, so that nobody pays for what its buyer has bought in another tab.
    """
    checkout = draft.checkouts.get(purchase.purchase_id)
    if checkout is None or not checkout.linked:
        return
    rivals: list[Purchase] = []
    for other in same_purchase(checkout, services.table.checkouts_of(checkout.customer_id)):
        if not other.ended:
            draft.put_checkout(other.invalidated(by=checkout.checkout_id, now=draft.now))
        rival = services.table.purchase(other.customer_id, other.checkout_id)
        if rival and rival.is_effective:
            rivals.append(rival)
    taking_place = slot_booking(draft, services)
    in_use = taking_place.purchase_id if taking_place and taking_place.status is BookingStatus.LIVE else None

    def order(one: Purchase) -> tuple[bool, int, str]:
        """A session that took place, or takes place now, is kept whatever was paid before it."""
        return (one.used_at is None and one.purchase_id != in_use, one.paid_at or 0, one.purchase_id)

    first, *later = sorted([purchase, *rivals], key=order)
    for one in later:
        why = f"paid twice: {first.purchase_id} was paid before"
        draft.put_purchase(one.to_refund(why, now=draft.now, paid_before=first.purchase_id))
        note(one, f"refund due, {why}", draft)
        booking = slot_booking(draft, services)
        if booking and booking.purchase_id == one.purchase_id:
            draft.put_booking(booking.called_off(why, now=draft.now))


def _book(purchase: Purchase, draft: Draft, services: Services) -> None:
    """Open the booking that a live session was paid for, or call it off when its payment was taken back."""
    there = slot_booking(draft, services)
    grants = purchase.status_at(now=draft.now, grace_s=draft.grace_s).grants
    if there and there.purchase_id == purchase.purchase_id:  # its first booking, or a later one on credit
        if not grants:
            _close(there.unpaid(TAKEN_BACK, now=draft.now), purchase, TAKEN_BACK, draft, services)
        return
    mine = draft.seen.booking
    seen = draft.seen.purchase
    again = grants and seen and not seen.status_at(now=draft.now, grace_s=draft.grace_s).grants
    if again and mine and mine.status is BookingStatus.EXPIRED and not services.policy.credit_unaccepted_bookings:
        draft.put_purchase(purchase.to_refund("nobody accepted it in time", now=draft.now))
        return
    if (mine and not mine.lost_payment) or not grants or purchase.paid_at is None:
        return
    if mine and mine.accepted_at is not None:  # somebody was there: it is not given twice
        draft.put_purchase(replace(purchase, used_at=mine.accepted_at))
        return
    if not release_stale_booking(draft, services):
        draft.put_purchase(purchase.to_refund("another booking is open", now=draft.now))
        note(purchase, "refund due: another booking is open", draft)
        return
    within_s = services.policy.accept_within_s
    if mine:
        draft.put_booking(mine.waiting_again(now=draft.now, within_s=within_s))
        return
    draft.put_booking(
        waiting(
            booking_id=purchase.purchase_id,
            customer_id=purchase.customer_id,
            purchase_id=purchase.purchase_id,
            offer_id=purchase.offer_id,
            paid_at=waiting_since(purchase.paid_at, now=draft.now),
            within_s=within_s,
        )
    )


def slot_booking(draft: Draft, services: Services) -> Booking | None:
    """Return the open booking in the customer's slot, if there is one."""
    there = draft.account.open_booking_id
    if there is None:
        return None
    booking = draft.bookings.get(there) or services.table.booking(draft.account.customer_id, there)
    return booking if booking and booking.open else None


def release_stale_booking(draft: Draft, services: Services) -> bool:
    """Whether the customer's one booking slot is free, a stale booking in it being called off first."""
    booking = slot_booking(draft, services)
    if booking is None:
        return True
    if not booking.stale(now=draft.now):
        return False
    paid_by = draft.purchases.get(booking.purchase_id) or services.table.purchase(
        booking.customer_id, booking.purchase_id
    )
    if paid_by:
        call_off(paid_by, booking, "nobody accepted it in time", draft, services)
    else:
        draft.put_booking(booking.expire(now=draft.now))
    return True


def ensure_booking_slot(draft: Draft, services: Services) -> None:
    """Call a stale booking off; raise BookingInTheWay for one that is live, or that waits and may yet be accepted."""
    booking = slot_booking(draft, services)
    if booking and not release_stale_booking(draft, services):
        raise BookingInTheWay(booking)


def _quarantine(purchase: Purchase, seen: Seen, draft: Draft) -> None:
    """Put a payment of another amount than was asked for before somebody's eyes: nothing is granted meanwhile; and take
    it away from there when the money has gone back without us.
    """
    was_odd = seen.purchase is not None and seen.purchase.needs_review
    if purchase.needs_review == was_odd:
        return
    if was_odd:
        draft.events.append(quarantine_record(purchase, EventStatus.SETTLED, "the money went back", now=draft.now))
        return
    asked, payment = purchase.asked, purchase.payment
    why = f"asked {asked.amount} {asked.currency}" if asked else ""
    why += f", paid {payment.subtotal} {payment.currency}" if payment else ""
    draft.events.append(quarantine_record(purchase, EventStatus.QUARANTINED, why, now=draft.now))


def _watch(purchase: Purchase, seen: Seen, draft: Draft) -> None:
    """Show somebody a payment that a bank does not take back, and take from their eyes what is back after all."""
    was_back = seen.purchase is not None and seen.purchase.fully_refunded
    if purchase.refund_decision is None or purchase.fully_refunded == was_back:
        return
    if was_back:
        draft.events.append(
            stuck_record(purchase, EventStatus.FAILED, "came back from the buyer's bank", now=draft.now)
        )
    elif purchase.refund_decision.shown:
        draft.events.append(stuck_record(purchase, EventStatus.SETTLED, "given back in the end", now=draft.now))
    if was_back or purchase.refund_decision.shown:
        draft.put_purchase(replace(purchase, refund_decision=replace(purchase.refund_decision, shown=was_back)))


def _tell(facts: Sequence[Fact], channel: Channel, seen: Seen, draft: Draft) -> None:
    """Add a timeline entry for every fact that is news; a newer stamp on the same word is none."""
    before = seen.purchase.registers if seen.purchase else {}
    moved = seen.checkout is not None and draft.checkouts[seen.checkout.checkout_id].status is not seen.checkout.status
    for fact in facts:
        known = before.get(fact.register)
        purchase = draft.purchases.get(fact.purchase_id)
        now_said = purchase.registers.get(fact.register) if purchase else None
        if known is None and isinstance(fact.entry.value, Refund) and fact.entry.value.none:
            continue  # that nothing was refunded is no news where nobody had heard of a refund
        if moved or (now_said and (known is None or known.value != now_said.value)):
            change = _phrase(fact, seen, purchase, draft)
            version = draft.account.billing_version
            draft.timeline.append(TimelineEntry.of(fact, channel, change, now=draft.now, billing_version=version))


def note(purchase: Purchase, change: str, draft: Draft, *, channel: Channel = Channel.SWEEP) -> None:
    """Add a timeline entry for something that we decided ourselves, or that support did."""
    draft.timeline.append(
        TimelineEntry(
            customer_id=purchase.customer_id,
            occurred_at=draft.now,
            fact_id=f"{purchase.purchase_id}@{draft.account.version}#{len(draft.timeline)}",
            purchase_id=purchase.purchase_id,
            said_by="paidup",
            channel=channel,
            register="decision",
            change=change,
            settled_at=draft.now,
            billing_version=draft.account.billing_version,
        )
    )


def _page_expired(fact: Fact) -> bool:
    value = fact.entry.value
    return isinstance(value, Payment) and value.status is PaymentStatus.EXPIRED


def _phrase(fact: Fact, seen: Seen, purchase: Purchase | None, draft: Draft) -> str:
    """Return what changed, for people: `payment paid: none -> active`."""
    before = seen.purchase.status_at(now=draft.now, grace_s=draft.grace_s).state if seen.purchase else "none"
    after = purchase.status_at(now=draft.now, grace_s=draft.grace_s).state if purchase else "none"
    said = getattr(fact.entry.value, "status", None) or "told"
    return f"{fact.register} {said}: {before} -> {after}"
