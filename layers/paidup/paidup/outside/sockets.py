"""The gateway's open sockets: how a message is posted to a connection, and how a connection is closed."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from paidup.outside import aws
from paidup.outside.log import logger

AT_ONCE = 8  # a tab that answers slowly keeps few others waiting; botocore holds ten connections open


class Outcome(StrEnum):
    """What became of a message. A connection that is gone gets no message any more."""

    SENT = "sent"
    GONE = "gone"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sockets:
    """The open connections of the WebSocket API."""

    client: Any

    def post(self, connection_ids: Sequence[str], text: str) -> Mapping[str, Outcome]:
        """Send *text* to each of the connections, and return what became of it, by connection. Raises nothing."""
        data = text.encode()

        def send(connection_id: str) -> Outcome:
            return self._outcome(self.client.post_to_connection, connection_id, Data=data)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            return dict(zip(connection_ids, pool.map(send, connection_ids), strict=True))

    def close(self, connection_id: str) -> Outcome:
        """Close the connection. Raises nothing."""
        return self._outcome(self.client.delete_connection, connection_id)

    def _outcome(self, call: Any, connection_id: str, **what: Any) -> Outcome:
        try:
            call(ConnectionId=connection_id, **what)
        except self.client.exceptions.GoneException:
            return Outcome.GONE
        except (ClientError, BotoCoreError) as error:
            logger.warning("socket.failed", connection_id=connection_id, why=_why(error))
            return Outcome.FAILED
        return Outcome.SENT


def _why(error: ClientError | BotoCoreError) -> str:
    """Return what kind of *error* it is: its text may quote the request."""
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else type(error).__name__


@cache
def connect(url: str) -> Sockets:
    """Return the sockets of the WebSocket API whose clients connect to *url* (`wss://…`, or `ws://…` on one machine).

    Its management lies at the same address by HTTP: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html
    """
    endpoint = f"http{url.removeprefix('ws')}"
    return Sockets(client=aws.client("apigatewaymanagementapi", read_s=2, tries=2, endpoint=endpoint))
