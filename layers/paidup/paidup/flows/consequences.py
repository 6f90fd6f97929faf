"""Consequences: what facts about one pass come to for the customer's checkouts, bookings, money and access."""

from collections.abc import Sequence
from dataclasses import replace

from paidup.flows.attention import quarantine_row, stuck_row
from paidup.flows.draft import Draft
from paidup.flows.services import Shop
from paidup.model.booking import Booking, BookingInTheWay, BookingStatus, waiting, waiting_since
from paidup.model.checkout import Checkout, CheckoutStatus, same_purchase
from paidup.model.fact import Fact, Payment, PaymentStatus, Price, Refund, Road
from paidup.model.offer import Kind
from paidup.model.purchase import Heard, Pass
from paidup.model.snapshot import Seen
from paidup.model.timeline import EventStatus, TimelineEntry

TAKEN_BACK = "its payment was taken back"


def work_out(facts: Sequence[Fact], road: Road, seen: Seen, shop: Shop, *, now: int) -> Draft:
    """Return what *facts* of one pass, heard by *road*, come to, given what was *seen*; nothing is written yet."""
    draft = Draft(seen=seen, account=seen.account, now=now, grace_s=shop.policy.grace_s)
    held = _merged(facts, road, seen, now=now)
    if seen.checkout:
        draft.put_checkout(_moved(seen.checkout, facts, held, now=now))
    if held:
        draft.put_pass(held)
        newly_paid = held.keeps_money and not (seen.held and seen.held.keeps_money)
        if newly_paid and shop.policy.refund_duplicate_payments:
            _keep_one_payment(held, draft, shop)
        if held.kind is Kind.LIVE_SESSION:
            _book(draft.passes[held.pass_id], draft, shop)
        _quarantine(held, seen, draft)
        _watch(draft.passes[held.pass_id], seen, draft)
    for fact in facts:
        if draft.account.provider_ref is None and fact.customer_ref:
            draft.account = replace(draft.account, provider_ref=fact.customer_ref)
    _tell(facts, road, seen, draft)
    return draft


def call_off(held: Pass, booking: Booking, why: str, draft: Draft, shop: Shop) -> None:
    """End the open *booking* that *held* paid for: the money goes back, or the pass is kept for the next booking."""
    ended = booking.lapse(now=draft.now) if booking.stale(now=draft.now) else booking.called_off(why, now=draft.now)
    _close(ended, held, why, draft, shop)


def _close(ended: Booking, held: Pass, why: str, draft: Draft, shop: Shop) -> None:
    draft.put_booking(ended)
    if held.keeps_money and not shop.policy.credit_unaccepted_bookings:
        held = held.giving_back(why, now=draft.now)
    draft.put_pass(held)
    note(held, f"booking {ended.status}: {why}", draft)


def _merged(facts: Sequence[Fact], road: Road, seen: Seen, *, now: int) -> Pass | None:
    """Return the pass with *facts* merged in; a page that expired unpaid makes no pass."""
    held = seen.held
    for fact in facts:
        if held is None and _page_expired(fact):
            continue
        before = held or Pass.of(fact)
        held = before.heard(fact)
        if held.registers.get(fact.register) != before.registers.get(fact.register):
            held = replace(held, roads={**before.roads, fact.register: Heard(road=road, at=now)})
    if held and seen.checkout:  # whatever somebody made of our metadata in the provider's dashboard
        cart = seen.checkout.cart
        asked = Price(amount=cart.amount, currency=cart.currency)
        held = replace(held, offer_id=cart.offer_id, kind=cart.kind, valid_days=cart.valid_days, asked=asked)
    return held


def _moved(checkout: Checkout, facts: Sequence[Fact], held: Pass | None, *, now: int) -> Checkout:
    payment = held.payment if held else None
    finished = payment and payment.status is not PaymentStatus.EXPIRED  # paid, pending or failed: nobody can pay there
    if finished or (held and held.subscription):
        return checkout if checkout.status is CheckoutStatus.COMPLETED else checkout.completed(now=now)
    if any(_page_expired(fact) and fact.source == checkout.token for fact in facts):
        return checkout.page_closed() if checkout.ended else checkout.expired(now=now)
    return checkout


