"""The command `paidup`: what engineers and support do to a running paidup, on this machine or on AWS."""

from tools.cli.command import main

__all__ = ["main"]
