"""Where a command works: in the deployed stack that is named, or in the local one."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import boto3
import typer
from paidup.edge.services import open_services
from paidup.flows.services import Services
from paidup.outside.dynamo.table import Table

from tools.local import state
from tools.local.cloud import Cloud

LIKE = "expire_sessions"  # the function whose settings the commands work with: it gives money back, too


@contextmanager
def services(context: typer.Context, stack: str | None) -> Iterator[Services]:
    """Give the block the services as the functions have them, in the deployed *stack* or in the local one.

    Raises NotRunning where no local stack runs, and botocore's errors where AWS refuses.
    """
    before = dict(os.environ)
    os.environ |= _settings(context, stack)
    try:
        yield open_services()
    finally:
        os.environ.clear()
        os.environ.update(before)


def table(context: typer.Context, stack: str | None) -> Table:
    """Return the table of the deployed *stack*, or of the local one. Raises what `services` raises."""
    if stack:
        return Table(client=boto3.client("dynamodb"), name=_settings(context, stack)["PAIDUP_TABLE"])
    where = state.announcement(context.obj)
    return Cloud.of(where["aws"]).table(where["table"])


def _settings(context: typer.Context, stack: str | None) -> Mapping[str, str]:
    if stack:
        configured = boto3.client("lambda").get_function_configuration(FunctionName=f"{stack}-{LIKE}")
        return configured["Environment"]["Variables"]
    where = state.announcement(context.obj)
    settings: Mapping[str, str] = where["aws"] | where["settings"][LIKE]
    return {**settings, "PAIDUP_CLOCK_FILE": str(context.obj / "clock")}
