"""`paidup doctor`: whether all that paidup needs is well, and what to do if it is not."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import boto3
import typer
from paidup.edge import services, settings

from tools.cli.options import AsJson, Stack, new_app
from tools.cli.output import show, waiting
from tools.cli.target import settings_of
from tools.doctor.checkup import Checkup, Names
from tools.doctor.finding import Finding, Verdict

COLUMNS = {"check": "Check", "verdict": "Verdict", "found": "Found", "ms": "ms", "todo": "What to do"}
KNOWN_BY = ("reconcile_payments", "issue_billing_token", "support_desk")  # together they have all settings

app = new_app()


@app.command()
def doctor(context: typer.Context, stack: Stack = None, as_json: AsJson = False) -> None:
    """Examine secrets, webhook endpoint, API version, clocks, deliveries, runs, queues and alarms.

    It sends two webhooks to the API's public address: one that is signed as Stripe signs, and one that must be refused.
    Nothing is changed. It ends with 1 if anything is not well. What it cannot tell is said, and fails nothing.

    Example: paidup doctor --stack paidup
    """
    findings: list[Finding] = []
    with _checkup(context, stack) as checkup:
        for what, examine in checkup.parts():
            with waiting(what):
                findings += examine()
    show([asdict(one) for one in findings], COLUMNS, as_json=as_json, nothing="")
    raise typer.Exit(1 if any(one.verdict is Verdict.NOT_OK for one in findings) else 0)


@contextmanager
def _checkup(context: typer.Context, stack: str | None) -> Iterator[Checkup]:
    with settings_of(context, stack, *KNOWN_BY):
        names = Names(
            api_url=settings.text("PAIDUP_API_URL"),
            stripe_secret=settings.text("PAIDUP_STRIPE_SECRET"),
            stripe_base=settings.optional("PAIDUP_STRIPE_API_BASE"),
            signing_keys_secret=settings.text("PAIDUP_SIGNING_KEYS_SECRET"),
            queue_url=settings.text("PAIDUP_WEBHOOK_QUEUE_URL"),
            dead_letters_url=settings.text("PAIDUP_DEAD_LETTERS_URL"),
        )
        client: Any = boto3.client  # its types know services by literal name alone
        yield Checkup(names=names, table=services.open_services().table, client=client, stack=stack)
