"""`paidup support`: decisions about one customer's payment, and moves to another customer."""

from dataclasses import asdict
from typing import Annotated

import typer

from tools.cli.options import AsJson, Stack, new_app
from tools.cli.output import print_json, waiting
from tools.cli.target import services
from tools.support import decide, move_all

Customer = Annotated[str, typer.Argument(help="The customer's id.")]
PurchaseId = Annotated[str, typer.Argument(metavar="PURCHASE", help="The purchase's id, which is its checkout's, too.")]

Reason = Annotated[str, typer.Option(help="Why, for the timeline.", metavar="TEXT")]

app = new_app(help="Decide about a payment, or move a customer.")


@app.command()
def grant(
    context: typer.Context,
    customer: Customer,
    purchase_id: PurchaseId,
    reason: Reason,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Grant what was bought, though another amount was paid than was asked for.

    Example: paidup support grant ada co_06b0134900a1b2c3d4e5f60718 --reason "a price of last year"
    """
    _decide(context, customer, purchase_id, stack, granted=True, reason=reason, as_json=as_json)


@app.command()
def move(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="FROM", help="The id of the customer who has it now.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="The id of the customer who gets it.")],
    reason: Annotated[str, typer.Option(help="Why, for both timelines.", metavar="TEXT")],
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Move everything of one customer id to another: purchases, access, bookings, and the customers at the providers.

    It can be stopped, and run again. Nothing changes at the payment providers.

    Example: paidup support move ada ada-2 --reason "signed up twice"
    """
    with services(context, stack) as there, waiting("Moving …"):
        moved = move_all(source, target, there, reason=reason)
    if as_json:
        print_json(asdict(moved))
    else:
        what = f"{moved.purchases} purchases, {moved.checkouts} checkouts and {moved.bookings} bookings"
        print(f"{what} moved from {source} to {target}.")


@app.command()
def refund(
    context: typer.Context,
    customer: Customer,
    purchase_id: PurchaseId,
    reason: Reason,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Give back what was paid. A subscription ends, too.

    Example: paidup support refund ada co_06b0134900a1b2c3d4e5f60718 --reason "fell ill" --stack paidup
    """
    _decide(context, customer, purchase_id, stack, granted=False, reason=reason, as_json=as_json)


def _decide(
    context: typer.Context,
    customer: str,
    purchase_id: str,
    stack: str | None,
    *,
    granted: bool,
    reason: str,
    as_json: bool,
) -> None:
    with services(context, stack) as there, waiting("Carrying out what you decided …"):
        decided = decide(customer, purchase_id, there, grant=granted, reason=reason)
    if as_json:
        print_json(asdict(decided))
    else:
        print(f"{purchase_id} of {customer}: {decided.before or 'none'} -> {decided.after or 'none'}")
