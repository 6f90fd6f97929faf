"""Which code has been edited since the functions' workers imported it."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from tools.local.functions import Function

LOOK_EVERY_S = 1


async def keep_fresh(functions: Mapping[str, Function], package: Path, tell: Callable[[str], None]) -> None:
    """Renew a function's workers whenever its folder, or the *package* that all share, is edited, until cancelled."""
    shared = _edited(package)
    own = {name: _edited(one.code.folder) for name, one in functions.items()}
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        before, shared = shared, _edited(package)
        renewed = []
        for name, one in functions.items():
            was, own[name] = own[name], _edited(one.code.folder)
            if shared != before or own[name] != was:
                await one.renew(replace(one.code))
                renewed.append(name)
        if renewed:
            tell(f"New code in {', '.join(renewed)}.")


def _edited(folder: Path) -> dict[Path, float]:
    """Return when each file in *folder* was edited. A file that vanishes meanwhile is left out."""
    times = {}
    for path in folder.rglob("*.*"):
        if path.suffix != ".pyc":
            with contextlib.suppress(FileNotFoundError):
                times[path] = path.stat().st_mtime
    return times
