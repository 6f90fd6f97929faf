"""What clients of the WebSocket API say, and the messages that they get."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from paidup.edge import settings
from paidup.flows import notify
from paidup.flows.notify import Realtime
from paidup.model.account import Account
from paidup.model.connection import Connection
from paidup.model.errors import BrokenJson, Malformed, Refusal
from paidup.outside import sockets
from paidup.outside.dynamo import connections, table
from paidup.outside.log import logger

SETTINGS = ("PAIDUP_TABLE", "PAIDUP_REALTIME_URL")
MOST_BYTES = 32_000  # a frame of the gateway has 32 KB

type SocketEvent = Mapping[str, Any]
type SocketAnswer = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RealtimeTicket:
    """Opens one WebSocket connection until `expires_at` (epoch seconds), in place of the identity token."""

    ticket: str
    expires_at: int


def open_realtime() -> Realtime:
    """Return what the realtime flows work with; clients are kept for the life of the process."""
    name = settings.text("PAIDUP_TABLE")
    return Realtime(
        table=table.connect(name),
        connections=connections.connect(name),
        sockets=lambda: sockets.connect(settings.text("PAIDUP_REALTIME_URL")),
    )


def begin(event: SocketEvent) -> None:
    """Let the log name the event by its id, as the gateway's own log does."""
    logger.set_correlation_id(event["requestContext"]["requestId"])


def answer_disconnect(event: SocketEvent) -> SocketAnswer:
    """Forget the connection."""
    begin(event)
    notify.disconnect(event["requestContext"]["connectionId"], open_realtime())
    return {"statusCode": 200}


def answer_message(event: SocketEvent, *, now: int) -> SocketAnswer:
    """Answer one message of a client: the body goes back to the client. A connection that has ended gets none."""
    begin(event)
    realtime = open_realtime()
    connection = notify.heard(event["requestContext"]["connectionId"], realtime, now=now)
    if connection is None:
        return {"statusCode": 200}
    try:
        body = _answered(_read(event.get("body")), connection, realtime, now=now)
    except Refusal as refusal:
        logger.info("request.refused", kind=refusal.slug, status=refusal.status)
        body = json.dumps({"type": "error", "slug": refusal.slug, "detail": str(refusal)})
    return {"statusCode": 200, "body": body}


def changed_message(account: Account, *, now: int) -> str:
    """Return the message that says what the customer may use at *now*, of at most 32,000 bytes.

    If not all of it fits, or the account itself lists not all, `truncated` is true.
    """
    access = [
        {
            "purchase_id": one.purchase_id,
            "offer_id": one.offer_id,
            "kind": one.kind.value,
            "status": one.status.value,
            "quantity": one.quantity,
            "until": one.until,
        }
        for one in account.current_access(now=now)
    ]
    text = _changed(account, access, cut=account.access_cut)
    while len(text) > MOST_BYTES:
        access = access[: len(access) * MOST_BYTES // len(text)]
        text = _changed(account, access, cut=True)
    return text


def _changed(account: Account, access: list[dict[str, Any]], *, cut: bool) -> str:
    message = {"type": "billing.changed", "billing_version": account.billing_version, "access": access}
    return json.dumps(message | ({"truncated": True} if cut else {}), separators=(",", ":"))


def _answered(message: Mapping[str, Any], connection: Connection, realtime: Realtime, *, now: int) -> str:
    match message.get("action"):
        case "ping":
            return json.dumps({"type": "pong"})
        case "since":
            return _since(message, realtime.table.account(connection.customer_id), now=now)
        case _:
            raise Malformed("action", "must be since or ping")


def _since(message: Mapping[str, Any], account: Account, *, now: int) -> str:
    known = message.get("billing_version")
    if not isinstance(known, int) or isinstance(known, bool):
        raise Malformed("billing_version", "must be a whole number")
    if known < account.billing_version:
        return changed_message(account, now=now)
    return json.dumps({"type": "billing.unchanged", "billing_version": account.billing_version})


def _read(text: str | None) -> Mapping[str, Any]:
    """Return the JSON object in *text*. Raises BrokenJson."""
    try:
        found = json.loads(text or "")
    except (ValueError, RecursionError):
        raise BrokenJson("The message is not valid JSON.") from None
    if not isinstance(found, dict):
        raise BrokenJson("The message is not a JSON object.")
    return found
