"""Syncing: a customer misses a pass, so everything that the provider knows of them is settled."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from paidup.flows.settle import settle
from paidup.flows.shop import Shop
from paidup.model.account import Account
from paidup.model.fact import Fact, Road
from paidup.model.refusal import Contended, Refusal, TooManyRequests
from paidup.outside.deadline import within
from paidup.outside.log import logger
from paidup.outside.stripe_facts import NAME
from paidup.outside.table import Change, LostRace, attempts

SYNC_WITHIN_S = 20.0
LEASE_S = 30
A_MINUTE_S = 60
MOST_A_MINUTE = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something of the provider's that could not be settled: its id, and why (a sentence)."""

    ref: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """What a sync found: objects scanned, passes whose access began with it, objects that were known, problems."""

    scanned: int
    granted: tuple[str, ...]
    unchanged: int
    problems: tuple[Problem, ...]


def sync(customer_id: str, email: str | None, shop: Shop, *, now: int) -> Synced:
    """Settle the customer's last 30 days at the provider, every page of checkout sessions and all subscriptions.

    One at a time per customer and six a minute: beyond that TooManyRequests. Raises ProviderUnavailable or
    ProviderRefused only when nothing could be read; what fails halfway is told among the problems.
    """
    account = _begin(customer_id, shop, now=now)
    try:
        with within(SYNC_WITHIN_S):
            return _settle_history(account, email, shop, now=now)
    finally:
        _end(customer_id, shop, now=now)


def _settle_history(account: Account, email: str | None, shop: Shop, *, now: int) -> Synced:
    customer = (account.provider_ref or "").removeprefix(f"{NAME}#") or None
    if customer is None and not email:
        return Synced(scanned=0, granted=(), unchanged=0, problems=())
    scanned, unchanged = 0, 0
    granted: list[str] = []
    problems: list[Problem] = []
    since = now - shop.policy.sync_window_s
    try:
        for facts in shop.stripe.history(account.customer_id, customer, email, since=since):
            scanned += 1
            unchanged += not _news(facts, shop, granted, problems, now=now)
    except Refusal as refusal:
        if not scanned:
            raise
        problems.append(Problem(ref="history", why=str(refusal)))
    logger.info("account.synced", scanned=scanned, granted=len(granted), problems=len(problems))
    return Synced(scanned=scanned, granted=tuple(granted), unchanged=unchanged, problems=tuple(problems))


def _news(facts: Sequence[Fact], shop: Shop, granted: list[str], problems: list[Problem], *, now: int) -> bool:
    """Settle *facts* of one object, and return whether that was news or a problem."""
    if not facts:
        return False
    try:
        settled = settle(facts, Road.SYNC, shop, now=now)
    except Refusal as refusal:
        problems.append(Problem(ref=facts[0].source, why=str(refusal)))
        return True
    if settled.granted:
        granted.append(facts[0].pass_id)
    return settled.changed


def _begin(customer_id: str, shop: Shop, *, now: int) -> Account:
    for _ in attempts():
        account = shop.table.account(customer_id)
        recent = tuple(at for at in account.syncs if now - at < A_MINUTE_S)
        if account.sync_until and now < account.sync_until:
            raise TooManyRequests("A sync is running for this customer already.", retry_after_s=5)
        if len(recent) >= MOST_A_MINUTE:
            wait_s = recent[0] + A_MINUTE_S - now
            raise TooManyRequests(f"At most {MOST_A_MINUTE} syncs a minute.", retry_after_s=wait_s)
        begun = replace(account, sync_until=now + LEASE_S, syncs=(*recent, now))
        try:
            return shop.table.commit(account, Change(account=begun), now=now)
        except LostRace:
            continue
    raise Contended(customer_id)


def _end(customer_id: str, shop: Shop, *, now: int) -> None:
    for _ in attempts():
        account = shop.table.account(customer_id)
        try:
            shop.table.commit(account, Change(account=replace(account, sync_until=None)), now=now)
        except LostRace:
            continue
        return
    logger.warning("sync.unended", customer_id=customer_id)  # its lease ends it within 30 s