def _keep_one_payment(held: Pass, draft: Draft, shop: Shop) -> None:
    """Of a checkout and those it replaced, or that replaced it, one is paid for good: a later payment goes back.

    One that is still open is ended, so that nobody pays for what its buyer has bought in another tab.
    """
    checkout = draft.checkouts.get(held.pass_id)
    if checkout is None or not checkout.linked:
        return
    rivals: list[Pass] = []
    for other in same_purchase(checkout, shop.table.checkouts_of(checkout.customer_id)):
        if not other.ended:
            draft.put_checkout(other.invalidated(by=checkout.checkout_id, now=draft.now))
        rival = shop.table.held(other.customer_id, other.checkout_id)
        if rival and rival.keeps_money:
            rivals.append(rival)
    taking_place = slot_booking(draft, shop)
    in_use = taking_place.pass_id if taking_place and taking_place.status is BookingStatus.LIVE else None

    def order(one: Pass) -> tuple[bool, int, str]:
        """A session that took place, or takes place now, is kept whatever was paid before it."""
        return (one.used_at is None and one.pass_id != in_use, one.paid_at or 0, one.pass_id)

    first, *later = sorted([held, *rivals], key=order)
    for one in later:
        why = f"paid twice: {first.pass_id} was paid before"
        draft.put_pass(one.giving_back(why, now=draft.now, paid_before=first.pass_id))
        note(one, f"refund due, {why}", draft)
        booking = slot_booking(draft, shop)
        if booking and booking.pass_id == one.pass_id:
            draft.put_booking(booking.called_off(why, now=draft.now))


def _book(held: Pass, draft: Draft, shop: Shop) -> None:
    """Open the booking that a live session was paid for, or call it off when its payment was taken back."""
    there = slot_booking(draft, shop)
    grants = held.standing(now=draft.now, grace_s=draft.grace_s).grants
    if there and there.pass_id == held.pass_id:  # its first booking, or a later one on credit
        if not grants:
            _close(there.unpaid(TAKEN_BACK, now=draft.now), held, TAKEN_BACK, draft, shop)
        return
    mine = draft.seen.booking
    seen = draft.seen.held
    again = grants and seen and not seen.standing(now=draft.now, grace_s=draft.grace_s).grants
    if again and mine and mine.status is BookingStatus.LAPSED and not shop.policy.credit_unaccepted_bookings:
        draft.put_pass(held.giving_back("nobody accepted it in time", now=draft.now))
        return
    if (mine and not mine.lost_payment) or not grants or held.paid_at is None:
        return
    if mine and mine.accepted_at is not None:  # somebody was there: it is not given twice
        draft.put_pass(replace(held, used_at=mine.accepted_at))
        return
    if not slot_freed(draft, shop):
        draft.put_pass(held.giving_back("another booking is open", now=draft.now))
        note(held, "refund due: another booking is open", draft)
        return
    within_s = shop.policy.accept_within_s
    if mine:
        draft.put_booking(mine.waiting_again(now=draft.now, within_s=within_s))
        return
    draft.put_booking(
        waiting(
            booking_id=held.pass_id,
            customer_id=held.customer_id,
            pass_id=held.pass_id,
            offer_id=held.offer_id,
            paid_at=waiting_since(held.paid_at, now=draft.now),
            within_s=within_s,
        )
    )


def slot_booking(draft: Draft, shop: Shop) -> Booking | None:
    """Return the open booking in the customer's slot, if there is one."""
    there = draft.account.open_booking_id
    if there is None:
        return None
    booking = draft.bookings.get(there) or shop.table.booking(draft.account.customer_id, there)
    return booking if booking and booking.open else None


def slot_freed(draft: Draft, shop: Shop) -> bool:
    """Whether the customer's one booking slot is free, a stale booking in it being called off first."""
    booking = slot_booking(draft, shop)
    if booking is None:
        return True
    if not booking.stale(now=draft.now):
        return False
    paid_by = draft.passes.get(booking.pass_id) or shop.table.held(booking.customer_id, booking.pass_id)
    if paid_by:
        call_off(paid_by, booking, "nobody accepted it in time", draft, shop)
    else:
        draft.put_booking(booking.lapse(now=draft.now))
    return True


