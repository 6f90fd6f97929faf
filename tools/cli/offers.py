"""`paidup offers`: what is on sale."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from paidup.flows.services import Services
from paidup.model import money
from paidup.model.offer import Offer

from tools import offers
from tools.cli.options import AsJson, Stack, new_app
from tools.cli.output import print_json, show, waiting
from tools.cli.target import services, table

COLUMNS = {
    "offer_id": "Offer",
    "kind": "Kind",
    "price": "Price",
    "every": "Every",
    "name": "Name",
}
FAULTS = {"offer_id": "Offer", "field": "Field", "why": "What is wrong"}
CHECKED = {"offer_id": "Offer", "price": "Price", "field": "Field", "difference": "Difference"}

app = new_app(help="What is on sale.")


@app.command("load")
def load_offers(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A TOML file of [[offers]].")] = offers.PATH,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Put the offers of a file on sale, each in place of the one of the same id.

    The provider is asked what the prices of its catalogue come to, so that the shop can show them.

    Example: paidup offers load my-offers.toml --stack paidup
    """
    found = offers.read(file)
    with waiting(f"Putting {len(found)} offers on sale …"):
        if any(one.price for one in found):
            with services(context, stack) as there:
                found = offers.with_amounts(found, lambda one, ref: there.provider(_seller(one, there)).price(ref))
        offers.load(table(context, stack), found)
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        print(f"On sale: {', '.join(one.offer_id for one in found)}.")


@app.command("check")
def check_offers(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A TOML file of [[offers]].")] = offers.PATH,
    stripe: Annotated[bool, typer.Option("--stripe", help="Hold the file against the Stripe account, too.")] = False,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Check the offers of a file before they are put on sale. Anything wrong ends it with exit code 1.

    With --stripe, the prices of the catalogue must be there, active, and as the offers say, and the account must be
    able to charge the currencies. The account is the stack's.

    Example: paidup offers check my-offers.toml --stripe --stack paidup
    """
    found, faults = offers.examine(file)
    if faults or not stripe:
        fine = f"{len(found)} offers can be put on sale."
        show([asdict(one) for one in faults], FAULTS, as_json=as_json, nothing=fine)
        raise typer.Exit(1 if faults else 0)
    from tools import catalog  # loads Stripe's library

    with services(context, stack) as there, waiting("Asking Stripe …"):
        rows = catalog.held_against_stripe(found, there.provider("stripe"))
    show([asdict(one) for one in rows], CHECKED, as_json=as_json, nothing="The file has no offers.")
    raise typer.Exit(1 if any(one.difference for one in rows) else 0)


@app.command("list")
def list_offers(context: typer.Context, stack: Stack = None, as_json: AsJson = False) -> None:
    """Show what is on sale. With --json, amounts are minor units of a currency that has `digits`.

    Example: paidup offers list --json
    """
    with waiting("Reading the offers …"):
        found = table(context, stack).offers()
    rows = [_as_stored(one) if as_json else _for_people(one) for one in found]
    show(rows, COLUMNS, as_json=as_json, nothing="Nothing is on sale.")


def _as_stored(offer: Offer) -> dict[str, Any]:
    return {**asdict(offer), "digits": money.digits_of(offer.currency)}


def _for_people(offer: Offer) -> dict[str, Any]:
    amount, count = offer.shown_amount, offer.interval_count
    every = offer.interval and (f"{count} {offer.interval}s" if count > 1 else offer.interval)
    price = f"{offer.price} ({offer.currency.upper()})" if amount is None else money.shown(amount, offer.currency)
    return {"offer_id": offer.offer_id, "kind": offer.kind, "price": price, "every": every, "name": offer.name}


def _seller(offer: Offer, there: Services) -> str:
    """Return the provider in whose catalogue the offer's price is."""
    return next(name for name in (*offer.providers, *there.providers) if name in there.providers)
