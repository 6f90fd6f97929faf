"""What browsers and API Gateway do at the WebSocket API: connections, what is posted to them, the table's stream."""

import json
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import unquote

import boto3

from tests import patient
from tests.handlers import Answer, answer_of, invoke, request, socket_event, stream_event
from tests.world import ORIGIN, World
from tools.local import template
from tools.local.streams import event_record, is_wanted
from tools.serving import Silent, serving

MOST_BYTES = 128 * 1024
REFUSALS = {403: "ForbiddenException", 410: "GoneException", 413: "PayloadTooLargeException"}
(TRIGGER,) = template.read().stream_triggers


@dataclass(slots=True)
class Gateway:
    """API Gateway's `@connections`: which are open, what was posted to them, and which it was asked to close.

    Those in `gone` are not open, whatever the functions believe, and those in `failing` cannot be reached for now.
    tests/contract/test_connections.py holds it to what the local stack's gateway does.
    """

    url: str
    opened: set[str] = field(default_factory=set)
    posted: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    closed: list[str] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    failing: set[str] = field(default_factory=set)


@contextmanager
def gateway_running() -> Iterator[Gateway]:
    """Listen in place of API Gateway while the block runs."""

    class Handler(Silent):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"]))
            self.answer_about(
                lambda an_id: made.posted[an_id].append(json.loads(text)), 413 if len(text) > MOST_BYTES else 200
            )

        def do_DELETE(self) -> None:
            self.answer_about(made.opened.discard, 204)

        def answer_about(self, done: Any, status: int) -> None:
            stage, _, an_id = self.path.partition("/@connections/")
            assert stage == "/realtime"
            connection_id = unquote(an_id)
            if not self.headers.get("Authorization", "").startswith("AWS4-HMAC-SHA256 "):
                status = 403
            elif connection_id in made.failing:
                status = 500
            elif self.command == "DELETE":
                made.closed.append(connection_id)
            if status < 300 and connection_id not in made.opened - made.gone:
                status = 410
            if status < 300:
                done(connection_id)
            refused = REFUSALS.get(status)
            self.answer(status, headers={"x-amzn-ErrorType": refused} if refused else None)

    with serving(Handler) as url:
        made = Gateway(f"{url.replace('http', 'ws')}/realtime")
        yield made


@dataclass(slots=True)
class Sockets:
    """Tabs that connect to the WebSocket API of *world*, and what is written to its table meanwhile."""

    world: World
    gateway: Gateway
    _numbers: Any = field(default_factory=count)

    def token(self, customer: str, **more: Any) -> str:
        """Return an identity token of the customer."""
        asked = {"sub": customer, "roles": [], **more}
        return str(patient.post(f"{self.world.fakes.issuer}/token", json=asked).raise_for_status().json()["token"])

    def ticket(self, customer: str, *, token_ends_in: int = 3_600) -> str:
        """Return a ticket of the customer."""
        answer = self.ask_for_ticket(customer, token_ends_in=token_ends_in)
        assert answer.status == 201, answer.text
        return str(answer.json["ticket"])

    def ask_for_ticket(self, customer: str, *, token_ends_in: int = 3_600) -> Answer:
        caller = {"customer_id": customer, "token_ends_at": self.world.now() + token_ends_in, "roles": []}
        return request("POST /realtime-tickets", caller=caller)

    def connect(self, *offered: str, origin: str | None = ORIGIN, **fields: Any) -> tuple[str, Any]:
        """Connect with the subprotocols *offered*, and return the connection's id, and what the function answers."""
        headers = {"Sec-WebSocket-Protocol": ", ".join(offered), **({"Origin": origin} if origin else {})}
        return self.connect_with({name: [value] for name, value in headers.items() if value}, **fields)

    def connect_with(self, headers: Mapping[str, list[str]], **fields: Any) -> tuple[str, Any]:
        """Connect with exactly these *headers*."""
        connection_id = f"tab-{os.getpid()}-{next(self._numbers)}="
        single = {name: values[-1] for name, values in headers.items()}
        event = socket_event("connect", connection_id, headers=single, multiValueHeaders=headers, **fields)
        answer = invoke(*event)
        if answer["statusCode"] == 200:
            self.gateway.opened.add(connection_id)
        return connection_id, answer

    def refused(self, *offered: str, **more: Any) -> Answer:
        """Return the answer to a handshake that is refused."""
        _, answer = self.connect(*offered, **more)
        return answer_of(answer)

    def opened(self, customer: str, **token: Any) -> str:
        """Open a tab of the customer, and return its connection's id."""
        connection_id, answer = self.connect("paidup.v1", f"bearer.{self.token(customer, **token)}")
        assert answer["statusCode"] == 200, answer
        return connection_id

    def settled(self, customer: str) -> str:
        """Open a tab, and let so much time pass that it is open for sure."""
        connection_id = self.opened(customer)
        self.world.pass_time(30)
        return connection_id

    def say(self, connection_id: str, message: Any) -> Any:
        """Send a message (text as it is, all else as JSON), and return what comes back, or None."""
        text = message if isinstance(message, str) else json.dumps(message)
        answer = invoke(*socket_event("message", connection_id, body=text))
        return json.loads(answer["body"]) if "body" in answer else None

    def since(self, connection_id: str, version: int = -1) -> Any:
        """Ask for the state."""
        return self.say(connection_id, {"action": "since", "billing_version": version})

    def leave(self, connection_id: str) -> None:
        """Close a tab."""
        self.gateway.opened.discard(connection_id)
        assert invoke(*socket_event("disconnect", connection_id)) == {"statusCode": 200}

    def known(self, customer: str) -> set[str]:
        """Return the connections of the customer in the table, by their ids."""
        items = boto3.client("dynamodb").query(
            TableName=os.environ["PAIDUP_TABLE"],
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": f"CONNECTIONS#{customer}"}},
        )["Items"]
        return {item["sk"]["S"] for item in items}

    def records(self, *customers: str) -> list[dict[str, Any]]:
        """Return what the table's stream would hand out of these customers, the oldest first."""
        streams = boto3.client("dynamodbstreams")
        table = boto3.client("dynamodb").describe_table(TableName=os.environ["PAIDUP_TABLE"])["Table"]
        arn = table["LatestStreamArn"]
        (shard,) = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
        place: Any = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator, found = streams.get_shard_iterator(**place)["ShardIterator"], []
        while page := (answer := streams.get_records(ShardIterator=iterator))["Records"]:
            found += [event_record(one, arn) for one in page]
            iterator = answer["NextShardIterator"]
        keys = {f"CUSTOMER#{one}" for one in customers}
        wanted = [one for one in found if is_wanted(one, TRIGGER.patterns)]
        return [one for one in wanted if one["dynamodb"]["Keys"]["pk"]["S"] in keys]


def push(*records: Mapping[str, Any], **more: Any) -> list[str]:
    """Hand *records* out as one batch, and return the sequence numbers of those that failed."""
    answer = invoke(*stream_event(*records), **more)
    return [one["itemIdentifier"] for one in answer["batchItemFailures"]]
