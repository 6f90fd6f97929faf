"""How AWS is reached: one session a process, and clients that give up while the caller still waits.

The session is botocore's: boto3 would bring along its resources and its transfers of files, which nobody here uses.
"""

from functools import cache
from typing import Any

from botocore.config import Config
from botocore.session import Session, get_session

CONNECT_S = 1


def client(service: str, *, read_s: int, tries: int) -> Any:
    """Return a new client of *service*, which waits *read_s* seconds for an answer and asks *tries* times in all."""
    config = Config(
        connect_timeout=CONNECT_S,
        read_timeout=read_s,
        retries={"mode": "standard", "total_max_attempts": tries},
    )
    return session().create_client(service, config=config)


@cache
def session() -> Session:
    """Return the session of this process, which finds credentials and region as every AWS tool does."""
    return get_session()
