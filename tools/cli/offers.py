"""`paidup offers`: what is on sale."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tools import offers
from tools.cli.options import AsJson, Stack, new_app
from tools.cli.output import print_json, show, waiting
from tools.cli.target import table

COLUMNS = {
    "offer_id": "Offer",
    "kind": "Kind",
    "amount": "Amount",
    "currency": "Currency",
    "interval": "Every",
    "name": "Name",
}

app = new_app(help="What is on sale.")


@app.command("load")
def load_offers(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A TOML file of [[offers]].")] = offers.PATH,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Put the offers of a file on sale, each in place of the one of the same id.

    Example: paidup offers load my-offers.toml --stack paidup
    """
    found = offers.read(file)
    with waiting(f"Putting {len(found)} offers on sale …"):
        offers.load(table(context, stack), found)
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        print(f"On sale: {', '.join(one.offer_id for one in found)}.")


@app.command("list")
def list_offers(context: typer.Context, stack: Stack = None, as_json: AsJson = False) -> None:
    """Show what is on sale. Amounts are minor units: 1200 eur are 12 euros.

    Example: paidup offers list --json
    """
    with waiting("Reading the offers …"):
        found = table(context, stack).offers()
    show([asdict(one) for one in found], COLUMNS, as_json=as_json, nothing="Nothing is on sale.")
