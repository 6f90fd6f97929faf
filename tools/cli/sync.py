"""`paidup sync`: everything that the providers know about a customer, settled."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

import typer
from paidup.edge import clock
from paidup.flows.desk import find
from paidup.flows.sync import SyncResult
from paidup.flows.sync import sync as settle_history

from tools.cli.options import AsJson, Stack, new_app
from tools.cli.output import Stopped, show, telling
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
    What is settled stays settled, so it can be stopped, and run again.

    Example: paidup sync --email ada@example.com --stack paidup
    """
    if (customer is None) == (email is None):
        raise typer.BadParameter("Name a customer, or an address by --email.")
    with services(context, stack) as there, telling() as tell:
        tell("Looking for the customer …")
        meant, found = find(customer or email or "", there).customer_ids, dict[str, SyncResult]()
        for n, one in enumerate(meant, start=1):
            so_far = _told(f"Customer {n:,} of {len(meant):,}", tell)
            so_far(0)
            found[one] = settle_history(one, email, there, now=clock.now(), progress=so_far)
        tell("")
    rows: list[dict[str, Any]] = [{"customer_id": one, **asdict(result)} for one, result in found.items()]
    if not as_json:
        rows = [row | {"granted": ", ".join(row["granted"]), "problems": len(row["problems"])} for row in rows]
    if found or as_json:
        show(rows, COLUMNS, as_json=as_json, nothing="")
    if not found:
        raise Stopped("Nobody was found. A customer is known once they opened a checkout.")
    for result in found.values():
        for problem in result.problems:
            typer.echo(f"paidup: {problem.ref} could not be settled: {problem.why}", err=True)
    raise typer.Exit(1 if any(result.problems for result in found.values()) else 0)


def _told(who: str, tell: Callable[[str], None]) -> Callable[[int], None]:
    return lambda scanned: tell(f"{who}: {scanned:,} objects were looked at …")
