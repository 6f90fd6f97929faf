"""`paidup sync`: everything that the providers know about a customer, settled."""

from dataclasses import asdict
from typing import Annotated, Any

import typer
from paidup.edge import clock
from paidup.flows.desk import find
from paidup.flows.services import Services
from paidup.flows.sync import sync as settle_history

from tools.cli.options import AsJson, Stack, new_app
from tools.cli.output import Stopped, show, waiting
from tools.cli.target import services

COLUMNS = {
    "customer_id": "Customer",
    "scanned": "Looked at",
    "granted": "Granted",
    "unchanged": "Unchanged",
    "problems": "Problems",
}

app = new_app()


@app.command()
def sync(
    context: typer.Context,
    customer: Annotated[str | None, typer.Argument(help="The customer's id, or any id at the provider.")] = None,
    email: Annotated[str | None, typer.Option(metavar="ADDRESS", help="The address at the provider instead.")] = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Settle what the providers know about a customer: the last 30 days' payments, and all subscriptions.

    It is what a customer does who presses "Missing a pass?". If something cannot be read or settled, it ends with 1.

    Example: paidup sync --email ada@example.com --stack paidup
    """
    if (customer is None) == (email is None):
        raise typer.BadParameter("Name a customer, or an address by --email.")
    with services(context, stack) as there, waiting("Asking the providers …"):
        found = {
            one: settle_history(one, email, there, now=clock.now()) for one in _meant(customer or email or "", there)
        }
    rows: list[dict[str, Any]] = [{"customer_id": one, **asdict(result)} for one, result in found.items()]
    if not as_json:
        rows = [row | {"granted": ", ".join(row["granted"]), "problems": len(row["problems"])} for row in rows]
    show(rows, COLUMNS, as_json=as_json, nothing="Nobody was found.")
    for result in found.values():
        for one in result.problems:
            typer.echo(f"paidup: {one.ref} could not be settled: {one.why}", err=True)
    raise typer.Exit(1 if any(result.problems for result in found.values()) else 0)


def _meant(query: str, there: Services) -> tuple[str, ...]:
    if found := find(query, there).customer_ids:
        return found
    raise Stopped("Nobody was found. A customer is known once they opened a checkout.")
