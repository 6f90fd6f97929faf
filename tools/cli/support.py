"""`paidup support`: decisions about one customer's payment."""

from dataclasses import asdict
from typing import Annotated

import typer

from tools.cli.options import AsJson, Stack, new_app
from tools.cli.output import print_json, waiting
from tools.cli.target import services
from tools.support import decide

Customer = Annotated[str, typer.Argument(help="The customer's id.")]
PurchaseId = Annotated[str, typer.Argument(metavar="PURCHASE", help="The purchase's id, which is its checkout's, too.")]

app = new_app(help="Decide about a payment.")


@app.command()
def grant(
    context: typer.Context, customer: Customer, purchase_id: PurchaseId, stack: Stack = None, as_json: AsJson = False
) -> None:
    """Grant what was bought, though another amount was paid than was asked for.

    Example: paidup support grant ada co_06b0134900a1b2c3d4e5f60718
    """
    _decide(context, customer, purchase_id, stack, granted=True, as_json=as_json)


@app.command()
def refund(
    context: typer.Context, customer: Customer, purchase_id: PurchaseId, stack: Stack = None, as_json: AsJson = False
) -> None:
    """Give back what was paid. A subscription ends, too.

    Example: paidup support refund ada co_06b0134900a1b2c3d4e5f60718 --stack paidup
    """
    _decide(context, customer, purchase_id, stack, granted=False, as_json=as_json)


def _decide(
    context: typer.Context, customer: str, purchase_id: str, stack: str | None, *, granted: bool, as_json: bool
) -> None:
    with services(context, stack) as there, waiting("Carrying out what you decided …"):
        decided = decide(customer, purchase_id, there, grant=granted)
    if as_json:
        print_json(asdict(decided))
    else:
        print(f"{purchase_id} of {customer}: {decided.before or 'none'} -> {decided.after or 'none'}")
