"""How the tests themselves are made: one way to invoke a function, no fixture in another's place, no skip unseen."""

import ast
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parents[1]
HANDLERS = "handlers.py"
PATIENT = "patient.py"


@cache
def modules() -> dict[str, ast.Module]:
    """Return every module of the tests by its path. Parsed here, and not while every worker collects this file."""
    return {path.relative_to(TESTS).as_posix(): ast.parse(path.read_text()) for path in sorted(TESTS.rglob("*.py"))}


def fixtures_of(module: ast.Module) -> Iterator[str]:
    """Yield the name of each fixture that *module* defines."""
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                call = decorator.func if isinstance(decorator, ast.Call) else decorator
                if ast.unparse(call) in ("pytest.fixture", "fixture"):
                    yield node.name


def imported_by(module: ast.Module) -> Iterator[str]:
    """Yield what *module* imports, by statement or by a call of `import_module`."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield ast.unparse(node.args[0]).lstrip("f").strip("'\"")


def test_no_fixture_is_defined_twice_under_one_name() -> None:
    """What a test gets must not depend on which file it stands in."""
    places = defaultdict(list)
    for path, module in modules().items():
        for name in fixtures_of(module):
            places[name].append(path)

    assert {"world", "buyer", "story", "wire"} <= places.keys()
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_functions_are_invoked_by_one_module_alone() -> None:
    invoking = {
        path for path, module in modules().items() if any(n.startswith("functions.") for n in imported_by(module))
    }

    assert invoking == {HANDLERS}


def test_nobody_but_one_module_chooses_how_long_an_answer_may_take() -> None:
    """httpx gives up after five seconds, if nothing else is said, and `time.sleep` guesses."""
    hasty = ("httpx.get", "httpx.post", "httpx.put", "httpx.options", "httpx.request", "httpx.delete")
    found = {
        path
        for path, module in modules().items()
        for node in ast.walk(module)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in hasty
    }

    assert found <= {PATIENT}


def test_no_test_gives_up_after_seconds_of_its_own() -> None:
    """On a machine that does much else, any number is too small one day: patient.WAIT_S, or pytest's own time-out."""
    found = [
        f"{path}:{node.lineno}"
        for path, module in modules().items()
        for node in ast.walk(module)
        if isinstance(node, ast.Call)
        if ast.unparse(node.func) == "pytest.mark.timeout"
        or any(word.arg == "timeout" and isinstance(word.value, ast.Constant) for word in node.keywords)
    ]

    assert found == []


def test_what_skips_without_a_browser_is_counted_in_one_line_with_what_mends_it() -> None:
    nowhere = {"PATH": "/nowhere", "PLAYWRIGHT_BROWSERS_PATH": "/nowhere", "HOME": os.environ.get("HOME", "/")}
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/storefront/test_accessibility.py"]

    ran = subprocess.run(argv, cwd=TESTS.parent, env=nowhere, capture_output=True, text=True, check=False)  # noqa: S603

    (line,) = [line for line in ran.stdout.splitlines() if "Chromium" in line]
    count, _, reason = line.partition(" skipped: ")
    assert int(count) > 1
    assert "apt install chromium-headless-shell" in reason
    assert ran.returncode == 0, ran.stdout
