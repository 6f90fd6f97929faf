"""Settling: the one door through which every road brings a fact into a customer's account."""

import time
from dataclasses import dataclass, replace

from paidup.flows.shop import Shop
from paidup.model.account import Account
from paidup.model.checkout import Checkout, CheckoutStatus
from paidup.model.fact import Fact, Payment, PaymentStatus, Road
from paidup.model.passes import Heard, Pass
from paidup.model.refusal import Contended
from paidup.model.timeline import EventRow, EventStatus, TimelineEntry
from paidup.outside.log import logger
from paidup.outside.table import Change, LostRace, Seen, attempts


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What a fact came to: the account as it is now, whether anything changed, and whether access began with it."""

    account: Account
    held: Pass | None
    changed: bool
    granted: bool = False


def settle(fact: Fact, road: Road, shop: Shop, *, now: int, event: EventRow | None = None) -> Settled:
    """Merge *fact*, heard by *road* at *now* (epoch seconds), into its customer's account, exactly once in effect.

    Reads account, checkout and pass, merges, and writes what changed in one transaction guarded by the account's
    version, with the timeline entry and, where a webhook brought it, the *event*'s log row. The slower of two writers
    reads and merges again. A tie (another word for the same second) is decided by fetching the provider's object.

    Raises Contended after 12 lost races, and ProviderUnavailable when a tie cannot be decided now.
    """
    started = time.monotonic()
    for _ in attempts():
        try:
            settled = _settle_once(fact, road, shop, now=now, event=event, started=started)
        except LostRace:
            continue
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
    raise Contended(fact.customer_id)


def _settle_once(fact: Fact, road: Road, shop: Shop, *, now: int, event: EventRow | None, started: float) -> Settled:
    seen = shop.table.look(fact.customer_id, fact.pass_id, (event.provider, event.event_id) if event else None)
    if seen.event and seen.event.dealt_with:
        return Settled(account=seen.account, held=seen.held, changed=False)
    if seen.held and seen.held.ties_with(fact):
        fact = shop.stripe.again(fact)

    row = _dealt_with(event, fact, started) if event else None
    change = _change(fact, road, seen, shop, now=now, event=row)
    if change is None:
        if row:
            shop.table.log(row)
        return Settled(account=seen.account, held=seen.held, changed=False)
    account = shop.table.commit(seen.account, change, now=now)
    held = change.passes[0] if change.passes else seen.held
    before = {access.pass_id for access in seen.account.standing_access(now=now)}
    granted = any(one.pass_id == fact.pass_id for one in account.access) and fact.pass_id not in before
    return Settled(account=account, held=held, changed=bool(change.timeline), granted=granted)


def _change(fact: Fact, road: Road, seen: Seen, shop: Shop, *, now: int, event: EventRow | None) -> Change | None:
    """Return what *fact* changes of what was *seen*; None where it is old news or older."""
    held = _merged(fact, road, seen, now=now)
    checkout = _moved(seen.checkout, fact, held, now=now)
    account = _moved_account(seen, fact, held, checkout, shop, now=now)
    news = held is not None and held.says_otherwise(seen.held)
    if held == seen.held and checkout == seen.checkout and account == seen.account:
        return None
    timeline: tuple[TimelineEntry, ...] = ()
    if news or checkout != seen.checkout:
        phrase = _phrase(fact, seen, held, shop, now=now)
        timeline = (TimelineEntry.of(fact, road, phrase, now=now, billing_version=account.billing_version),)
    return Change(
        account=account,
        checkouts=(checkout,) if checkout and checkout != seen.checkout else (),
        passes=(held,) if held and held != seen.held else (),
        timeline=timeline,
        event=event,
    )


def _merged(fact: Fact, road: Road, seen: Seen, *, now: int) -> Pass | None:
    """Return the pass with *fact* merged in; a page that expired unpaid makes no pass."""
    if seen.held is None and _page_expired(fact):
        return None
    before = seen.held or Pass.of(fact)
    held = before.heard(fact)
    if held.registers.get(fact.register) == before.registers.get(fact.register):
        return held
    return replace(held, roads={**before.roads, fact.register: Heard(road=road, at=now)})


def _moved(checkout: Checkout | None, fact: Fact, held: Pass | None, *, now: int) -> Checkout | None:
    if checkout is None:
        return None
    payment = held.payment if held else None
    plan = held.subscription if held else None
    if (payment and payment.status in (PaymentStatus.PAID, PaymentStatus.PENDING)) or plan:
        return checkout if checkout.status is CheckoutStatus.COMPLETED else checkout.completed(now=now)
    if _page_expired(fact):
        return checkout.page_closed() if checkout.ended else checkout.expired(now=now)
    return checkout


def _moved_account(
    seen: Seen, fact: Fact, held: Pass | None, checkout: Checkout | None, shop: Shop, *, now: int
) -> Account:
    account = seen.account
    if held is not None:
        account = account.granting(held, now=now, grace_s=shop.policy.grace_s)
    if account.provider_ref is None and fact.customer_ref:
        account = replace(account, provider_ref=fact.customer_ref)
    if checkout and checkout.ended and account.open_checkout_id == checkout.checkout_id:
        account = replace(account, open_checkout_id=None)
    return account


def _page_expired(fact: Fact) -> bool:
    value = fact.entry.value
    return isinstance(value, Payment) and value.status is PaymentStatus.EXPIRED


def _phrase(fact: Fact, seen: Seen, held: Pass | None, shop: Shop, *, now: int) -> str:
    """Return what changed, for people: `payment paid: none -> active`."""
    grace_s = shop.policy.grace_s
    before = seen.held.standing(now=now, grace_s=grace_s).status if seen.held else "none"
    after = held.standing(now=now, grace_s=grace_s).status if held else "none"
    said = getattr(fact.entry.value, "status", None) or "told"
    return f"{fact.register} {said}: {before} -> {after}"


def _dealt_with(event: EventRow, fact: Fact, started: float) -> EventRow:
    ms = int((time.monotonic() - started) * 1000)
    return replace(event, status=EventStatus.SETTLED, ms=ms, pass_id=fact.pass_id, error=None)
