"""Starting, restarting and ending the local stack."""

import contextlib
import os
import shutil
import signal
import socket
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

from tests import patient
from tests.local.conftest import ECHO
from tools.local import background, state
from tools.local.background import Background, Failed


def descendants(pid: int) -> set[int]:
    """Return the processes below *pid*."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def end(stack: Background, number: signal.Signals) -> None:
    """End *stack* by a signal, and see that nothing of it is left."""
    below = descendants(stack.process.pid)
    assert len(below) >= 6
    stack.process.send_signal(number)
    assert stack.process.wait(patient.WAIT_S) == 0
    assert not alive(below)
    assert not (stack.folder / "tmp").exists()
    with pytest.raises(state.NotRunning):
        state.announcement(stack.folder)


def alive(pids: set[int]) -> set[int]:
    return {pid for pid in pids if Path(f"/proc/{pid}").exists()}


def test_data_survive_a_restart_a_signal_ends_every_process_and_fresh_empties_the_data(tmp_path: Path) -> None:
    folder, arguments = tmp_path / "stack", ("--template", str(ECHO))
    key = {"pk": {"S": "here"}, "sk": {"S": "before"}}

    with background.running(folder, *arguments) as stack:
        assert patient.post(f"{stack.url}/public", headers={"do": "put"}).status_code == 200
        stack.aws.client("sqs").send_message(QueueUrl=stack.where["queues"]["DeadLetters"], MessageBody="kept")
        end(stack, signal.SIGINT)

    with background.running(folder, *arguments) as stack:
        assert "Item" in stack.aws.client("dynamodb").get_item(TableName=stack.where["table"], Key=key)
        kept = stack.aws.client("sqs").receive_message(QueueUrl=stack.where["queues"]["DeadLetters"])
        assert [message["Body"] for message in kept["Messages"]] == ["kept"]
        with (
            pytest.raises(Failed, match=r"A local stack runs on .* already: end that one first\."),
            background.running(folder, *arguments),
        ):
            pass
        assert patient.post(f"{stack.url}/public").status_code == 200
        end(stack, signal.SIGHUP)

    with background.running(folder, *arguments, "--fresh") as stack:
        assert "Item" not in stack.aws.client("dynamodb").get_item(TableName=stack.where["table"], Key=key)
        end(stack, signal.SIGTERM)


def test_a_part_that_ends_by_itself_is_told_and_ends_the_rest(tmp_path: Path) -> None:
    below: set[int] = set()

    def watch() -> None:
        with background.running(tmp_path / "stack", "--template", str(ECHO)) as stack:
            below.update(descendants(stack.process.pid))
            (ministack,) = (pid for pid in below if b"ministack" in Path(f"/proc/{pid}/cmdline").read_bytes())
            os.kill(ministack, signal.SIGKILL)
            assert stack.process.wait(patient.WAIT_S) == 1

    with pytest.raises(Failed, match=r"MiniStack ended by SIGKILL: see .*ministack\.log"):
        watch()
    assert not alive(below)


def test_a_stack_that_is_killed_takes_its_programs_along(tmp_path: Path) -> None:
    below: set[int] = set()

    def watch() -> None:
        with background.running(tmp_path / "stack", "--template", str(ECHO)) as stack:
            below.update(descendants(stack.process.pid))
            stack.process.kill()

    with pytest.raises(Failed):
        watch()
    patient.eventually(lambda: not alive(below))


def test_a_port_that_is_taken_is_one_clear_sentence(tmp_path: Path) -> None:
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with (
            pytest.raises(Failed) as told,
            background.running(tmp_path / "stack", "--template", str(ECHO), "--port", str(port)),
        ):
            pass
    assert str(told.value) == (f"! Port {port} is taken by another program: end it, or choose another PAIDUP_PORT.\n")


def test_a_live_key_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(Failed, match="never touches real money"),
        background.running(tmp_path / "stack", environment={"STRIPE_API_KEY": "sk_live_1"}),
    ):
        pass


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """The code of the function echo, in a copy that a test may edit."""
    return Path(shutil.copytree(ECHO.parent, tmp_path / "echo")) / "functions/echo/app.py"


def running_copy(app: Path) -> AbstractContextManager[Background]:
    """Run the stack of the copy that *app* belongs to."""
    copied = app.parents[2]
    return background.running(copied.with_name("stack"), "--template", str(copied / "template.yaml"))


def returning(word: str) -> str:
    """Return the code of a function that answers *word*."""
    return f"def handler(event, context):\n    return '{word}'\n"


def test_edited_code_is_used_without_a_restart(app: Path) -> None:
    """A slow writer may leave a file half there for as long as it takes to be imported: what counts is the end."""
    with running_copy(app) as stack:
        assert patient.post(f"{stack.url}/public").status_code == 200

        app.write_text(returning("edited"))
        patient.eventually(lambda: patient.post(f"{stack.url}/public").text == '"edited"')

        app.write_text("import nothing_of_that_name\n")
        patient.eventually(
            lambda: patient.post(f"{stack.url}/public").status_code == 500 and "nothing_of_that_name" in stack.console
        )

        app.write_text(returning("mended"))
        patient.eventually(lambda: patient.post(f"{stack.url}/public").text == '"mended"')


def test_code_that_is_edited_while_the_stack_starts_is_used(app: Path) -> None:
    edits_itself = f"from pathlib import Path\n\nPath(__file__).write_text({returning('edited')!r})\n"
    app.write_text(edits_itself + returning("imported"))

    with running_copy(app) as stack:
        patient.eventually(lambda: patient.post(f"{stack.url}/public").text == '"edited"')
