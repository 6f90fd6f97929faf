"""`paidup report`: the figures of some days, for those who decide."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from paidup.edge import clock
from paidup.model.policy import DAY_S

from tools.cli.options import AsJson, Stack, new_app
from tools.cli.output import Stopped, print_json, show, telling
from tools.cli.target import services
from tools.report.figures import Figures, Wait, duration, figures
from tools.report.picture import picture as drawn
from tools.report.records import read

COLUMNS = {
    "channel": "Channel",
    "purchases": "Purchases",
    "p50_s": "p50",
    "p95_s": "p95",
    "p99_s": "p99",
    "longest_s": "Longest",
}

app = new_app()


@app.command()
def report(
    context: typer.Context,
    days: Annotated[int, typer.Option(min=1, max=400, help="How far to look back.")] = 30,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE.svg", help="Also draw it into this file.", dir_okay=False)
    ] = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Say which channel told of each purchase, how long buyers waited for access, and what people had to do.

    A purchase counts by its first payment. Waits are from the charge at the provider to the settlement here. Events
    are kept for 90 days, all else for 400. The whole table is read: half a read unit for each 4 KB of it.

    Example: paidup report --days 30 --picture november.svg --stack paidup
    """
    with services(context, stack) as there, telling() as tell:
        now = clock.now()
        since = now - days * DAY_S
        found = figures(read(there.table, since=since, tell=tell), since=since, until=now)
        tell("")
    if picture is not None:
        _draw(found, picture)
    if as_json:
        print_json(asdict(found))
    else:
        print_figures(found)


def _draw(found: Figures, file: Path) -> None:
    try:
        file.write_text(drawn(found))
    except OSError as error:
        raise Stopped(f"{file} cannot be written: {error.strerror}.") from None


def print_figures(found: Figures) -> None:
    """Print what the report says, as a table and four sentences."""
    show([_row(one) for one in (*found.channels, found.total)], COLUMNS, as_json=False, nothing="")
    success = "" if found.webhook_success is None else f" ({found.webhook_success:g} %)"
    print(f"Webhooks: {found.events - found.events_failed} of {found.events} events settled{success}.")
    print(f"No webhook told of {found.missed} purchases.")
    print(f"Manual interventions: {found.interventions}.")
    reasons = ", ".join(f"{reason} {count}" for reason, count in found.cases_by_reason.items())
    print(f"Review cases: {found.cases_opened} opened, {found.cases_open} still open{reasons and f': {reasons}'}.")


def _row(one: Wait) -> dict[str, Any]:
    return {name: duration(value) if name.endswith("_s") else value for name, value in asdict(one).items()}
