"""The queue of webhooks that were received, verified, and must not be lost."""

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from paidup.outside import aws

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# SQS takes no such characters. In JSON they stand in texts alone, where an escape is the same.
NOT_SENDABLE = re.compile("[\ufffe\uffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """paidup's webhook queue."""

    client: "SQSClient"
    url: str

    def put(self, provider: str, body: str) -> None:
        """Keep *body* (the raw event of *provider*) until it is settled; raises when it could not be kept."""
        attributes: Any = {"provider": {"DataType": "String", "StringValue": provider}}
        escaped = NOT_SENDABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", body)
        self.client.send_message(QueueUrl=self.url, MessageBody=escaped, MessageAttributes=attributes)


@cache
def connect(url: str) -> Queue:
    """Return the queue at *url*, with one client a process."""
    return Queue(client=aws.client("sqs", read_s=3, tries=2), url=url)
