"""What happens by itself when its time comes, in the order of the times."""

import logging
from collections.abc import Callable

from tools.fakes import checkout, completion, disputes, refunds, renewals, subscriptions
from tools.fakes.world import World

logger = logging.getLogger(__name__)
HANDLERS: dict[str, Callable[[World, str], None]] = {
    "session.expire": checkout.expire_due,
    "payment.end": completion.settle_delayed,
    "charge.dispute": disputes.dispute_charge,
    "refund.end": refunds.end_refund,
    "subscription.turn": renewals.turn,
    "subscription.trial_will_end": subscriptions.warn_of_trial_end,
    "subscription.incomplete": subscriptions.expire_incomplete,
    "invoice.retry": renewals.retry,
}


def catch_up(world: World, until: int | None = None) -> int:
    """Let everything happen that is due by *until* (default: now), each at its own second; return how many."""
    horizon = world.clock.now() if until is None else until
    count = 0
    with world.store.transaction():
        while due := world.store.take_due(horizon):
            at, what, id_ = due
            try:
                with world.store.transaction(), world.clock.pinned(at):
                    HANDLERS[what](world, id_)
            except Exception:
                logger.exception("due.failed what=%s id=%s", what, id_)  # else it would stop everything after it
            count += 1
    if count:
        world.changed()
    return count


def advance(world: World, seconds: int) -> None:
    """Let *seconds* pass: what falls due on the way happens first, then the clock file tells everybody."""
    offset = world.clock.offset + seconds
    with world.store.transaction():
        catch_up(world, world.clock.now() + seconds)
        world.store.note("clock", "offset", offset)
    world.clock.move_to(offset)
    world.changed()
