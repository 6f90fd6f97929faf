"""Which code has been edited since the functions' workers imported it."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from tools.local.functions import Function

LOOK_EVERY_S = 1


async def keep_fresh(functions: Mapping[str, Function], package: Path, tell: Callable[[str], None]) -> None:
    """Renew a function's workers whenever its folder, or the *package* that all share, is edited, until cancelled."""
    seen = {name: _edited(one.code.folder, package) for name, one in functions.items()}
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        for name, one in functions.items():
            edited = _edited(one.code.folder, package)
            if edited != seen[name]:
                seen[name] = edited
                await one.renew(replace(one.code))
                tell(f"{name} runs its new code.")


def _edited(*folders: Path) -> dict[Path, float]:
    """Return when each file in *folders* was edited. A file that vanishes meanwhile is left out."""
    times = {}
    for path in (path for folder in folders for path in folder.rglob("*.*") if path.suffix != ".pyc"):
        try:
            times[path] = path.stat().st_mtime
        except FileNotFoundError:
            continue
    return times
