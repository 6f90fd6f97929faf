"""How bad the world is just now: what goes missing, comes twice, comes late, or fails."""

from dataclasses import asdict, dataclass
from random import SystemRandom
from typing import Any

PROVIDERS = ("stripe", "identity")
KINDS = ("server_error", "rate_limit", "outage")
FRACTIONS = ("drop", "duplicate", "shuffle", "lose", "error_rate")
MILLISECONDS = ("delay_ms", "latency_ms")
HELD_BACK_S = 2.0
dice = SystemRandom()


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """The faults in force. Fractions are 0 to 1. Everything is off by default."""

    drop: float = 0.0  # deliveries that never happen
    duplicate: float = 0.0  # deliveries that happen twice
    delay_ms: int = 0  # before each delivery
    shuffle: float = 0.0  # deliveries held back for up to two seconds, so that later ones overtake them
    lose: float = 0.0  # events that are never made: no delivery, and not in the list either
    error_rate: float = 0.0  # API calls that fail; half of them after they had their effect
    error_kind: str = "server_error"  # how: a 500, a 429 (never with effect), or a connection that breaks
    latency_ms: int = 0  # before each API answer
    provider: str | None = None  # whose faults these are; None: everybody's

    def strikes(self, provider: str, fraction: float) -> bool:
        """Say whether a fault that strikes that *fraction* of cases strikes this one."""
        return self.concerns(provider) and dice.random() < fraction

    def concerns(self, provider: str) -> bool:
        """Say whether these are *provider*'s faults."""
        return self.provider in (None, provider)

    def delivery_delay(self) -> float:
        """Return how many seconds the next delivery has to wait."""
        held_back = dice.uniform(0.5, HELD_BACK_S) if self.strikes("stripe", self.shuffle) else 0.0
        return held_back + (self.delay_ms / 1000 if self.concerns("stripe") else 0.0)

    def shown(self) -> dict[str, Any]:
        """Return the faults as JSON."""
        return asdict(self)


def parse(body: dict[str, Any]) -> Faults:
    """Return the faults that *body* asks for. All others are off. Raises `ValueError`."""
    for name, value in body.items():
        if name in FRACTIONS:
            good = isinstance(value, int | float) and 0 <= value <= 1
            rule = "a number from 0 to 1"
        elif name in MILLISECONDS:
            good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 60_000
            rule = "whole milliseconds from 0 to 60000"
        elif name == "error_kind":
            good, rule = value in KINDS, f"one of {', '.join(KINDS)}"
        elif name == "provider":
            good, rule = value is None or value in PROVIDERS, f"one of {', '.join(PROVIDERS)}, or null"
        else:
            known = ", ".join(Faults.__dataclass_fields__)
            raise ValueError(f"unknown field: {name}. Known: {known}")
        if not good:
            raise ValueError(f"{name} must be {rule}")
    floats = {name: float(value) for name, value in body.items() if name in FRACTIONS}
    return Faults(**(body | floats))
