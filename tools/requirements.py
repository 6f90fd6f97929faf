"""Pinned requirements: which file pins what of pyproject.toml, and whether they are in step.

`python -m tools.requirements lock` pins the newest versions anew, `check` fails when a file is out of step.
"""

import argparse
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
UV = Path(sysconfig.get_path("scripts")) / "uv"
DEPLOYED = "layers/dependencies/requirements.txt"
PINS = {
    DEPLOYED: ["pyproject.toml"],
    "tools/requirements.txt": ["pyproject.toml", "--group", "dev", "--constraints", DEPLOYED],
    "tools/requirements-sam.txt": ["--group", "sam"],
    "tools/requirements-ministack.txt": ["--group", "ministack"],
    "tools/requirements-node.txt": ["--group", "node"],
    "tools/requirements-uv.txt": ["--group", "uv"],
}
FLAGS = ["--quiet", "--generate-hashes", "--no-header", "--no-emit-index-url", "--python-version", "3.13"]
NO_NETWORK = ("Failed to fetch", "error sending request", "Could not connect", "dns error")


class Unpinnable(Exception):
    """uv found no set of versions. The message is uv's own."""


def lock() -> None:
    """Pin the newest versions that pyproject.toml allows."""
    for file in PINS:
        _compile(file, ROOT / file, "--upgrade")
        print(f"{file} is pinned anew.")


def check() -> bool:
    """Return whether every file pins what pyproject.toml asks for, where the package index (or its cache) can tell."""
    in_step = True
    with tempfile.TemporaryDirectory() as folder:
        for file in PINS:
            # What is pinned already is preferred, so that newer releases alone change nothing.
            draft = Path(folder) / Path(file).name
            shutil.copy(ROOT / file, draft)
            try:
                _compile(file, draft)
            except Unpinnable as error:
                if any(sign in str(error) for sign in NO_NETWORK):
                    print(f"{file}: not compared, since the package index cannot be reached.")
                    continue
                print(f"{file} cannot be pinned:\n{error}", file=sys.stderr)
                in_step = False
                continue
            if draft.read_text() != (ROOT / file).read_text():
                print(f"{file} is out of step with pyproject.toml: run `make lock`.", file=sys.stderr)
                in_step = False
    return in_step


def _compile(file: str, output: Path, *flags: str) -> None:
    command = [str(UV), "pip", "compile", *FLAGS, *flags, *PINS[file], "--output-file", str(output)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    if done.returncode and not flags and any(sign in done.stderr for sign in NO_NETWORK):
        done = subprocess.run([*command, "--offline"], cwd=ROOT, check=False, capture_output=True, text=True)
        if done.returncode:
            raise Unpinnable(NO_NETWORK[0])
    if done.returncode:
        raise Unpinnable(done.stderr.strip())


def main() -> int:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tools.requirements", description=__doc__)
    parser.add_argument("what", choices=["lock", "check"])
    if parser.parse_args().what == "check":
        return 0 if check() else 1
    try:
        lock()
    except Unpinnable as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
