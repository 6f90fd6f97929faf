"""Cuts botocore's data down to the services that the code calls: `python3.13 trim.py FOLDER SERVICE…`.

botocore looks through what it knows of every service when it makes a client. Here are over 400 of them, their endpoints
in every region of the world, and the manual of each operation: most of a client's time, for three services.
"""

import gzip
import json
import shutil
import sys
from pathlib import Path
from typing import Any


def trim(data: Path, services: set[str]) -> None:
    """Keep in the folder *data* what makes clients of *services*, each of its newest version, without its manual."""
    folders = {folder.name: folder for folder in data.iterdir() if folder.is_dir()}
    if unknown := services - set(folders):
        sys.exit(f"botocore knows no {', '.join(sorted(unknown))}.")
    for name, folder in folders.items():
        if name not in services:
            shutil.rmtree(folder)
            continue
        *older, newest = sorted(folder.iterdir())
        for version in older:
            shutil.rmtree(version)
        (newest / "examples-1.json").unlink(missing_ok=True)
        packed = newest / "service-2.json.gz"
        with gzip.open(packed) as file:
            write(newest / "service-2.json", undocumented(json.load(file)))
        packed.unlink()
    endpoints = json.loads((data / "endpoints.json").read_bytes())
    for partition in endpoints["partitions"]:
        partition["services"] = {name: one for name, one in partition["services"].items() if name in services}
    write(data / "endpoints.json", endpoints)


def undocumented(value: Any) -> Any:
    """Return *value* without the texts called `documentation` anywhere in it."""
    if isinstance(value, dict):
        kept = {name: one for name, one in value.items() if name != "documentation" or not isinstance(one, str)}
        return {name: undocumented(one) for name, one in kept.items()}
    return [undocumented(one) for one in value] if isinstance(value, list) else value


def write(path: Path, value: Any) -> None:
    """Write *value* to *path* as compact JSON."""
    path.write_text(json.dumps(value, separators=(",", ":")), encoding="utf-8")


if __name__ == "__main__":
    trim(Path(sys.argv[1]), set(sys.argv[2:]))
