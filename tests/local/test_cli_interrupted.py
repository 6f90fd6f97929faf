"""Ctrl-C in the middle of a long command: what is settled stays settled, and the same command again does the rest."""

import io
import re
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from paidup.flows.sync import LEASE_S

from tests import patient
from tests.functions.door import of_another_version, told
from tests.functions.merchant import bill, price
from tests.functions.story import Story
from tests.functions.wire import Exchange, Wire, be_down, pass_on, wire_to
from tests.world import World
from tools import cli

INTERRUPTED = 130
WRITES = ("PutItem", "TransactWriteItems", "UpdateItem", "DeleteItem")
BEFORE, AFTER, ASKING = "before a write", "after a write", "at the provider"
WRITING = [(where, n) for where in (BEFORE, AFTER) for n in (1, 2, 3, 4)]
REPLAY = ["replay", "--failed", "--reason", "the provider is back"]


@pytest.fixture
def line(shop: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """The line between the shop and Stripe."""
    with wire_to(f"{shop.fakes.url}/stripe") as made:
        monkeypatch.setenv("PAIDUP_STRIPE_API_BASE", made.url)
        yield made


@contextmanager
def ctrl_c(shop: World, line: Wire, where: str, n: int) -> Iterator[None]:
    """Let somebody press Ctrl-C in the block: *where* it writes or asks for the *n*th time."""
    left = n

    def count(*_: Any, model: Any = None, **__: Any) -> None:
        nonlocal left
        if model is None or model.name in WRITES:
            left -= 1
            if left == 0:
                raise KeyboardInterrupt

    def press(exchange: Exchange) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        with suppress(ConnectionError):  # who is interrupted does not wait for the answer
            pass_on(exchange)

    if where == ASKING:
        line.inject("", press)
        yield
        line.mend()
        return
    event = "before-parameter-build.dynamodb" if where == BEFORE else "after-call.dynamodb"
    shop.services.table.client.meta.events.register(event, count)
    try:
        yield
    finally:
        shop.services.table.client.meta.events.unregister(event, count)


@pytest.fixture
def four(shop: World) -> list[str]:
    """Four customers who have paid, which nobody knows."""
    buyers = [shop.customer() for _ in range(4)]
    for one in buyers:
        shop.pay(shop.buy("day_pass", customer=one).json["url"])
    return buyers


@pytest.fixture
def failing(shop: World, line: Wire, four: list[str]) -> list[str]:
    """Those four, of whose payments an event each has failed, since Stripe could not be asked."""
    line.inject("GET ", be_down)
    for one in four:
        (event,) = (one for one in told(shop, page_of(shop, one)) if one["type"] == "checkout.session.completed")
        assert shop.deliver(of_another_version(event)).status == 200
    line.mend()
    assert len(shop.services.table.failed_events()) == len(four)
    return four


def page_of(shop: World, buyer: str) -> str:
    (page,) = [
        one.id
        for one in shop.stripe.v1.checkout.sessions.list({"limit": 100}).auto_paging_iter()
        if one.client_reference_id == buyer
    ]
    return page


def granted(shop: World, buyers: Sequence[str]) -> list[str]:
    """Return which of *buyers* have access."""
    return [one for one in buyers if shop.account(customer=one)["access"]]


def settled_twice(shop: World, buyers: Sequence[str]) -> list[Any]:
    """Return what stands on a timeline more than once: a change of a register of a purchase."""
    entries = [entry for one in buyers for entry in shop.services.table.timeline(one)]
    counted = Counter((one.purchase_id, one.register, one.change) for one in entries if one.register != "support")
    return [what for what, times in counted.items() if times > 1]


def run(*words: str) -> int:
    return cli.main([*words, "--stack", "shop"])


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(("where", "n"), [*WRITING, (AFTER, 8), (AFTER, 12), *((ASKING, n) for n in (1, 2, 3, 4))])
def test_a_replay_is_finished_by_the_same_command(
    shop: World, line: Wire, failing: list[str], capsys: pytest.CaptureFixture[str], where: str, n: int
) -> None:
    capsys.readouterr()
    with ctrl_c(shop, line, where, n):
        code = run(*REPLAY)

    said, before = capsys.readouterr(), granted(shop, failing)
    left = len(shop.services.table.failed_events())
    assert (code, said.out, said.err.splitlines()[-1]) == (INTERRUPTED, "", "paidup: interrupted.")
    dealt_with = re.search(r"paidup: (\d) of 4 events were dealt with. .* run it again for the others.", said.err)
    assert dealt_with
    assert int(dealt_with[1]) <= 4 - left <= int(dealt_with[1]) + 1, "the one under way may be settled, too"

    assert run(*REPLAY) == 0

    assert set(before) <= set(granted(shop, failing)) == set(failing)
    assert shop.services.table.failed_events() == []
    assert settled_twice(shop, failing) == []


@pytest.fixture
def rich(shop: World) -> Iterator[Story]:
    """A customer who has paid three invoices that the merchant wrote. Nobody was told."""
    story = Story(shop, shop.customer())
    story.opens("day_pass")
    for offer_id in ("ten_class_pass", "day_pass", "live_session"):
        bill(story, story.customer(), price(story, 1_500, every=None, sells=offer_id))
    yield story
    story.cancel()


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(("where", "n"), [*WRITING, *((ASKING, n) for n in (1, 3, 5, 8))])
def test_a_sync_is_finished_by_the_same_command(shop: World, line: Wire, rich: Story, where: str, n: int) -> None:
    with ctrl_c(shop, line, where, n):
        code = run("sync", rich.buyer)

    before = rich.account["purchases"]
    assert code == INTERRUPTED
    shop.pass_time(LEASE_S)

    assert run("sync", rich.buyer) == 0

    after = rich.account["purchases"]
    assert [one for one in before if one not in after] == []
    assert len(after) == 3
    assert set(rich.access) >= {"ten_class_pass", "day_pass"}
    assert settled_twice(shop, [rich.buyer]) == []


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(("where", "n"), [*WRITING, *((ASKING, n) for n in (1, 9, 17, 21, 25))])
def test_a_repair_is_finished_by_the_same_command(shop: World, line: Wire, four: list[str], where: str, n: int) -> None:
    repair = ["verify", *(word for one in four for word in ("--customer", one)), "--repair", "--yes"]
    with ctrl_c(shop, line, where, n):
        code = run(*repair)

    before = granted(shop, four)
    assert code == INTERRUPTED

    assert run(*repair) == 0

    assert set(before) <= set(granted(shop, four)) == set(four)
    assert settled_twice(shop, four) == []
    assert run(*repair[:-2]) == 0, "nothing differs any more"


class Terminal(io.StringIO):
    """What somebody at a terminal sees."""

    def isatty(self) -> bool:
        return True


def test_people_see_how_far_a_replay_is(
    shop: World, line: Wire, failing: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal, asked = Terminal(), 0

    def answer_once_it_is_told(exchange: Exchange) -> None:
        nonlocal asked
        said = f"{asked} of 4 events"
        patient.eventually(lambda: said in terminal.getvalue())
        asked += 1
        pass_on(exchange)

    monkeypatch.setattr("sys.stderr", terminal)
    line.inject("", answer_once_it_is_told)

    assert run(*REPLAY) == 0

    assert asked == 4


def test_people_see_how_far_a_sync_is(shop: World, line: Wire, rich: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, asked = Terminal(), 0

    def answer_once_it_is_told(exchange: Exchange) -> None:
        nonlocal asked
        asked += 1
        said = f"Customer 1 of 1: {asked} objects were looked at"  # the page that nobody paid on is one
        patient.eventually(lambda: said in terminal.getvalue())
        pass_on(exchange)

    monkeypatch.setattr("sys.stderr", terminal)
    line.inject("GET /v1/invoice_payments", answer_once_it_is_told)

    assert run("sync", rich.buyer) == 0

    assert asked == 3
