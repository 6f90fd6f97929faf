"""The WebSocket API's handshake: who may connect.

A client names its credential in the handshake's list of subprotocols, since a browser can set no other header there,
and a URL would be logged: `paidup.v1, bearer.<identity token>` or `paidup.v1, ticket.<ticket>`.
"""

from paidup.edge import realtime, settings
from paidup.edge.authorizer import SETTINGS as IDENTITY_SETTINGS
from paidup.edge.authorizer import verified
from paidup.edge.http import problem
from paidup.edge.realtime import SocketAnswer, SocketEvent, begin, open_realtime
from paidup.flows import notify
from paidup.flows.notify import Realtime
from paidup.model.connection import Connection
from paidup.model.errors import InvalidToken, Refusal, Unauthorized
from paidup.outside import metrics

SETTINGS = (*realtime.SETTINGS, *IDENTITY_SETTINGS)
PROTOCOL = "paidup.v1"
PROTOCOL_HEADER = "Sec-WebSocket-Protocol"
BEARER, TICKET = "bearer.", "ticket."


class OriginRefused(Refusal):
    """A browser comes from a page that may not connect."""

    slug = "origin-refused"
    status = 403
    title = "Not from this origin"
    next_step = "Connect from one of the shop's own pages."

    def __init__(self) -> None:
        """Refuse the page."""
        super().__init__("This origin may not connect.")


class ProtocolMissing(Refusal):
    """The client does not offer the subprotocol that this API speaks."""

    slug = "protocol-missing"
    status = 400
    title = "The subprotocol is missing"
    next_step = f"Offer {PROTOCOL}, and {BEARER}<identity token> or {TICKET}<ticket>, as subprotocols."

    def __init__(self) -> None:
        """Refuse the handshake."""
        super().__init__(f"The subprotocol {PROTOCOL} is not offered.")


def answer_connect(event: SocketEvent, *, now: int) -> SocketAnswer:
    """Let a client in by its token or ticket, or refuse the handshake with the refusal's status."""
    begin(event)
    try:
        if PROTOCOL not in _offered(event):
            raise ProtocolMissing
        _check_origin(event)
        services = open_realtime()
        notify.connect(_admitted(event, services, now=now), services, now=now)
    except Refusal as refusal:
        metrics.count("SocketRefused", reason=refusal.slug)
        return problem(refusal, event["requestContext"]["requestId"])
    return {"statusCode": 200, "headers": {PROTOCOL_HEADER: PROTOCOL}}


def _check_origin(event: SocketEvent) -> None:
    """Raise OriginRefused for a page of a foreign origin.

    A client without an Origin is no browser. It is let in: only a token opens a connection, and no cookie does.
    """
    given = _header(event, "Origin")
    if given and given[0].lower() not in settings.origins():
        raise OriginRefused


def _admitted(event: SocketEvent, services: Realtime, *, now: int) -> Connection:
    """Return the connection that the client may open. Raises Unauthorized, InvalidToken or IdentityUnavailable.

    A ticket speaks for its customer. Beside the identity token of another one, it is refused.
    """
    connection_id, offered = event["requestContext"]["connectionId"], _offered(event)
    token, secret = _named(offered, BEARER), _named(offered, TICKET)
    claims = verified(token, now=now) if token else None
    if secret:
        ticket = notify.redeem_ticket(secret, services, now=now)
        if claims and claims["sub"] != ticket.customer_id:
            raise InvalidToken("The ticket is another customer's.")
        return Connection.opened(connection_id, ticket.customer_id, token_ends_at=ticket.token_ends_at, now=now)
    if claims:
        return Connection.opened(connection_id, claims["sub"], token_ends_at=int(claims["exp"]), now=now)
    raise Unauthorized("The handshake carries neither an identity token nor a ticket.")


def _offered(event: SocketEvent) -> list[str]:
    """Return the subprotocols that the client offers, in its order, however many lines its header has."""
    return [one.strip() for line in _header(event, PROTOCOL_HEADER) for one in line.split(",")]


def _header(event: SocketEvent, name: str) -> list[str]:
    """Return the lines of a header. The gateway hands names on as the client spelled them."""
    given = event.get("multiValueHeaders") or {}
    return [line for key, lines in given.items() if key.lower() == name.lower() for line in lines]


def _named(offered: list[str], prefix: str) -> str:
    """Return the first credential in *offered* that begins with *prefix*, without that, or an empty text."""
    return next((one.removeprefix(prefix) for one in offered if one.startswith(prefix)), "")
