"""Connections: a customer's open tabs that are told of changes, and the tickets by which some of them come in."""

from collections.abc import Sequence
from dataclasses import dataclass

MOST_CONNECTIONS = 50
LIFETIME_S = 2 * 60 * 60  # the gateway ends every connection then
OPENING_S = 30  # the gateway waits so long for an answer before the connection opens, and calls it gone until then
KEPT_S = 3 * 60 * 60
TICKET_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One tab of a customer, open from `opened_at` until `ends_at` at the latest (epoch seconds)."""

    connection_id: str
    customer_id: str
    opened_at: int
    ends_at: int

    @classmethod
    def opened(cls, connection_id: str, customer_id: str, *, token_ends_at: int, now: int) -> "Connection":
        """Return a connection that opens at *now*, and ends with its token or after two hours."""
        ends_at = min(token_ends_at, now + LIFETIME_S)
        return cls(connection_id=connection_id, customer_id=customer_id, opened_at=now, ends_at=ends_at)

    @property
    def purge_at(self) -> int:
        """When the record is removed, an hour after the connection ended for sure."""
        return self.opened_at + KEPT_S

    def is_open(self, *, now: int) -> bool:
        """Return whether the connection may still be told something at *now*."""
        return now < self.ends_at

    def may_be_opening(self, *, now: int) -> bool:
        """Return whether the gateway may still be opening the connection at *now*, so that "gone" means "not yet"."""
        return now < self.opened_at + OPENING_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What a ticket opens: one connection of the customer, until `expires_at`.

    The connection then ends at `token_ends_at`, with the identity token that the ticket was asked for with. Times are
    epoch seconds.
    """

    customer_id: str
    token_ends_at: int
    expires_at: int


def surplus(connections: Sequence[Connection], newest: Connection) -> list[Connection]:
    """Return the oldest of one customer's *connections*, as many as there are beyond 50, and never the *newest*."""
    older = [one for one in connections if one.connection_id != newest.connection_id]
    newest_first = sorted(older, key=lambda one: (one.opened_at, one.connection_id), reverse=True)
    return newest_first[MOST_CONNECTIONS - 1 :]
