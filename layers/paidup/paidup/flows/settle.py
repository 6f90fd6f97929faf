"""Settling: the one door through which every channel brings facts into a customer's account."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from paidup.flows.consequences import work_out
from paidup.flows.services import Services
from paidup.model.account import Account
from paidup.model.errors import Contended
from paidup.model.fact import Channel, Fact
from paidup.model.snapshot import Seen
from paidup.model.timeline import EventRecord, EventStatus
from paidup.outside.dynamo.client import LostRace, attempts
from paidup.outside.log import logger


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleResult:
    """What facts came to: the account as it is now, whether anything changed, and whether access began with them."""

    account: Account
    changed: bool
    granted: bool = False


def settle(
    facts: Sequence[Fact], channel: Channel, services: Services, *, now: int, event: EventRecord | None = None
) -> SettleResult:
    """Merge *facts* of one pass, heard by *channel* at *now* (epoch seconds), exactly once in effect.

    Reads account, checkout and pass, merges, and writes what changed in one transaction guarded by the account's
    version, with the timeline entries and, where a webhook brought them, the *event*'s log row. The slower of two
    writers reads and merges again. A tie (another word for the same second) is decided by fetching the object.

    Raises Contended after 12 lost races, and ProviderUnavailable when a tie cannot be decided now, or what was paid for
    a subscription cannot be asked for.
    """
    started = time.monotonic()
    for _ in attempts():
        try:
            settled = _settle_once(facts, channel, services, now=now, event=event, started=started)
        except LostRace:
            continue
        for fact in facts:
            logger.info(
                "fact.settled" if settled.changed else "fact.known",
                channel=channel,
                register=fact.register,
                purchase_id=fact.purchase_id,
                customer_id=fact.customer_id,
                waited_ms=int((time.monotonic() - started) * 1000),
                heard_after_s=now - fact.entry.at,
            )
        return settled
    raise Contended(facts[0].customer_id)


def _settle_once(
    facts: Sequence[Fact], channel: Channel, services: Services, *, now: int, event: EventRecord | None, started: float
) -> SettleResult:
    customer_id, purchase_id = facts[0].customer_id, facts[0].purchase_id
    seen = services.table.load_for_update(customer_id, purchase_id, (event.provider, event.event_id) if event else None)
    if seen.event and seen.event.dealt_with:
        return SettleResult(account=seen.account, changed=False)
    draft = work_out([_decided(fact, seen, services) for fact in facts], channel, seen, services, now=now)
    row = _dealt_with(event, purchase_id, started) if event else None
    change = draft.change()
    if change is None:
        if row:
            services.table.log(row)
        return SettleResult(account=seen.account, changed=False)
    if row:
        change = replace(change, events=[*change.events, row])
    account = services.table.commit(seen.account, change, now=now)
    had = any(access.purchase_id == purchase_id for access in seen.account.current_access(now=now))
    has = any(access.purchase_id == purchase_id for access in account.access)
    return SettleResult(account=account, changed=bool(change.timeline), granted=has and not had)


def _decided(fact: Fact, seen: Seen, services: Services) -> Fact:
    """Return *fact*, or, where it contradicts what was said in the same second, what the provider says now."""
    return services.provider(fact.provider).refetch(fact) if seen.purchase and seen.purchase.ties_with(fact) else fact


def _dealt_with(event: EventRecord, purchase_id: str, started: float) -> EventRecord:
    ms = int((time.monotonic() - started) * 1000)
    return replace(event, status=EventStatus.SETTLED, ms=ms, purchase_id=purchase_id, error=None)