def make_room(draft: Draft, shop: Shop) -> None:
    """Call a stale booking off; raise BookingInTheWay for one that is live, or that waits and may yet be accepted."""
    booking = slot_booking(draft, shop)
    if booking and not slot_freed(draft, shop):
        raise BookingInTheWay(booking)


def _quarantine(held: Pass, seen: Seen, draft: Draft) -> None:
    """Put a payment of another amount than was asked for before somebody's eyes: nothing is granted meanwhile; and take
    it away from there when the money has gone back without us.
    """
    was_odd = seen.held is not None and seen.held.undecided
    if held.undecided == was_odd:
        return
    if was_odd:
        draft.events.append(quarantine_row(held, EventStatus.SETTLED, "the money went back", now=draft.now))
        return
    asked, payment = held.asked, held.payment
    why = f"asked {asked.amount} {asked.currency}" if asked else ""
    why += f", paid {payment.subtotal} {payment.currency}" if payment else ""
    draft.events.append(quarantine_row(held, EventStatus.QUARANTINED, why, now=draft.now))


def _watch(held: Pass, seen: Seen, draft: Draft) -> None:
    """Show somebody a payment that a bank does not take back, and take from their eyes what is back after all."""
    was_back = seen.held is not None and seen.held.given_back
    if held.give_back is None or held.given_back == was_back:
        return
    if was_back:
        draft.events.append(stuck_row(held, EventStatus.FAILED, "came back from the buyer's bank", now=draft.now))
    elif held.give_back.shown:
        draft.events.append(stuck_row(held, EventStatus.SETTLED, "given back in the end", now=draft.now))
    if was_back or held.give_back.shown:
        draft.put_pass(replace(held, give_back=replace(held.give_back, shown=was_back)))


def _tell(facts: Sequence[Fact], road: Road, seen: Seen, draft: Draft) -> None:
    """Add a timeline entry for every fact that is news; a newer stamp on the same word is none."""
    before = seen.held.registers if seen.held else {}
    moved = seen.checkout is not None and draft.checkouts[seen.checkout.checkout_id].status is not seen.checkout.status
    for fact in facts:
        known = before.get(fact.register)
        held = draft.passes.get(fact.pass_id)
        now_said = held.registers.get(fact.register) if held else None
        if known is None and isinstance(fact.entry.value, Refund) and fact.entry.value.none:
            continue  # that nothing was refunded is no news where nobody had heard of a refund
        if moved or (now_said and (known is None or known.value != now_said.value)):
            change = _phrase(fact, seen, held, draft)
            version = draft.account.billing_version
            draft.timeline.append(TimelineEntry.of(fact, road, change, now=draft.now, billing_version=version))


def note(held: Pass, change: str, draft: Draft, *, road: Road = Road.SWEEP) -> None:
    """Add a timeline entry for something that we decided ourselves, or that support did."""
    draft.timeline.append(
        TimelineEntry(
            customer_id=held.customer_id,
            occurred_at=draft.now,
            fact_id=f"{held.pass_id}@{draft.account.version}#{len(draft.timeline)}",
            pass_id=held.pass_id,
            said_by="paidup",
            road=road,
            register="decision",
            change=change,
            settled_at=draft.now,
            billing_version=draft.account.billing_version,
        )
    )


def _page_expired(fact: Fact) -> bool:
    value = fact.entry.value
    return isinstance(value, Payment) and value.status is PaymentStatus.EXPIRED


def _phrase(fact: Fact, seen: Seen, held: Pass | None, draft: Draft) -> str:
    """Return what changed, for people: `payment paid: none -> active`."""
    before = seen.held.standing(now=draft.now, grace_s=draft.grace_s).status if seen.held else "none"
    after = held.standing(now=draft.now, grace_s=draft.grace_s).status if held else "none"
    said = getattr(fact.entry.value, "status", None) or "told"
    return f"{fact.register} {said}: {before} -> {after}"
