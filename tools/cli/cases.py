"""`paidup cases`: the questions that only a person can decide."""

from typing import Annotated

import typer

from tools.cli.options import AsJson, Stack, new_app
from tools.cli.output import show, waiting
from tools.cli.rows import CASE_COLUMNS, case_row
from tools.cli.target import services

app = new_app()


@app.command()
def cases(
    context: typer.Context,
    customer: Annotated[str | None, typer.Option(metavar="ID", help="Only this customer's.")] = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """List open review cases, the oldest first. What each reason means is in docs/runbook.md.

    Decide with paidup support grant, or paidup support refund.

    Example: paidup cases --stack paidup
    """
    with services(context, stack) as there, waiting("Reading the cases …"):
        found = [one for one in there.table.open_cases() if customer in (None, one.customer_id)]
    show([case_row(one) for one in found], CASE_COLUMNS, as_json=as_json, nothing="No case is open.")
