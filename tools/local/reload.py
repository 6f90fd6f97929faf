"""Which code has been edited since the functions' workers imported it."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from tools.local.functions import Function

LOOK_EVERY_S = 0.5

type Look = Mapping[str, object]
"""How each function's code was found, by the function's name. Two looks are equal if nothing was edited between."""


class Edits:
    """What was edited since the code that is *used*.

    An edit counts once two looks in a row agree about it: a file that is being saved may be half there, and of the
    files that a branch brings some may be missing.
    """

    def __init__(self, used: Look) -> None:
        """Begin with the code that is *used* now."""
        self._used = dict(used)
        self._before = used

    def settled(self, seen: Look) -> list[str]:
        """Return the functions whose edits are complete, as *seen* now. From here on, that code is used."""
        done = [name for name, code in seen.items() if code == self._before[name] != self._used[name]]
        self._used |= {name: seen[name] for name in done}
        self._before = seen
        return done


async def keep_fresh(functions: Mapping[str, Function], package: Path, used: Look, tell: Callable[[str], None]) -> None:
    """Renew a function's workers whenever its folder, or the *package* that all share, is edited, until cancelled.

    *used* is how the code was found before the first worker started.
    """
    edits = Edits(used)
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        if edited := edits.settled(look(functions, package)):
            for name in edited:
                await functions[name].renew(replace(functions[name].code))
            tell(f"New code in {', '.join(edited)}.")


def look(functions: Mapping[str, Function], package: Path) -> Look:
    """Return how the code of each function is found now: its folder, and the *package* that all share."""
    shared = _files(package)
    return {name: (shared, _files(one.code.folder)) for name, one in functions.items()}


def _files(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Return what changes with each file's content. What vanishes meanwhile, or no editor shows, is left out.

    The time alone is not enough: two writes in a row may get the same one. `scandir`, since a stack looks all the time.
    """
    found: dict[str, tuple[int, int, int]] = {}
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                if entry.is_dir(follow_symlinks=False):
                    found |= _files(Path(entry.path)) if entry.name != "__pycache__" else {}
                elif "." in entry.name and not entry.name.startswith(".") and not entry.name.endswith(".pyc"):
                    stat = entry.stat()
                    found[entry.path] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
    return found
