"""Syncing: a customer misses a purchase, so everything that the providers know about them is settled."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from paidup.flows.services import Services
from paidup.flows.settle import settle
from paidup.flows.transact import transact
from paidup.model.account import Account
from paidup.model.errors import Contended, Refusal, TooManyRequests
from paidup.model.fact import Channel
from paidup.model.provider import Listing, Report
from paidup.model.snapshot import ChangeSet, Snapshot
from paidup.outside.deadline import within
from paidup.outside.log import logger

SYNC_WITHIN_S = 20.0
LEASE_S = 30
A_MINUTE_S = 60
MOST_A_MINUTE = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An object of the provider that could not be read or settled: its id, and why (a sentence)."""

    ref: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncResult:
    """The result of a sync. `scanned` and `unchanged` count objects. `granted` are purchases whose access began."""

    scanned: int
    granted: tuple[str, ...]
    unchanged: int
    problems: tuple[Problem, ...]


def sync(customer_id: str, email: str | None, services: Services, *, now: int) -> SyncResult:
    """Settle what every provider knows about the customer: the last 30 days' payments, and all subscriptions.

    If an object cannot be read or settled, it becomes a problem of the result, and the rest is settled. A customer has
    one sync at a time, and six a minute. Raises TooManyRequests beyond that. Raises ProviderUnavailable and
    ProviderRefused only if the providers listed nothing at all.
    """
    account = _begin(customer_id, services, now=now)
    try:
        with within(SYNC_WITHIN_S):
            return _settle_history(account, email, services, now=now)
    finally:
        _end(customer_id, services, now=now)


def _settle_history(account: Account, email: str | None, services: Services, *, now: int) -> SyncResult:
    scanned, unchanged = 0, 0
    granted: list[str] = []
    problems: list[Problem] = []
    unlisted: Refusal | None = None
    for listing in _history(account, email, services, now=now):
        try:
            for found in listing.reports:
                scanned += 1
                unchanged += not _news(found, account.customer_id, services, granted, problems, now=now)
        except Refusal as refusal:
            unlisted = refusal
            problems.append(Problem(ref=listing.name, why=str(refusal)))
    if unlisted and not scanned:
        raise unlisted
    logger.info("account.synced", scanned=scanned, granted=len(granted), problems=len(problems))
    return SyncResult(scanned=scanned, granted=tuple(granted), unchanged=unchanged, problems=tuple(problems))


def _history(account: Account, email: str | None, services: Services, *, now: int) -> Iterator[Listing]:
    """Yield every provider's lists of what the customer bought."""
    since = now - services.policy.sync_window_s
    for name in services.providers:
        yield from services.provider(name).history(
            account.customer_refs(name), email, since=since, known=services.table, customer_id=account.customer_id
        )


def _news(
    found: Report, customer_id: str, services: Services, granted: list[str], problems: list[Problem], *, now: int
) -> bool:
    """Settle what one object says about the customer. Return whether it changed anything or was a problem."""
    try:
        facts = [fact for fact in found.read() if fact.customer_id == customer_id]
        if not facts:
            return False
        settled = settle(facts, Channel.SYNC, services, now=now)
    except Refusal as refusal:
        problems.append(Problem(ref=found.ref, why=str(refusal)))
        return True
    if settled.granted:
        granted.append(facts[0].purchase_id)
    return settled.changed


def _begin(customer_id: str, services: Services, *, now: int) -> Account:
    """Claim the customer's sync, and return the account. Raises TooManyRequests."""

    def claim(snapshot: Snapshot) -> ChangeSet:
        account, change = snapshot.account, ChangeSet(snapshot=snapshot, policy=services.policy, now=now)
        recent = tuple(at for at in account.syncs if now - at < A_MINUTE_S)
        if account.sync_until and now < account.sync_until:
            raise TooManyRequests("A sync is running for this customer already.", retry_after_s=5)
        if len(recent) >= MOST_A_MINUTE:
            wait_s = recent[0] + A_MINUTE_S - now
            raise TooManyRequests(f"At most {MOST_A_MINUTE} syncs a minute.", retry_after_s=wait_s)
        change.account = replace(account, sync_until=now + LEASE_S, syncs=(*recent, now))
        return change

    return transact(customer_id, lambda: _load(customer_id, services), claim, services).account


def _end(customer_id: str, services: Services, *, now: int) -> None:
    def free(snapshot: Snapshot) -> ChangeSet:
        change = ChangeSet(snapshot=snapshot, policy=services.policy, now=now)
        change.account = replace(snapshot.account, sync_until=None)
        return change

    try:
        transact(customer_id, lambda: _load(customer_id, services), free, services)
    except Contended:
        logger.warning("sync.unended", customer_id=customer_id)  # its lease ends it within 30 s


def _load(customer_id: str, services: Services) -> Snapshot:
    return Snapshot(account=services.table.account(customer_id))
