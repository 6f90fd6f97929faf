"""How AWS is reached: one session for each process, and clients that give up while the caller still waits.

The session is botocore's. boto3 adds resources and file transfers that nothing here uses.
"""

from functools import cache
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session, get_session

CONNECT_S = 1
TOO_MUCH = ("ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded")


def client(service: str, *, read_s: int, tries: int, endpoint: str | None = None) -> Any:
    """Return a new botocore client of *service* (`dynamodb`, `sqs`, …).

    The client waits 1 s for a connection and *read_s* seconds for an answer. It makes each request at most *tries*
    times. *endpoint* is the service's address, if each of its users has another (None: the usual one of the region).
    """
    config = Config(
        connect_timeout=CONNECT_S,
        read_timeout=read_s,
        retries={"mode": "standard", "total_max_attempts": tries},
    )
    return session().create_client(service, config=config, endpoint_url=endpoint)


def is_outage(error: BotoCoreError | ClientError) -> bool:
    """Whether *error* means that a service is down or throttles us, so that a later request may succeed.

    An error that says that something is missing or forbidden is an answer, and no outage.
    """
    if isinstance(error, BotoCoreError):
        return True
    told = error.response
    return told["ResponseMetadata"]["HTTPStatusCode"] >= 500 or told["Error"]["Code"] in TOO_MUCH


@cache
def session() -> Session:
    """Return the one session of this process. It finds the credentials and the region as every AWS tool does."""
    return get_session()
