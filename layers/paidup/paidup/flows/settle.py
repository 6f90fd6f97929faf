"""Settling: the one door through which every road brings facts into a customer's account."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from paidup.flows.consequences import work_out
from paidup.flows.services import Shop
from paidup.model.account import Account
from paidup.model.errors import Contended
from paidup.model.fact import Fact, Payment, Road, Subscription
from paidup.model.snapshot import Seen
from paidup.model.timeline import EventRow, EventStatus
from paidup.outside.dynamo.client import LostRace, attempts
from paidup.outside.log import logger


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What facts came to: the account as it is now, whether anything changed, and whether access began with them."""

    account: Account
    changed: bool
    granted: bool = False


def settle(facts: Sequence[Fact], road: Road, shop: Shop, *, now: int, event: EventRow | None = None) -> Settled:
    """Merge *facts* of one pass, heard by *road* at *now* (epoch seconds), exactly once in effect.

    Reads account, checkout and pass, merges, and writes what changed in one transaction guarded by the account's
    version, with the timeline entries and, where a webhook brought them, the *event*'s log row. The slower of two
    writers reads and merges again. A tie (another word for the same second) is decided by fetching the object.

    Raises Contended after 12 lost races, and ProviderUnavailable when a tie cannot be decided now, or what was paid for
    a subscription cannot be asked for.
    """
    started = time.monotonic()
    for _ in attempts():
        try:
            settled = _settle_once(facts, road, shop, now=now, event=event, started=started)
        except LostRace:
            continue
        for fact in facts:
            logger.info(
                "fact.settled" if settled.changed else "fact.known",
                road=road,
                register=fact.register,
                pass_id=fact.pass_id,
                customer_id=fact.customer_id,
                waited_ms=int((time.monotonic() - started) * 1000),
                heard_after_s=now - fact.entry.at,
            )
        return settled
    raise Contended(facts[0].customer_id)


def _settle_once(
    facts: Sequence[Fact], road: Road, shop: Shop, *, now: int, event: EventRow | None, started: float
) -> Settled:
    customer_id, pass_id = facts[0].customer_id, facts[0].pass_id
    seen = shop.table.look(customer_id, pass_id, (event.provider, event.event_id) if event else None)
    if seen.event and seen.event.dealt_with:
        return Settled(account=seen.account, changed=False)
    whole = [*facts, *_paid_for(facts, road, seen, shop)]
    draft = work_out([_decided(fact, seen, shop) for fact in whole], road, seen, shop, now=now)
    row = _dealt_with(event, pass_id, started) if event else None
    change = draft.change()
    if change is None:
        if row:
            shop.table.log(row)
        return Settled(account=seen.account, changed=False)
    if row:
        change = replace(change, events=[*change.events, row])
    account = shop.table.commit(seen.account, change, now=now)
    had = any(access.pass_id == pass_id for access in seen.account.standing_access(now=now))
    has = any(access.pass_id == pass_id for access in account.access)
    return Settled(account=account, changed=bool(change.timeline), granted=has and not had)


def _paid_for(facts: Sequence[Fact], road: Road, seen: Seen, shop: Shop) -> list[Fact]:
    """Return what was paid for a subscription of which a webhook tells before anything of its payment was heard: the
    subscription does not say whether that is what was asked for. The other roads read the payment by themselves.
    """
    of_payment = (seen.held and seen.held.payment) or any(isinstance(fact.entry.value, Payment) for fact in facts)
    if road is not Road.WEBHOOK or of_payment:
        return []
    plans = [fact for fact in facts if isinstance(fact.entry.value, Subscription) and fact.asked]
    found = [one for plan in plans for one in shop.stripe.bought_by(plan.source)]
    return [one for one in found if (one.customer_id, one.pass_id) == (facts[0].customer_id, facts[0].pass_id)]


def _decided(fact: Fact, seen: Seen, shop: Shop) -> Fact:
    """Return *fact*, or, where it contradicts what was said in the same second, what the provider says now."""
    return shop.stripe.again(fact) if seen.held and seen.held.ties_with(fact) else fact


def _dealt_with(event: EventRow, pass_id: str, started: float) -> EventRow:
    ms = int((time.monotonic() - started) * 1000)
    return replace(event, status=EventStatus.SETTLED, ms=ms, pass_id=pass_id, error=None)
