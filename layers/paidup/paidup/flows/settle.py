"""Settling: the one function through which every channel merges facts into a customer's account."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from paidup.flows import measure
from paidup.flows.services import Services
from paidup.flows.transact import transact
from paidup.model.account import Account
from paidup.model.errors import SecondNotOver
from paidup.model.fact import Channel, Fact
from paidup.model.provider import Provider
from paidup.model.settlement import decide, needs_family, needs_running, needs_trial_record
from paidup.model.snapshot import ChangeSet, Snapshot
from paidup.outside.deadline import remaining
from paidup.outside.log import logger

ASK_AGAIN_S = 0.6  # two waits reach into the next second


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


class Moved(Exception):
    """Support moved what the facts are about to another customer: `customer_id`."""

    def __init__(self, customer_id: str) -> None:
        """Name the customer who has it now."""
        super().__init__(customer_id)
        self.customer_id = customer_id


def settle(
    facts: Sequence[Fact],
    channel: Channel,
    services: Services,
    *,
    now: int,
    heard_at: int | None = None,
    comes_back: bool = False,
) -> SettleResult:
    """Merge *facts* into the account at *now*, with effect exactly once. They are about one purchase.

    *channel* brought the facts at *heard_at* (None: now). Both are epoch seconds. One transaction writes the changes
    and the timeline. The account's version guards it. A tie is decided by fetching the object again, outside the write
    loop. If support moved the purchase, its new customer gets the facts.

    Raises Contended after 12 lost races, and ProviderUnavailable if a tie cannot be decided now. If the event of the
    facts *comes_back* when it is refused, raises SecondNotOver in the very second of a tie.
    """
    started = time.monotonic()
    purchase_id = facts[0].purchase_id
    current, refetched = list(facts), set[int]()

    def load() -> Snapshot:
        snapshot = services.table.load_for_update(current[0].customer_id, purchase_id)
        if snapshot.moved_to:
            raise Moved(snapshot.moved_to)
        if needs_family(snapshot, current, now=now):
            snapshot = services.table.with_family(snapshot)
        if needs_trial_record(snapshot, current, now=now):
            snapshot = services.table.with_trial_record(snapshot)
        return services.table.with_running(snapshot) if needs_running(snapshot, current, now=now) else snapshot

    def step(snapshot: Snapshot) -> ChangeSet:
        if tied := [n for n, fact in enumerate(current) if n not in refetched and snapshot.ties_with(fact)]:
            raise Tied(tied)
        return decide(snapshot, current, services.policy, channel=channel, now=now, heard_at=heard_at)

    while True:
        try:
            committed = transact(current[0].customer_id, load, step, services)
            break
        except Moved as moved:
            current = [replace(fact, customer_id=moved.customer_id) for fact in current]
        except Tied as tie:
            provider = services.provider(facts[0].provider)
            for n in tie.positions:
                told = current[n]
                current[n] = _refetched(told, provider, waits=channel is Channel.REQUEST)
                if comes_back and current[n].entry.at <= told.entry.at:
                    raise SecondNotOver(told.register) from None
            refetched.update(tie.positions)
    change, before = committed.change, committed.loaded
    _log(facts, channel, changed=bool(change.timeline), started=started, now=now)
    measure.settled(change, purchase_id, channel, ms=(time.monotonic() - started) * 1000)
    had = any(access.purchase_id == purchase_id for access in before.account.current_access(now=now))
    has = any(access.purchase_id == purchase_id for access in committed.account.access)
    return SettleResult(account=committed.account, changed=bool(change.timeline), granted=has and not had)


def _refetched(fact: Fact, provider: Provider, *, waits: bool) -> Fact:
    """Return what *provider* says now of the register of *fact*.

    *waits*: the customer has just changed it, perhaps twice in a second. Then wait at most 1.2 s for a later second.
    """
    newer = provider.refetch(fact)
    for _ in range(2 if waits else 0):
        if newer.entry.at > fact.entry.at:
            break
        time.sleep(max(0.0, remaining(ASK_AGAIN_S)))
        newer = provider.refetch(fact)
    return newer


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
