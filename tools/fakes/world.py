"""The world that the stand-ins share: what they keep, what time it is, what goes wrong."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tools.fakes.clock import Clock
from tools.fakes.faults import Faults
from tools.fakes.store import Store


@dataclass(kw_only=True)
class World:
    """What every stand-in works on, one request after the other.

    `base` is where the stand-ins are, as in http://127.0.0.1:8788. `handlers` do what the store says is due.
    `changed` is called after every change.
    """

    store: Store
    clock: Clock
    base: str
    faults: Faults = field(default_factory=Faults)
    handlers: Mapping[str, Callable[[Any, str], None]] = field(default_factory=dict)
    changed: Callable[[], None] = lambda: None

    def now(self) -> int:
        """Return the present in epoch seconds."""
        return self.clock.now()
