"""`paidup replay`: events settled once more, by the path on which they came."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from getpass import getuser
from typing import Annotated

import typer
from paidup.edge import clock
from paidup.edge.services import dead_letters
from paidup.flows.replay import collect_dead, replay_failed
from paidup.flows.replay import replay as replay_one
from paidup.flows.services import Services
from paidup.flows.support import Decision
from paidup.model.errors import NotFound, Refusal
from paidup.model.event import EventRecord, EventStatus

from tools.cli.options import AsJson, Stack, new_app
from tools.cli.output import Stopped, show, telling
from tools.cli.rows import EVENT_COLUMNS, event_row
from tools.cli.target import DESK, services

MOST = 100
FOR_EVER_S = 3_600.0

app = new_app()


@app.command()
def replay(
    context: typer.Context,
    event_ids: Annotated[list[str] | None, typer.Argument(metavar="[EVENT]...", help="The provider's ids.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Every event that is not settled yet.")] = False,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for the timeline.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which events.")] = False,
    most: Annotated[int, typer.Option(min=1, max=1_000, help="At most so many of the failed.")] = MOST,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Settle events once more: those that failed, or those that are named. If one fails again, it ends with 1.

    An event is tried once in a run. What is settled stays settled, so it can be stopped, and run again.

    Example: paidup replay --failed --reason "the mistake is mended" --stack paidup
    """
    if bool(event_ids) == failed:
        raise typer.BadParameter("Name events, or give --failed.")
    if not (reason or dry_run):
        raise typer.BadParameter("Say why by --reason.")
    with services(context, stack, DESK) as there, _counted() as progress:
        decision = Decision(by=getuser(), reason=reason, now=clock.now())
        more = False
        if failed:
            collect_dead(dead_letters(), there, now=decision.now)
            run = replay_failed(
                there,
                decision,
                dry_run=dry_run,
                most=most,
                before=None,
                time_left=lambda: FOR_EVER_S,
                progress=progress,
            )
            found, more = list(run.events), run.more
        elif dry_run:
            found = [_known(one, there) for one in event_ids or ()]
        else:
            found = _replayed(event_ids or (), there, decision, progress)
    if found or failed or as_json:
        show([event_row(one) for one in found], EVENT_COLUMNS, as_json=as_json, nothing="No event failed.")
    if more:
        typer.echo("Others wait: run it again.", err=True)
    good = len(found) >= len(event_ids or ()) and all(one.dealt_with for one in found)
    raise typer.Exit(0 if dry_run or good else 1)


@contextmanager
def _counted() -> Iterator[Callable[[int, int], None]]:
    """Yield what hears how many of how many events are dealt with. If Ctrl-C ends the block, people hear it, too."""
    said = "No event was dealt with."
    with telling() as tell:

        def progress(done: int, due: int) -> None:
            nonlocal said
            said = f"{done:,} of {due:,} events were dealt with."
            tell(f"{done:,} of {due:,} events …")

        try:
            tell("Looking for the events …")
            yield progress
        except KeyboardInterrupt:
            tell("")
            typer.echo(f"paidup: {said} What is settled stays settled: run it again for the others.", err=True)
            raise
        tell("")


def _replayed(
    event_ids: Sequence[str], there: Services, decision: Decision, progress: Callable[[int, int], None]
) -> list[EventRecord]:
    """Replay the named events, and return those that are there. What hinders one is said, and hinders no other."""
    found: list[EventRecord] = []
    for n, event_id in enumerate(event_ids):
        progress(n, len(event_ids))
        known = _logged(event_id, there)
        provider = known.provider if known else there.providers[0]
        try:
            found.append(replay_one(provider, event_id, there, decision))
        except NotFound:
            typer.echo(f"paidup: Neither the log nor {provider} has an event {event_id}.", err=True)
        except Refusal as refusal:
            if known:
                found.append(replace(known, status=EventStatus.FAILED, error=str(refusal)))
            else:
                typer.echo(f"paidup: {event_id}: {refusal}", err=True)
    return found


def _known(event_id: str, there: Services) -> EventRecord:
    if (found := _logged(event_id, there)) is None:
        raise Stopped(f"The log has no event {event_id}.")
    return found


def _logged(event_id: str, there: Services) -> EventRecord | None:
    found = (there.table.event(name, event_id) for name in there.providers)
    return next(filter(None, found), None)
