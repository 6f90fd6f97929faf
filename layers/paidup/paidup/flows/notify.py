"""Notifying: a customer's open tabs hear of every change of what the customer may use."""

import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from paidup.model.account import Account
from paidup.model.connection import TICKET_S, Connection, Ticket, surplus
from paidup.model.errors import InvalidToken
from paidup.outside import metrics
from paidup.outside.dynamo.connections import Connections
from paidup.outside.dynamo.table import Table
from paidup.outside.log import logger
from paidup.outside.sockets import Outcome, Sockets

TICKET_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Realtime:
    """What these flows work with: the accounts, who is connected, and the way to them, which connects on first use."""

    table: Table
    connections: Connections
    sockets: Callable[[], Sockets]


class PushFailed(Exception):
    """Some tabs could not be told. They are told when the same change is pushed again."""


def open_ticket(customer_id: str, token_ends_at: int, realtime: Realtime, *, now: int) -> tuple[str, int]:
    """Return a new ticket of the customer, and when it expires: in a minute, or with the identity token before that.

    Raises InvalidToken if the token has ended by *now* (epoch seconds).
    """
    if now >= token_ends_at:
        raise InvalidToken("The token has expired.")
    secret, expires_at = secrets.token_urlsafe(TICKET_BYTES), min(now + TICKET_S, token_ends_at)
    ticket = Ticket(customer_id=customer_id, token_ends_at=token_ends_at, expires_at=expires_at)
    realtime.connections.keep_ticket(secret, ticket)
    return secret, expires_at


def redeem_ticket(secret: str, realtime: Realtime, *, now: int) -> Ticket:
    """Return what the ticket opens, once. Raises InvalidToken if it is used, expired at *now* or unknown."""
    ticket = realtime.connections.take_ticket(secret)
    if ticket is None or now >= ticket.expires_at:
        raise InvalidToken("The ticket is used, expired or unknown.")
    return ticket


def connect(connection: Connection, realtime: Realtime, *, now: int) -> None:
    """Remember *connection*. Beyond 50 of one customer the oldest are closed, and those that have ended anyway.

    It is written before the others are read, so that of many that open at once each sees all that were before it.
    """
    realtime.connections.keep(connection)
    known = realtime.connections.of(connection.customer_id)
    _close([one for one in known if not one.is_open(now=now)], "token_ended", realtime)
    _close(surplus([one for one in known if one.is_open(now=now)], connection), "too_many", realtime)
    metrics.count("SocketOpened")
    logger.info("socket.opened", customer_id=connection.customer_id, ends_at=connection.ends_at, known=len(known))


def disconnect(connection_id: str, realtime: Realtime) -> None:
    """Forget a connection that its client or the gateway has closed."""
    if realtime.connections.remove(connection_id):
        metrics.count("SocketClosed", reason="left")


def heard(connection_id: str, realtime: Realtime, *, now: int) -> Connection | None:
    """Return the connection that sent a message. If its token has ended, or it is not known, close it: None.

    The gateway ends a connection that is silent for ten minutes, so none outlives its token by more.
    """
    connection = realtime.connections.find(connection_id)
    if connection and connection.is_open(now=now):
        return connection
    if connection:
        _close([connection], "token_ended", realtime)
    else:
        realtime.sockets().close(connection_id)
    return None


def push(
    customer_id: str, render: Callable[[Account], str], realtime: Realtime, *, written_at: float, now: int
) -> None:
    """Tell every open tab of the customer what *render* makes of their account, which changed at *written_at*.

    If no tab is open, all that it takes is one query. The account is read, and not taken from the change: a change that
    is pushed again must not carry an older version after a newer one. Tabs that are gone are forgotten. Those whose
    token has ended by *now* are closed, and not told. Times are epoch seconds.

    Raises PushFailed if a tab could not be told, after all others were.
    """
    known = realtime.connections.of(customer_id)
    _close([one for one in known if not one.is_open(now=now)], "token_ended", realtime)
    tabs = {one.connection_id: one for one in known if one.is_open(now=now)}
    if not tabs:
        return
    account = realtime.table.account(customer_id)
    outcomes = realtime.sockets().post(list(tabs), render(account))
    gone = [tabs[an_id] for an_id, outcome in outcomes.items() if outcome is Outcome.GONE]
    _forget((one for one in gone if not one.may_be_opening(now=now)), "gone", realtime)
    counts = Counter(outcomes.values())
    # What is told is the newest change: it counts from the provider's report or, if there was none, from the write.
    began = written_at if account.reported_at is None else account.reported_at
    _measure(counts, waited_ms=max(0.0, now - began) * 1000)
    told = {outcome.value: counts[outcome] for outcome in Outcome}
    logger.info("billing.pushed", customer_id=customer_id, billing_version=account.billing_version, told=told)
    if failed := counts[Outcome.FAILED]:
        raise PushFailed(f"{failed} of {len(tabs)} tabs could not be told")


def _measure(counts: Mapping[Outcome, int], *, waited_ms: float) -> None:
    for outcome, many in counts.items():
        metrics.count("Push", many, outcome=outcome.value)
    if Outcome.SENT in counts:
        metrics.time("PushTime", waited_ms)


def _close(connections: Iterable[Connection], reason: str, realtime: Realtime) -> None:
    """Forget *connections* and close them. One that cannot be closed now is closed when it is heard of next."""
    for one in _forget(connections, reason, realtime):
        realtime.sockets().close(one.connection_id)


def _forget(connections: Iterable[Connection], reason: str, realtime: Realtime) -> list[Connection]:
    """Forget *connections*, and return those that were not forgotten before."""
    known = [one for one in connections if realtime.connections.remove(one.connection_id)]
    if known:
        metrics.count("SocketClosed", len(known), reason=reason)
    return known
