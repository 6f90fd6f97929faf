"""Repaying: money that was decided to go back goes back, once, however often it must be tried."""

from dataclasses import replace

from paidup.flows.attention import TRIES_BEFORE_ALARM, quarantine_row, stuck_row
from paidup.flows.book import book_on_credit
from paidup.flows.consequences import make_room, note, slot_booking
from paidup.flows.draft import Draft, rewritten
from paidup.flows.services import Shop
from paidup.flows.settle import settle
from paidup.model.errors import Conflict, Contended, NotFound, ProviderRefused, ProviderUnavailable
from paidup.model.fact import Road
from paidup.model.offer import Kind
from paidup.model.purchase import Pass
from paidup.model.timeline import EventStatus
from paidup.outside.deadline import within
from paidup.outside.log import logger

REPAY_WITHIN_S = 10.0


class NothingPaid(Conflict):
    """There is no money of the buyer's to give back."""

    slug = "nothing-paid"
    title = "Nothing was paid"
    next_step = "Look at the pass: its payment failed, or was never made."

    def __init__(self, pass_id: str) -> None:
        """Refuse to give back what was never paid for *pass_id*."""
        super().__init__(f"Nothing was paid for the pass {pass_id!r}.")


def repay(customer_id: str, pass_id: str, shop: Shop, *, now: int, road: Road = Road.SWEEP) -> bool:
    """Give back what is due for the pass at *now* (epoch seconds), and return whether the provider answered.

    The refund's idempotency key is derived from the pass, so that a crash anywhere is mended by the same call. What
    does not succeed is tried later and later; after six tries `attention` lists it.
    """
    held = shop.table.held(customer_id, pass_id)
    if held is None or held.give_back is None or held.given_back or held.give_back.due_at > now:
        return True
    answered = True
    try:
        with within(REPAY_WITHIN_S):
            facts = shop.stripe.give_back(held)
        if facts:
            settle(facts, road, shop, now=now)
        logger.info("money.given_back", pass_id=pass_id, why=held.give_back.why)
    except (ProviderUnavailable, ProviderRefused, Contended) as refusal:
        answered = not isinstance(refusal, ProviderUnavailable)
        logger.warning("money.kept", pass_id=pass_id, tries=held.give_back.tries, why=str(refusal))
    _try_later(customer_id, pass_id, shop, now=now)
    return answered


def _try_later(customer_id: str, pass_id: str, shop: Shop, *, now: int) -> None:
    """Make the pass due again later, unless the money is back."""

    def step(draft: Draft) -> None:
        held = draft.seen.held
        if held is None or held.give_back is None or held.given_back:
            return
        tried = held.give_back.tried(now=now)
        if tried.tries >= TRIES_BEFORE_ALARM and not tried.shown:
            why = f"could not be given back in {tried.tries} tries ({tried.why})"
            draft.events.append(stuck_row(held, EventStatus.FAILED, why, now=now))
            tried = replace(tried, shown=True)
        draft.put_pass(replace(held, give_back=tried))

    rewritten(customer_id, pass_id, step, shop, now=now)


def review(customer_id: str, pass_id: str, shop: Shop, *, grant: bool, now: int) -> None:
    """Decide on a payment: *grant* what was bought though it is quarantined, or give any payment back.

    A live session that is granted is booked from now on; the booking of one that is given back is called off. Raises
    NotFound where there is no such pass, NothingPaid where there is nothing to give back, and BookingInTheWay where
    another booking is open. What is going back already goes back.
    """

    def step(draft: Draft) -> None:
        held = draft.seen.held
        if held is None:
            raise NotFound("pass", pass_id)
        if not grant and not held.paid:
            raise NothingPaid(pass_id)
        if held.give_back or (grant and not held.undecided):
            return
        decided = replace(held, accepted=True) if grant else held.giving_back("support decided", now=now)
        draft.put_pass(decided)
        outcome = "granted by support" if grant else "refunded by support"
        note(decided, outcome, draft, road=Road.SUPPORT)
        if held.mismatched:
            draft.events.append(quarantine_row(held, EventStatus.SETTLED, outcome, now=now))
        _rebook(held, draft, shop, grant=grant)

    rewritten(customer_id, pass_id, step, shop, now=now)
    if not grant:
        repay(customer_id, pass_id, shop, now=now, road=Road.SUPPORT)


def _rebook(held: Pass, draft: Draft, shop: Shop, *, grant: bool) -> None:
    """Book what support granted, or call off the booking of what goes back."""
    there = slot_booking(draft, shop)
    if there and there.pass_id == held.pass_id and not grant:
        draft.put_booking(there.called_off("support decided", now=draft.now))
    elif grant and held.kind is Kind.LIVE_SESSION and draft.seen.booking is None:
        make_room(draft, shop)
        book_on_credit(held, held.pass_id, draft, shop)
