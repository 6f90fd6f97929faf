"""What happens by itself when its time comes, in the order of the times."""

import logging

from tools.fakes.world import World

logger = logging.getLogger(__name__)


def catch_up(world: World, until: int | None = None) -> int:
    """Let everything happen that is due by *until* (default: now), each at its own second. Return how many."""
    horizon = world.clock.now() if until is None else until
    count = 0
    with world.store.transaction():
        while due := world.store.take_due(horizon):
            at, what, id_ = due
            try:
                with world.store.transaction(), world.clock.pinned(at):
                    world.handlers[what](world, id_)
            except Exception:
                logger.exception("due.failed what=%s id=%s", what, id_)  # else it would stop everything after it
            count += 1
    if count:
        world.changed()
    return count


def advance(world: World, seconds: int) -> None:
    """Let *seconds* pass: what falls due on the way happens first, then the clock file tells everybody."""
    with world.store.transaction():
        catch_up(world, world.clock.now() + seconds)
        world.store.note("clock", "offset", world.clock.offset + seconds)
    world.clock.advance(seconds)
    world.changed()
