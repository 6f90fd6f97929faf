"""Repaying: money that was decided to go back goes back, once, however often it must be tried."""

from dataclasses import replace

from paidup.flows.consequences import quarantine_row
from paidup.flows.draft import Draft, rewritten
from paidup.flows.settle import settle
from paidup.flows.shop import Shop
from paidup.model.fact import Road
from paidup.model.passes import GiveBack, Pass
from paidup.model.refusal import Contended, NotFound, ProviderRefused, ProviderUnavailable
from paidup.model.timeline import EventRow, EventStatus
from paidup.outside.deadline import within
from paidup.outside.log import logger

REPAY_WITHIN_S = 10.0
TRIES_BEFORE_ALARM = 6


def repay(customer_id: str, pass_id: str, shop: Shop, *, now: int) -> bool:
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
            settle(facts, Road.SWEEP, shop, now=now)
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
        draft.put_pass(replace(held, give_back=tried))
        if tried.tries == TRIES_BEFORE_ALARM:
            draft.events.append(_stuck(held, tried, now=now))

    rewritten(customer_id, pass_id, step, shop, now=now)


def _stuck(held: Pass, tried: GiveBack, *, now: int) -> EventRow:
    return EventRow(
        provider=held.provider,
        event_id=f"refund-{held.pass_id}",
        type="refund.stuck",
        status=EventStatus.FAILED,
        received_at=now,
        body="{}",
        error=f"{held.customer_id}: could not be given back in {tried.tries} tries ({tried.why})",
        pass_id=held.pass_id,
    )


def review(customer_id: str, pass_id: str, shop: Shop, *, grant: bool, now: int) -> None:
    """Decide on a quarantined payment: *grant* what was bought all the same, or give the money back.

    Raises NotFound where there is no such pass.
    """

    def step(draft: Draft) -> None:
        held = draft.seen.held
        if held is None:
            raise NotFound("pass", pass_id)
        draft.put_pass(replace(held, accepted=True) if grant else held.giving_back("support decided", now=now))
        outcome = "granted by support" if grant else "refunded by support"
        draft.events.append(quarantine_row(held, EventStatus.SETTLED, outcome, now=now))

    rewritten(customer_id, pass_id, step, shop, now=now)
    if not grant:
        repay(customer_id, pass_id, shop, now=now)
