"""The queue of webhooks that were received, verified, and must not be lost."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Self

from paidup.outside import aws

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# SQS takes no such characters. In JSON they stand in texts alone, where an escape is the same.
NOT_SENDABLE = re.compile("[\ufffe\uffff]")


HIDDEN_S = 5
AT_ONCE = 10  # SQS hands out no more


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A message as it lies in a queue: the event's raw `body`, and the `receipt` by which it is removed."""

    message_id: str
    provider: str
    body: str
    receipt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A message as SQS hands it to a function, for the `attempt`-th time: what `Queue.put` was told, and its `receipt`.

    `channel` brought the raw `body` of `provider` at `heard_at` (epoch seconds).
    """

    provider: str
    body: str
    channel: str
    heard_at: int
    attempt: int
    receipt: str

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """Return what is in one record of an event of SQS. Raises KeyError if `Queue.put` did not put it there."""
        said = record["messageAttributes"]
        return cls(
            provider=said["provider"]["stringValue"],
            body=record["body"],
            channel=said["channel"]["stringValue"],
            heard_at=int(said["heard_at"]["stringValue"]),
            attempt=int(record["attributes"]["ApproximateReceiveCount"]),
            receipt=record["receiptHandle"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """paidup's webhook queue."""

    client: "SQSClient"
    url: str

    def put(self, provider: str, body: str, *, channel: str, heard_at: int, delay_s: int = 0) -> None:
        """Keep *body* (the raw event of *provider*) until it is settled; raises when it could not be kept.

        *channel* brought it at *heard_at* (epoch seconds). Nobody gets it before *delay_s* seconds are over.
        """
        attributes: Any = {
            "provider": {"DataType": "String", "StringValue": provider},
            "channel": {"DataType": "String", "StringValue": channel},
            "heard_at": {"DataType": "Number", "StringValue": str(heard_at)},
        }
        escaped = NOT_SENDABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", body)
        self.client.send_message(
            QueueUrl=self.url, MessageBody=escaped, MessageAttributes=attributes, DelaySeconds=delay_s
        )

    def letters(self, *, most: int) -> Iterator[Letter]:
        """Yield up to about *most* messages. They stay in the queue, and are hidden from others for a few seconds."""
        for _ in range(0, most, AT_ONCE):
            found = self.client.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=AT_ONCE,
                VisibilityTimeout=HIDDEN_S,
                MessageAttributeNames=["provider"],
            ).get("Messages", [])
            for one in found:
                said = one.get("MessageAttributes", {})
                yield Letter(
                    message_id=one["MessageId"],
                    provider=said["provider"]["StringValue"] if "provider" in said else "",
                    body=one["Body"],
                    receipt=one["ReceiptHandle"],
                )
            if not found:
                return

    def remove(self, letter: Letter) -> None:
        """Remove *letter*. What it told is settled."""
        self.client.delete_message(QueueUrl=self.url, ReceiptHandle=letter.receipt)

    def return_in(self, receipt: str, seconds: int) -> None:
        """Let a message that was handed out as *receipt* come back in *seconds*. If it is back already, do nothing."""
        gone = self.client.exceptions.ReceiptHandleIsInvalid, self.client.exceptions.MessageNotInflight
        with suppress(*gone):
            self.client.change_message_visibility(QueueUrl=self.url, ReceiptHandle=receipt, VisibilityTimeout=seconds)


@cache
def connect(url: str) -> Queue:
    """Return the queue at *url*, with one client a process."""
    return Queue(client=aws.client("sqs", read_s=3, tries=2), url=url)
