"""Where a command works: in the deployed stack that is named, or in the local one."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3
import typer
from paidup.edge.services import open_services
from paidup.flows.services import Services
from paidup.outside.dynamo.table import Table

from tools.local import state
from tools.local.cloud import Cloud

LIKE = "expire_sessions"  # the function whose settings the commands work with: it gives money back, too
SIGNS = "issue_billing_token"
DESK = "support_desk"  # it reads dead letters, too


@contextmanager
def settings_of(context: typer.Context, stack: str | None, *functions: str) -> Iterator[None]:
    """Give the block the settings of all *functions*, in the deployed *stack* or in the local one.

    Raises NotRunning if no local stack runs, and botocore's errors if AWS refuses.
    """
    before = dict(os.environ)
    try:
        for one in functions:
            os.environ |= _settings(context, stack, one)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def services(context: typer.Context, stack: str | None, like: str = LIKE) -> Iterator[Services]:
    """Give the block the services as the function *like* has them. Raises what `settings_of` raises."""
    with settings_of(context, stack, like):
        yield open_services()


@contextmanager
def secrets_manager(context: typer.Context, stack: str | None) -> Iterator[tuple[Any, str]]:
    """Give the block Secrets Manager and the name of the signing keys' secret. Raises what `settings_of` raises."""
    with settings_of(context, stack, SIGNS):
        yield boto3.client("secretsmanager"), os.environ["PAIDUP_SIGNING_KEYS_SECRET"]


def table(context: typer.Context, stack: str | None) -> Table:
    """Return the table of the deployed *stack*, or of the local one. Raises what `settings_of` raises."""
    if stack:
        return Table(client=boto3.client("dynamodb"), name=_settings(context, stack)["PAIDUP_TABLE"])
    where = state.announcement(context.obj)
    return Cloud.of(where["aws"]).table(where["table"])


def _settings(context: typer.Context, stack: str | None, like: str = LIKE) -> Mapping[str, str]:
    if stack:
        configured = boto3.client("lambda").get_function_configuration(FunctionName=f"{stack}-{like}")
        return configured["Environment"]["Variables"]
    where = state.announcement(context.obj)
    settings: Mapping[str, str] = where["aws"] | where["settings"][like]
    return {**settings, "PAIDUP_CLOCK_FILE": str(context.obj / "clock")}
