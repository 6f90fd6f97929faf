"""Clocks that tests hold: the functions' apart from Stripe's, and the one that only runs on."""

from dataclasses import dataclass
from pathlib import Path

from tests.functions.door import told
from tests.world import World


class Skewed:
    """The functions' clock, apart from Stripe's by `by_s` seconds; *file* is where the functions read it."""

    def __init__(self, world: World, file: Path, by_s: int) -> None:
        self.world, self.by_s, self._file = world, by_s, file
        self.pass_time(0)

    def pass_time(self, seconds: int) -> None:
        """Let time pass for Stripe and for the functions alike."""
        self.world.pass_time(seconds)
        self._file.write_text(f"={self.world.stripes_now() + self.by_s}")

    def be_at(self, second: int) -> None:
        """Let time pass until it is *second* by the functions' clock."""
        self.pass_time(second - self.world.now())

    def hear(self, token: str) -> None:
        """Deliver what Stripe has to say of the page *token*, signed by Stripe's clock."""
        for event in told(self.world, token):
            assert self.world.deliver(event, at=self.world.now() - self.by_s).status == 200
        assert self.world.work_queue() == []


@dataclass(slots=True)
class Uptime:
    """The machine's clock that only runs on, standing still at `now` (seconds)."""

    now: float
