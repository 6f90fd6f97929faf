"""Repaying: money that was decided to go back goes back, once, however often it must be tried."""

from dataclasses import replace

from paidup.flows.attention import TRIES_BEFORE_ALARM, quarantine_record, stuck_record
from paidup.flows.book import book_on_credit
from paidup.flows.consequences import ensure_booking_slot, note, slot_booking
from paidup.flows.draft import Draft, rewritten
from paidup.flows.services import Services
from paidup.flows.settle import settle
from paidup.model.errors import Conflict, Contended, NotFound, ProviderRefused, ProviderUnavailable
from paidup.model.fact import Channel
from paidup.model.offer import Kind
from paidup.model.purchase import Purchase
from paidup.model.timeline import EventStatus
from paidup.outside.deadline import within
from paidup.outside.log import logger

REPAY_WITHIN_S = 10.0


class NothingPaid(Conflict):
    """There is no money of the buyer's to give back."""

    slug = "nothing-paid"
    title = "Nothing was paid"
    next_step = "Look at the pass: its payment failed, or was never made."

    def __init__(self, purchase_id: str) -> None:
        """Refuse to give back what was never paid for *purchase_id*."""
        super().__init__(f"Nothing was paid for the pass {purchase_id!r}.")


def refund(
    customer_id: str, purchase_id: str, services: Services, *, now: int, channel: Channel = Channel.SWEEP
) -> bool:
    """Give back what is due for the pass at *now* (epoch seconds), and return whether the provider answered.

    The refund's idempotency key is derived from the pass, so that a crash anywhere is mended by the same call. What
    does not succeed is tried later and later; after six tries `attention` lists it.
    """
    purchase = services.table.purchase(customer_id, purchase_id)
    if (
        purchase is None
        or purchase.refund_decision is None
        or purchase.fully_refunded
        or purchase.refund_decision.due_at > now
    ):
        return True
    answered = True
    try:
        with within(REPAY_WITHIN_S):
            facts = services.provider(purchase.provider).refund(purchase)
        if facts:
            settle(facts, channel, services, now=now)
        logger.info("money.given_back", purchase_id=purchase_id, why=purchase.refund_decision.why)
    except (ProviderUnavailable, ProviderRefused, Contended) as refusal:
        answered = not isinstance(refusal, ProviderUnavailable)
        logger.warning("money.kept", purchase_id=purchase_id, tries=purchase.refund_decision.tries, why=str(refusal))
    _try_later(customer_id, purchase_id, services, now=now)
    return answered


def _try_later(customer_id: str, purchase_id: str, services: Services, *, now: int) -> None:
    """Make the pass due again later, unless the money is back."""

    def step(draft: Draft) -> None:
        purchase = draft.seen.purchase
        if purchase is None or purchase.refund_decision is None or purchase.fully_refunded:
            return
        tried = purchase.refund_decision.tried(now=now)
        if tried.tries >= TRIES_BEFORE_ALARM and not tried.shown:
            why = f"could not be given back in {tried.tries} tries ({tried.why})"
            draft.events.append(stuck_record(purchase, EventStatus.FAILED, why, now=now))
            tried = replace(tried, shown=True)
        draft.put_purchase(replace(purchase, refund_decision=tried))

    rewritten(customer_id, purchase_id, step, services, now=now)


def review(customer_id: str, purchase_id: str, services: Services, *, grant: bool, now: int) -> None:
    """Decide on a payment: *grant* what was bought though it is quarantined, or give any payment back.

    A live session that is granted is booked from now on; the booking of one that is given back is called off. Raises
    NotFound where there is no such pass, NothingPaid where there is nothing to give back, and BookingInTheWay where
    another booking is open. What is going back already goes back.
    """

    def step(draft: Draft) -> None:
        purchase = draft.seen.purchase
        if purchase is None:
            raise NotFound("purchase", purchase_id)
        if not grant and not purchase.paid:
            raise NothingPaid(purchase_id)
        if purchase.refund_decision or (grant and not purchase.needs_review):
            return
        decided = replace(purchase, accepted=True) if grant else purchase.to_refund("support decided", now=now)
        draft.put_purchase(decided)
        outcome = "granted by support" if grant else "refunded by support"
        note(decided, outcome, draft, channel=Channel.SUPPORT)
        if purchase.amount_mismatch:
            draft.events.append(quarantine_record(purchase, EventStatus.SETTLED, outcome, now=now))
        _rebook(purchase, draft, services, grant=grant)

    rewritten(customer_id, purchase_id, step, services, now=now)
    if not grant:
        refund(customer_id, purchase_id, services, now=now, channel=Channel.SUPPORT)


def _rebook(purchase: Purchase, draft: Draft, services: Services, *, grant: bool) -> None:
    """Book what support granted, or call off the booking of what goes back."""
    there = slot_booking(draft, services)
    if there and there.purchase_id == purchase.purchase_id and not grant:
        draft.put_booking(there.called_off("support decided", now=draft.now))
    elif grant and purchase.kind is Kind.LIVE_SESSION and draft.seen.booking is None:
        ensure_booking_slot(draft, services)
        book_on_credit(purchase, purchase.purchase_id, draft, services)
