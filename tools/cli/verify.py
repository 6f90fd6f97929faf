"""`paidup verify`: access here against the objects at the providers, item by item."""

import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer
from paidup.edge import clock
from paidup.model.policy import DAY_S

from tools.cli.options import AsJson, Stack, new_app
from tools.cli.output import Stopped, print_json, show, telling
from tools.cli.target import services
from tools.verify import Verification, compare, mend

COLUMNS = {
    "customer_id": "Customer",
    "purchase_id": "Purchase",
    "drift": "Difference",
    "about": "About",
    "here": "Here",
    "there": "There",
}

app = new_app()


@app.command()
def verify(
    context: typer.Context,
    days: Annotated[int, typer.Option(min=1, max=400, help="How far to look back.")] = 30,
    customer: Annotated[list[str] | None, typer.Option(metavar="ID", help="Only this customer.")] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Mend what differs, after a preview.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Mend without a question.")] = False,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Compare access here with the objects at the providers, and list each difference. Without any, it ends with 0.

    Mending settles what a provider says now, as a webhook would. What no provider says is left to a person. It can be
    stopped, and run again.

    Example: paidup verify --days 30 --repair --stack paidup
    """
    with services(context, stack) as there, telling() as tell:
        now = clock.now()
        found = compare(there, since=now - days * DAY_S, now=now, only=customer or (), tell=tell)
        tell("")
        if not (repair and found.drifted):
            _show(found, as_json=as_json, mended=None)
            raise typer.Exit(0 if found.good else 1)
        _show(found, as_json=False, mended=None, to_people=as_json)
        if not yes and not _agreed(found):
            if as_json:
                _show(found, as_json=True, mended=0)
            raise Stopped("Nothing was mended.")
        left = mend(found, there, tell=tell)
        tell("")
        _show(left, as_json=as_json, mended=len(found.differences) - len(left.differences))
    left.problems += found.problems
    raise typer.Exit(0 if left.good else 1)


def _agreed(found: Verification) -> bool:
    question = f"Mend {len(found.differences)} differences of {len(found.drifted)} customers?"
    return typer.confirm(question, err=True)


def _show(found: Verification, *, as_json: bool, mended: int | None, to_people: bool = False) -> None:
    """Print what differs, then what could not be read. A preview goes *to_people*, if standard output is for JSON."""
    rows: list[dict[str, Any]] = [{"customer_id": who, **asdict(one)} for who, one in found.differences]
    problems = [asdict(one) for one in found.problems]
    if as_json:
        counted = {} if mended is None else {"mended": mended}
        print_json({"customers": found.customers, **counted, "differences": rows, "problems": problems})
        return
    if to_people:
        for row in rows:
            print(*(row[name] for name in COLUMNS), sep="\t", file=sys.stderr)
        return
    if mended is not None:
        print(f"{mended} differences are mended.")
    show(rows, COLUMNS, as_json=False, nothing=f"{found.customers} customers, no difference.")
    for one in found.problems:
        print(f"paidup: {one.ref} could not be compared: {one.why}", file=sys.stderr)
