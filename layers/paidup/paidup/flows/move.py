"""Moving: support gives everything of one customer id to another. It can stop anywhere and be run again."""

from dataclasses import dataclass

from paidup.flows.services import Services
from paidup.flows.transact import transact_move
from paidup.model.errors import Malformed, NotFound
from paidup.model.move import Move, Request, hand_over, hand_over_account
from paidup.outside.log import logger

AT_ONCE = 4  # checkouts with all that belongs to them; a transaction writes at most 100 items


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveResult:
    """How many things a run moved, and how many transactions it wrote."""

    checkouts: int
    purchases: int
    bookings: int
    writes: int


def move(source_id: str, target_id: str, services: Services, *, reason: str, by: str, now: int) -> MoveResult:
    """Give everything of the customer *source_id* to *target_id*, in transactions of at most 100 items.

    That is: checkouts, purchases, bookings, open cases, access, the customers at the providers, and used trials. The
    provider's metadata still names the first customer. Its later reports are found by the ids that we know, and what
    is left behind leads on to the new customer. *by* is the person who decided (*reason*), for both timelines.

    A second run moves what the first left, and nothing twice. Raises Malformed, NotFound if there is no such customer,
    and BothBooked.
    """
    if source_id == target_id:
        raise Malformed("target", "must be another customer")
    if services.table.account(source_id).version == 0:
        raise NotFound("account", source_id)
    request = Request(reason=reason, by=by, now=now, policy=services.policy)
    done: list[Move] = []

    def step() -> Move:
        source, target = services.table.account(source_id), services.table.account(target_id)
        found = services.table.belongings(source, most=AT_ONCE)
        if found.empty:
            return hand_over_account(source, target, request)
        among = tuple(services.table.purchases_of(target_id)) if target.access_cut else ()
        return hand_over(source, target, found, request, among=among)

    while not (moved := transact_move(source_id, step, services)).empty:
        done.append(moved)
    result = MoveResult(
        checkouts=sum(len(one.belongings.checkouts) for one in done),
        purchases=sum(len(one.belongings.purchases) for one in done),
        bookings=sum(len(one.belongings.bookings) for one in done),
        writes=len(done),
    )
    logger.info("account.moved", source=source_id, target=target_id, purchases=result.purchases, writes=result.writes)
    return result
