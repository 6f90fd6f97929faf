"""Repaying: money that was decided to go back goes back, once, however often it must be tried."""

from dataclasses import replace

from paidup.flows.consequences import quarantine_row
from paidup.flows.draft import Draft
from paidup.flows.settle import settle
from paidup.flows.shop import Shop
from paidup.model.fact import Road
from paidup.model.refusal import Contended, NotFound, ProviderRefused, ProviderUnavailable
from paidup.model.timeline import EventRow, EventStatus
from paidup.outside.deadline import within
from paidup.outside.log import logger
from paidup.outside.table import LostRace, attempts

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
    for _ in attempts():
        seen = shop.table.look(customer_id, pass_id)
        held = seen.held
        if held is None or held.give_back is None or held.given_back:
            return
        tried = held.give_back.tried(now=now)
        draft = Draft(seen=seen, account=seen.account, now=now, grace_s=shop.policy.grace_s)
        draft.put_pass(replace(held, give_back=tried))
        if tried.tries == TRIES_BEFORE_ALARM:
            why = f"{held.customer_id}: could not be given back in {tried.tries} tries ({tried.why})"
            draft.events.append(
                EventRow(
                    provider=held.provider,
                    event_id=f"refund-{pass_id}",
                    type="refund.stuck",
                    status=EventStatus.FAILED,
                    received_at=now,
                    body="{}",
                    error=why,
                    pass_id=pass_id,
                )
            )
        if (change := draft.change()) is None:
            return
        try:
            shop.table.commit(seen.account, change, now=now)
        except LostRace:
            continue
        return


def review(customer_id: str, pass_id: str, shop: Shop, *, grant: bool, now: int) -> None:
    """Decide on a quarantined payment: *grant* what was bought all the same, or give the money back.

    Raises NotFound where there is no such pass.
    """
    for _ in attempts():
        seen = shop.table.look(customer_id, pass_id)
        if seen.held is None:
            raise NotFound("pass", pass_id)
        draft = Draft(seen=seen, account=seen.account, now=now, grace_s=shop.policy.grace_s)
        decided = replace(seen.held, accepted=True) if grant else seen.held.giving_back("support decided", now=now)
        draft.put_pass(decided)
        outcome = "granted by support" if grant else "refunded by support"
        draft.events.append(quarantine_row(seen.held, EventStatus.SETTLED, outcome, now=now))
        if (change := draft.change()) is None:
            return
        try:
            shop.table.commit(seen.account, change, now=now)
        except LostRace:
            continue
        if not grant:
            repay(customer_id, pass_id, shop, now=now)
        return
    raise Contended(customer_id)
