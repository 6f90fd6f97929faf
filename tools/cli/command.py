"""The command line as a whole: its commands by name, and what a command that ends badly says and returns.

0    it did what it was asked for
1    it could not; one sentence on standard error says why
2    it was used wrongly
130  it was interrupted
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from tools.cli.options import new_app
from tools.cli.output import log_aside, unmeasured
from tools.local import state

INTERRUPTED = 130
# Each is the `app` of the module of its name.
COMMANDS = (
    "invoke",
    "offers",
    "explain",
    "sync",
    "attention",
    "cases",
    "events",
    "replay",
    "verify",
    "doctor",
    "report",
    "support",
    "keys",
)


class Lazy(TyperGroup):
    """Commands that are loaded when they are named, so that each waits for its own libraries alone."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - as its base class has it
        """Return the commands in the order in which help lists them."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - as its base class has it
        """Return the command *cmd_name*, or None if there is none."""
        if cmd_name not in COMMANDS:
            return None
        command = get_command(import_module(f"tools.cli.{cmd_name}").app)
        command.name = cmd_name
        return command


app = new_app(cls=Lazy, add_completion=True)


@app.callback()
def paidup(
    context: typer.Context,
    folder: Annotated[Path, typer.Option(help="The folder of the local stack.", show_default=".paidup")] = state.FOLDER,
) -> None:
    """Look after a paidup that runs: the local stack, or with --stack a deployed one by your AWS credentials."""
    context.obj = folder
    context.with_resource(log_aside())
    context.with_resource(unmeasured())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv* (default: the process's own), and return its exit code."""
    try:
        app(args=argv, prog_name="paidup")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except Exception as error:
        from tools.cli.failures import SAID_IN_ONE_SENTENCE  # loads what a command that went well may not need

        if not isinstance(error, SAID_IN_ONE_SENTENCE):
            raise
        print(f"paidup: {error}", file=sys.stderr)
        return 1
    else:
        return 0
    if code == INTERRUPTED:
        print("paidup: interrupted.", file=sys.stderr)
    return code
