"""Settling: the one function through which every channel merges facts into a customer's account."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from paidup.flows.services import Services
from paidup.flows.transact import transact
from paidup.model.account import Account
from paidup.model.event import EventRecord, EventStatus
from paidup.model.fact import Channel, Fact
from paidup.model.settlement import decide, needs_family
from paidup.model.snapshot import ChangeSet, Snapshot
from paidup.outside.log import logger


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleResult:
    """The result of settling: the account now, whether anything changed, and whether access began (`granted`)."""

    account: Account
    changed: bool
    granted: bool = False


class Tied(Exception):
    """Some facts differ from the known entries at the same second. Only the provider can decide."""

    def __init__(self, positions: Sequence[int]) -> None:
        """Name the facts to fetch again by their *positions* in the sequence."""
        super().__init__(f"facts {positions}")
        self.positions = positions


def settle(
    facts: Sequence[Fact], channel: Channel, services: Services, *, now: int, event: EventRecord | None = None
) -> SettleResult:
    """Merge *facts* into the account, with effect exactly once. They are about one purchase.

    *channel* reported the facts at *now* (epoch seconds). One transaction writes the changes, the timeline and, if a
    webhook reported the facts, the *event*'s record. The account's version guards it. A tie is decided by fetching the
    object again, outside the write loop.

    Raises Contended after 12 lost races, and ProviderUnavailable if a tie cannot be decided now.
    """
    started = time.monotonic()
    customer_id, purchase_id = facts[0].customer_id, facts[0].purchase_id
    current, refetched = list(facts), set[int]()

    def load() -> Snapshot:
        snapshot = services.table.load_for_update(customer_id, purchase_id, event)
        linked = needs_family(snapshot, current, now=now)
        return services.table.with_family(snapshot) if linked else snapshot

    def step(snapshot: Snapshot) -> ChangeSet:
        if snapshot.event and snapshot.event.dealt_with:
            return ChangeSet(snapshot=snapshot, policy=services.policy, now=now)
        if tied := [n for n, fact in enumerate(current) if n not in refetched and snapshot.ties_with(fact)]:
            raise Tied(tied)
        change = decide(snapshot, current, services.policy, channel=channel, now=now)
        if event and not change.empty:
            change.event = _settled(event, purchase_id, started)
        return change

    while True:
        try:
            committed = transact(customer_id, load, step, services)
            break
        except Tied as tie:
            provider = services.provider(facts[0].provider)
            for n in tie.positions:
                current[n] = provider.refetch(current[n])
            refetched.update(tie.positions)
    change, before = committed.change, committed.loaded
    if event and change.empty and not (before.event and before.event.dealt_with):
        services.table.log(_settled(event, purchase_id, started))
    _log(facts, channel, changed=bool(change.timeline), started=started, now=now)
    had = any(access.purchase_id == purchase_id for access in before.account.current_access(now=now))
    has = any(access.purchase_id == purchase_id for access in committed.account.access)
    return SettleResult(account=committed.account, changed=bool(change.timeline), granted=has and not had)


def _settled(event: EventRecord, purchase_id: str, started: float) -> EventRecord:
    ms = int((time.monotonic() - started) * 1000)
    return replace(event, status=EventStatus.SETTLED, ms=ms, purchase_id=purchase_id, error=None)


def _log(facts: Sequence[Fact], channel: Channel, *, changed: bool, started: float, now: int) -> None:
    for fact in facts:
        logger.info(
            "fact.settled" if changed else "fact.known",
            channel=channel,
            register=fact.register,
            purchase_id=fact.purchase_id,
            customer_id=fact.customer_id,
            waited_ms=int((time.monotonic() - started) * 1000),
            reported_after_s=now - fact.entry.at,
        )
