"""`paidup events`: what the webhook log has of events."""

from typing import Annotated, Any

import typer
from paidup.edge import clock
from paidup.edge.services import dead_letters
from paidup.flows.replay import collect_dead
from paidup.flows.services import Services
from paidup.model.event import EventRecord

from tools.cli.options import AsJson, Stack, new_app
from tools.cli.output import Stopped, print_json, show, waiting
from tools.cli.rows import EVENT_COLUMNS, event_row
from tools.cli.target import DESK, services

app = new_app()


@app.command()
def events(
    context: typer.Context,
    event_ids: Annotated[list[str] | None, typer.Argument(metavar="[EVENT]...", help="The provider's ids.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Every event that is not settled yet.")] = False,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Show events of the webhook log: those that failed, dead letters too, or those that are named.

    A named event is shown with its traceback and its body, if the log still has them.

    Example: paidup events --failed --stack paidup
    """
    if bool(event_ids) == failed:
        raise typer.BadParameter("Name events, or give --failed.")
    with services(context, stack, DESK) as there, waiting("Reading the log …"):
        if failed:
            collect_dead(dead_letters(), there, now=clock.now())
        found = there.table.failed_events() if failed else [_event(one, there) for one in event_ids or ()]
    rows = [event_row(one) | ({} if failed else {"body": one.body or None}) for one in found]
    if failed or as_json:
        show(rows, EVENT_COLUMNS, as_json=as_json, nothing="No event failed.")
        return
    for row in rows:
        print_json({name: value for name, value in row.items() if name not in ("traceback", "body")})
        print(*(text for name in ("traceback", "body") if (text := row[name])), sep="\n\n")


def _event(event_id: str, there: Services) -> EventRecord:
    found: Any = (there.table.event(provider, event_id) for provider in there.providers)
    record: EventRecord | None = next(filter(None, found), None)
    if record is None:
        raise Stopped(f"The log has no event {event_id}. paidup replay fetches it from the provider, if it is there.")
    return record
