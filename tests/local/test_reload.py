"""Code that is edited while the stack runs: what was saved last is used, and nothing before it is whole."""

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests import patient
from tests.alone import in_a_thread
from tools.local import reload
from tools.local.functions import Function, runtime_folder
from tools.local.reload import Edits
from tools.local.worker import Code


def test_an_edit_counts_once_two_looks_agree_about_it() -> None:
    edits = Edits({"echo": "before", "tick": "before"})

    assert edits.settled({"echo": "half", "tick": "before"}) == []
    assert edits.settled({"echo": "whole", "tick": "before"}) == []
    assert edits.settled({"echo": "whole", "tick": "before"}) == ["echo"]
    assert edits.settled({"echo": "whole", "tick": "before"}) == []


def test_an_edit_that_is_taken_back_before_it_counts_is_none() -> None:
    edits = Edits({"echo": "before"})

    assert edits.settled({"echo": "half"}) == []
    assert edits.settled({"echo": "before"}) == []
    assert edits.settled({"echo": "before"}) == []


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Function]:
    """A function of one worker, whose import ends once a file `go` is in its folder."""
    folder = tmp_path / "slow"
    folder.mkdir()
    (folder / "app.py").write_text(
        "import pathlib, time\n"
        "here = pathlib.Path(__file__).parent\n"
        "(here / 'begun').touch()\n"
        "while not (here / 'go').exists():\n"
        "    time.sleep(0.01)\n"
        "def handler(event, context):\n"
        "    return 'before'\n"
    )
    code = Code(
        name="slow",
        folder=folder,
        handler="app.handler",
        timeout_s=60,
        memory_mb=128,
        path=(runtime_folder(folder.with_name("runtime")),),
        environment={},
    )
    made = Function(code, log=folder.with_name("log"), most=1)
    yield made
    in_a_thread(made.stop())


def test_a_worker_that_was_starting_when_its_code_was_edited_gets_no_event(slow: Function) -> None:
    folder = slow.code.folder

    async def edit_while_it_starts() -> bytes:
        starting = asyncio.create_task(slow.warm())
        while not (folder / "begun").exists():
            await asyncio.sleep(0.01)
        (folder / "app.py").write_text("def handler(event, context):\n    return 'after'\n")
        await slow.renew(replace(slow.code))
        (folder / "go").touch()
        await starting
        answer = await slow.invoke(b"{}", wait_s=patient.WAIT_S)
        await slow.stop()
        return answer.payload

    assert json.loads(in_a_thread(edit_while_it_starts())) == "after"


def test_a_file_that_is_written_twice_in_a_moment_is_seen_to_be_edited(slow: Function, tmp_path: Path) -> None:
    app = slow.code.folder / "app.py"
    first = reload.look({"slow": slow}, tmp_path / "package")
    moment = app.stat().st_mtime_ns

    app.write_text("")
    os.utime(app, ns=(moment, moment))

    assert reload.look({"slow": slow}, tmp_path / "package") != first


def test_what_an_editor_keeps_for_itself_is_no_edit(slow: Function, tmp_path: Path) -> None:
    first = reload.look({"slow": slow}, tmp_path / "package")

    (slow.code.folder / ".app.py.swp").write_text("mine")

    assert reload.look({"slow": slow}, tmp_path / "package") == first
