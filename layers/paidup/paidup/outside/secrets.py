"""Secrets: read from Secrets Manager by name, kept for five minutes, never logged, never in the environment."""

import json
import time
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from paidup.outside import aws, metrics
from paidup.outside.log import logger

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

KEPT_S = 300
ASKED_AGAIN_S = 30


class BadSecret(Exception):
    """A secret that does not hold what it must; the message names the secret and the field, never a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """Secrets Manager, and the last good value of every secret with the monotonic second until which it is kept."""

    client: "SecretsManagerClient"
    _kept: dict[str, tuple[dict[str, Any], float]] = field(default_factory=dict)

    def read(self, name: str, *fields: str) -> dict[str, Any]:
        """Return the JSON secret called *name*; it is read again after five minutes.

        While Secrets Manager is away, the last good value is used, and it is asked again every 30 s.
        Raises BadSecret when one of *fields* is missing or empty: such a value is not kept.
        """
        value, until = self._kept.get(name, ({}, 0.0))
        if time.monotonic() < until and not _missing(value, fields):
            return value
        found: dict[str, Any]
        try:
            found, kept_s = self._fetch(name), KEPT_S
        except (BotoCoreError, ClientError) as error:
            metrics.count("SecretUnread")
            if not value or not aws.is_outage(error):
                raise
            logger.warning("secret.unread", secret=name, why=type(error).__name__)
            found, kept_s = value, ASKED_AGAIN_S
        if missing := _missing(found, fields):
            metrics.count("SecretUnread")
            raise BadSecret(f"The secret {name!r} must be a JSON object with {missing!r}.")
        self._kept[name] = found, time.monotonic() + kept_s
        return found

    def _fetch(self, name: str) -> Any:
        text = self.client.get_secret_value(SecretId=name).get("SecretString", "")
        try:
            return json.loads(text)
        except ValueError:
            return None


def read(name: str, *fields: str) -> dict[str, Any]:
    """Return the JSON secret called *name*; raises BadSecret when one of *fields* is missing or empty."""
    return connect().read(name, *fields)


def _missing(value: Any, fields: tuple[str, ...]) -> str | None:
    """Return the first of *fields* that *value* does not hold, if there is one."""
    return next((one for one in fields if not isinstance(value, dict) or not value.get(one)), None)


@cache
def connect() -> Secrets:
    """Return Secrets Manager, with one client and one memory a process."""
    return Secrets(client=aws.client("secretsmanager", read_s=3, tries=2))
