"""What one operation of Stripe's API is: its method and path, its parameters, and what it runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tools.fakes.store import Obj
from tools.fakes.stripe.wire import Refusal


@dataclass(frozen=True, slots=True)
class Operation:
    """`run(world, params, *ids)` answers the request *method* *path*, whose `{}` are the ids."""

    method: str
    path: str
    params: str
    run: Callable[..., Obj]
    not_modelled: tuple[str, ...] = ()

    def check_modelled(self, params: dict[str, Any]) -> None:
        """Refuse parameters that Stripe takes and the stand-in cannot honour, lest a test pass on air."""
        for path in self.not_modelled:
            if _reaches(params, path.split(".")):
                name = path.replace(".*", "")
                message = f"The stand-in does not model `{name}`; real Stripe does."
                raise Refusal(message, code="not_modelled_by_stand_in", param=name)


def merged_metadata(old: dict[str, str], change: dict[str, str] | str | None) -> dict[str, str]:
    """Return *old* metadata with *change* applied as Stripe does: an empty value takes a key away."""
    if isinstance(change, str):
        return {}
    return {k: v for k, v in (old | (change or {})).items() if v != ""}


def _reaches(value: Any, steps: list[str]) -> bool:
    if not steps:
        return value not in (None, False, "", [], {})
    if steps[0] == "*":
        return isinstance(value, list) and any(_reaches(inner, steps[1:]) for inner in value)
    return isinstance(value, dict) and _reaches(value.get(steps[0]), steps[1:])
