"""The one write loop: load, decide, commit. If another writer was first, do it again."""

from collections.abc import Callable
from dataclasses import dataclass

from paidup.flows import measure
from paidup.flows.services import Services
from paidup.model.account import Account
from paidup.model.errors import Contended
from paidup.model.move import Move
from paidup.model.snapshot import ChangeSet, Snapshot
from paidup.outside.retry import LostRace, attempts


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed[L]:
    """What was loaded, the change that was decided from it, and the account now."""

    loaded: L
    change: ChangeSet
    account: Account


def transact[L](
    customer_id: str, load: Callable[[], L], decide: Callable[[L], ChangeSet], services: Services
) -> Committed[L]:
    """Load, decide, commit. If another writer was first, load and decide again. An empty change set is not written.

    *load* must read the account first. Raises what *load* and *decide* raise, and Contended after 12 tries.
    """
    for _ in attempts():
        loaded = load()
        change = decide(loaded)
        if change.empty:
            return Committed(loaded=loaded, change=change, account=change.account)
        try:
            account = services.table.commit(change)
        except LostRace:
            continue
        measure.committed(change)
        return Committed(loaded=loaded, change=change, account=account)
    raise Contended(customer_id)


def transact_move(customer_id: str, load: Callable[[], Move], services: Services) -> Move:
    """Load one step of a move and commit it. If another writer of either customer was first, do it again.

    Raises what *load* raises, and Contended after 12 tries.
    """
    for _ in attempts():
        move = load()
        if move.empty:
            return move
        try:
            services.table.commit_move(move)
        except LostRace:
            continue
        return move
    raise Contended(customer_id)


def update(
    customer_id: str, an_id: str, step: Callable[[Snapshot, ChangeSet], None], services: Services, *, now: int
) -> Committed[Snapshot]:
    """Load the customer's checkout, purchase and booking with the id *an_id*, and commit what *step* changes.

    Raises what *step* raises, and Contended.
    """

    def load() -> Snapshot:
        return services.table.load_for_update(customer_id, an_id)

    def decide(snapshot: Snapshot) -> ChangeSet:
        change = ChangeSet(snapshot=snapshot, policy=services.policy, now=now)
        step(snapshot, change)
        return change

    return transact(customer_id, load, decide, services)
