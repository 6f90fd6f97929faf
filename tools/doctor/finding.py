"""What was found of one part: whether it is well, and if it is not, what to do."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """Whether a part is well."""

    OK = "ok"
    NOT_OK = "not ok"
    UNKNOWN = "cannot tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found of the part `check`, in a clause for people. `todo` says what to do, `ms` how long it took."""

    check: str
    verdict: Verdict
    found: str
    todo: str | None = None
    ms: int | None = None


def ok(check: str, found: str, *, ms: int | None = None) -> Finding:
    """Return that *check* is well."""
    return Finding(check=check, verdict=Verdict.OK, found=found, ms=ms)


def not_ok(check: str, found: str, todo: str, *, ms: int | None = None) -> Finding:
    """Return that *check* is not well, and what to do."""
    return Finding(check=check, verdict=Verdict.NOT_OK, found=found, todo=todo, ms=ms)


def unknown(check: str, why: str, todo: str | None = None) -> Finding:
    """Return that nobody can tell whether *check* is well, and why."""
    return Finding(check=check, verdict=Verdict.UNKNOWN, found=why, todo=todo)
