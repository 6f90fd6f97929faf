"""What commands have in common: how they are made, and the options that many of them take."""

import sys
from typing import Annotated, Any

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Stack = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The deployed stack, by your AWS credentials. Default: the local one."),
]


def new_app(**more: Any) -> typer.Typer:
    """Return an empty command or group of commands. Its help is decorated at a terminal alone."""
    return typer.Typer(
        rich_markup_mode="rich" if sys.stdout.isatty() else None,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        **{"add_completion": False} | more,
    )
