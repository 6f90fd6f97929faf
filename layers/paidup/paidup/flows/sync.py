"""Syncing: a customer misses a purchase, so everything that the providers know about them is settled."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from paidup.flows.services import Services
from paidup.flows.settle import settle
from paidup.flows.transact import transact
from paidup.model.account import Account
from paidup.model.errors import BudgetSpent, Contended, Refusal, TooManyRequests
from paidup.model.fact import Channel, Fact
from paidup.model.provider import Listing, Report
from paidup.model.snapshot import ChangeSet, Snapshot
from paidup.outside.deadline import within
from paidup.outside.log import logger

SYNC_WITHIN_S = 20.0
LEASE_S = 30
A_MINUTE_S = 60
MOST_A_MINUTE = 6
LONGEST_PAUSE_S = 600


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


def sync(
    customer_id: str,
    email: str | None,
    services: Services,
    *,
    now: int,
    progress: Callable[[int], None] = lambda *_: None,
) -> SyncResult:
    """Settle what every provider knows about the customer: the last 30 days' payments, all subscriptions, and refunds.

    If an object cannot be read or settled, it becomes a problem of the result, and the rest is settled. A customer has
    one sync at a time, and six a minute. Raises TooManyRequests beyond that, and if the read budget is spent: what was
    settled by then stays settled. Raises ProviderUnavailable and ProviderRefused only if nothing at all was listed.
    *progress* hears how many objects were looked at.
    """
    account = _begin(customer_id, services, now=now)
    try:
        with within(SYNC_WITHIN_S):
            return _settle_history(account, email, services, _Progress(tell=progress), now=now)
    except BudgetSpent as spent:
        retry_after_s = min(spent.retry_after_s or A_MINUTE_S, LONGEST_PAUSE_S)
        raise TooManyRequests("Too much is asked of the payment provider.", retry_after_s=retry_after_s) from spent
    finally:
        _end(customer_id, services, now=now)


@dataclass(slots=True, kw_only=True)
class _Progress:
    """What a sync did so far, and who is told of it. `unlisted` is why a list could not be read."""

    tell: Callable[[int], None]
    scanned: int = 0
    unchanged: int = 0
    granted: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unlisted: Refusal | None = None


def _settle_history(
    account: Account, email: str | None, services: Services, done: _Progress, *, now: int
) -> SyncResult:
    since = now - services.policy.sync_window_s
    for name in services.providers:
        listings = services.provider(name).history(
            account.customer_refs(name), email, since=since, known=services.table, customer_id=account.customer_id
        )
        with services.asking(Channel.SYNC, now=now):
            for listing in listings:
                _settle_listing(listing, account.customer_id, services, done, now=now)
    if done.unlisted and not done.scanned:
        raise done.unlisted
    granted, problems = tuple(done.granted), tuple(done.problems)
    logger.info("account.synced", scanned=done.scanned, granted=len(granted), problems=len(problems))
    return SyncResult(scanned=done.scanned, granted=granted, unchanged=done.unchanged, problems=problems)


def _settle_listing(listing: Listing, customer_id: str, services: Services, done: _Progress, *, now: int) -> None:
    """Settle what one list says about the customer. If it cannot be read to its end, that is a problem."""
    try:
        for found in listing.reports:
            done.scanned += 1
            done.unchanged += not _news(found, customer_id, services, done, now=now)
            done.tell(done.scanned)
    except Refusal as refusal:
        done.unlisted = refusal
        done.problems.append(Problem(ref=listing.name, why=str(refusal)))


def _news(found: Report, customer_id: str, services: Services, done: _Progress, *, now: int) -> bool:
    """Settle what one object says about the customer. Return whether it changed anything or was a problem."""
    try:
        facts = [fact for fact in found.read() if _is_of(customer_id, fact, services)]
        if not facts:
            return False
        settled = settle(facts, Channel.SYNC, services, now=now)
    except Refusal as refusal:
        done.problems.append(Problem(ref=found.ref, why=str(refusal)))
        return True
    if settled.granted:
        done.granted.append(facts[0].purchase_id)
    return settled.changed


def _is_of(customer_id: str, fact: Fact, services: Services) -> bool:
    """Whether *fact* is about the customer. It may name one from whom support moved the purchase."""
    if fact.customer_id == customer_id:
        return True
    return services.table.owner_now(fact.customer_id, fact.purchase_id) == customer_id


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
