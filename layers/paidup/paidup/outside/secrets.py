"""Secrets: read from Secrets Manager by name, kept for five minutes, never logged, never in the environment."""

from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.parameters import SecretsProvider
from botocore.config import Config

KEPT_S = 300
TIMEOUTS = Config(connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 2})


class BadSecret(Exception):
    """A secret that does not hold what it must; the message names the secret and the field, never a value."""


def read(name: str, *fields: str) -> dict[str, Any]:
    """Return the JSON secret called *name*; raises BadSecret when one of *fields* is missing or empty."""
    secret: Any = connect().get(name, transform="json", max_age=KEPT_S)
    for field in fields:
        if not isinstance(secret, dict) or not secret.get(field):
            raise BadSecret(f"The secret {name!r} must be a JSON object with {field!r}.")
    return dict(secret)


@cache
def connect() -> SecretsProvider:
    """Return Secrets Manager, with one client and one memory a process."""
    return SecretsProvider(boto_config=TIMEOUTS)
