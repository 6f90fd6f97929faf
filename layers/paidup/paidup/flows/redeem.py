"""Redeeming: hosts take uses from a purchase whose uses are counted, and give them back within a day."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from paidup.flows.services import Services
from paidup.flows.settle import Moved
from paidup.flows.transact import Committed, transact
from paidup.model.errors import NotFound
from paidup.model.fact import Channel
from paidup.model.purchase import Purchase
from paidup.model.snapshot import ChangeSet, Snapshot
from paidup.model.use import Use, give_back, take, use_id
from paidup.outside.log import logger


@dataclass(frozen=True, slots=True, kw_only=True)
class Redeemed:
    """A use, the purchase that it was taken from, and whether this call took it."""

    use: Use
    purchase: Purchase
    taken: bool


def redeem(purchase_id: str, count: int, by: str, services: Services, *, key: str | None, now: int) -> Redeemed:
    """Take *count* uses from a purchase for *by*. Under the same Idempotency-Key *key* they are taken once.

    Of many calls at once, each takes its own uses, and there are never fewer than none left. Without a key, every call
    takes. Raises NotFound, NotEnoughUses, NotUsable, Malformed for a key that came with another count, and Contended.
    """
    an_id = use_id(purchase_id, key or secrets.token_hex(16))

    def decide(snapshot: Snapshot) -> ChangeSet:
        change = ChangeSet(snapshot=snapshot, policy=services.policy, now=now)
        purchase = _counted(snapshot, purchase_id)
        if snapshot.use:
            snapshot.use.same_as(count)
            return change
        status = purchase.status_at(now=now, policy=services.policy)
        after = take(purchase, count, grants=status.grants, status=status.state)
        change.use = Use(
            use_id=an_id,
            customer_id=purchase.customer_id,
            purchase_id=purchase_id,
            count=count,
            by=by,
            taken_at=now,
        )
        _write(after, f"{_many(count)} taken", by, change)
        return change

    return _moved(purchase_id, an_id, decide, services)


def take_back(purchase_id: str, an_id: str, by: str, services: Services, *, now: int) -> Redeemed:
    """Give back the use *an_id*, within a day after it was taken. A second call changes nothing.

    Raises NotFound, TooLate and Contended.
    """

    def decide(snapshot: Snapshot) -> ChangeSet:
        change = ChangeSet(snapshot=snapshot, policy=services.policy, now=now)
        purchase = _counted(snapshot, purchase_id)
        if snapshot.use is None:
            raise NotFound("use", an_id)
        back = snapshot.use.taken_back(now=now)
        if back != snapshot.use:
            change.use = back
            _write(give_back(purchase, back.count), f"{_many(back.count)} given back", by, change)
        return change

    return _moved(purchase_id, an_id, decide, services)


def _write(purchase: Purchase, what: str, by: str, change: ChangeSet) -> None:
    change.put_purchase(purchase)
    left = f"{what}: {purchase.uses_left} of {purchase.uses} left"
    change.note(purchase, left, channel=Channel.REQUEST, register="uses", decided_by=by)


def _moved(purchase_id: str, an_id: str, decide: Callable[[Snapshot], ChangeSet], services: Services) -> Redeemed:
    customer_id = services.table.purchase_owner(purchase_id)
    if customer_id is None:
        raise NotFound("purchase with uses", purchase_id)
    committed = _transact(customer_id, purchase_id, an_id, decide, services)
    change, before = committed.change, committed.loaded
    use = change.use or before.use
    purchase = change.purchase(purchase_id)
    if use is None or purchase is None:
        raise NotFound("use", an_id)
    logger.info("use.moved", purchase_id=purchase_id, use_id=an_id, left=purchase.uses_left, changed=not change.empty)
    return Redeemed(use=use, purchase=purchase, taken=not change.empty)


def _transact(
    customer_id: str, purchase_id: str, an_id: str, decide: Callable[[Snapshot], ChangeSet], services: Services
) -> Committed[Snapshot]:
    """Load the use *an_id*, decide and commit. If support moved the purchase, do it for its customer now."""

    def load() -> Snapshot:
        snapshot = services.table.load_use(customer_id, purchase_id, an_id)
        if snapshot.moved_to:
            raise Moved(snapshot.moved_to)
        return snapshot

    try:
        return transact(customer_id, load, decide, services)
    except Moved as moved:
        return _transact(moved.customer_id, purchase_id, an_id, decide, services)


def _counted(snapshot: Snapshot, purchase_id: str) -> Purchase:
    if snapshot.purchase is None or snapshot.purchase.uses is None:
        raise NotFound("purchase with uses", purchase_id)
    return snapshot.purchase


def _many(count: int) -> str:
    return f"{count} {'use' if count == 1 else 'uses'}"
