"""Allowances: on whose account a provider is asked, around all calls of a flow, as `deadline` does for time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

type Refused = Callable[[str, int | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """`spend` is called before each request to a provider, and raises BudgetSpent.

    `refused` is told that a provider took one for one too many, and the seconds to wait, if the provider says them.
    """

    spend: Callable[[str], None]
    refused: Refused


_allowed: ContextVar[Allowance | None] = ContextVar("allowed", default=None)
_told: ContextVar[Refused | None] = ContextVar("told", default=None)


@contextmanager
def on(allowance: Allowance) -> Iterator[None]:
    """Let every request in the block be made on *allowance*. Requests outside of any such block are not counted."""
    token = _allowed.set(allowance)
    try:
        yield
    finally:
        _allowed.reset(token)


def tell(refused: Refused) -> None:
    """Let *refused* be told, from now on, of requests that were one too many outside of any such block."""
    _told.set(refused)


def spend(provider: str) -> None:
    """Take one request to *provider* from the allowance. Raises BudgetSpent."""
    if allowance := _allowed.get():
        allowance.spend(provider)


def refused(provider: str, retry_after_s: int | None) -> None:
    """Tell that *provider* took a request for one too many, until *retry_after_s* seconds have passed."""
    allowance = _allowed.get()
    if told := allowance.refused if allowance else _told.get():
        told(provider, retry_after_s)
