"""How AWS is reached: one session a process, and clients that give up while the caller still waits.

The session is botocore's: boto3 would bring along its resources and its transfers of files, which nobody here uses.
"""

from functools import cache
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session, get_session

CONNECT_S = 1
TOO_MUCH = ("ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded")


def client(service: str, *, read_s: int, tries: int, endpoint: str | None = None) -> Any:
    """Return a new client of *service*, which waits *read_s* seconds for an answer and asks *tries* times in all.

    *endpoint* is where the service is, if it has an address of its own for each who uses it.
    """
    config = Config(
        connect_timeout=CONNECT_S,
        read_timeout=read_s,
        retries={"mode": "standard", "total_max_attempts": tries},
    )
    return session().create_client(service, config=config, endpoint_url=endpoint)


def is_outage(error: BotoCoreError | ClientError) -> bool:
    """Whether a service did not answer, or not now. That something is missing or forbidden is an answer."""
    if isinstance(error, BotoCoreError):
        return True
    told = error.response
    return told["ResponseMetadata"]["HTTPStatusCode"] >= 500 or told["Error"]["Code"] in TOO_MUCH


@cache
def session() -> Session:
    """Return the session of this process, which finds credentials and region as every AWS tool does."""
    return get_session()
