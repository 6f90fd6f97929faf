"""Webhooks: signed, repeated, disordered and lost as in the world, and remembered over a crash."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import stripe

from tests import patient
from tests.contract.drive import DAY, Driver, Inbox, inbox
from tools.fakes.server import Fakes, serve

COMPLETED = "checkout.session.completed"


@contextlib.contextmanager
def listening(state: Path, box: Inbox) -> Iterator[Driver]:
    """Stand-ins whose events go to *box*, and whose clock stands still: nothing is tried again until time is passed."""
    with serve(state=state, webhooks={box.url: box.secret}) as fakes:
        driver = Driver(fakes)
        driver.dev("clock", {"stand_still": True})
        yield driver
        driver.close()


def _pending(driver: Driver) -> int:
    return int(driver.dev("deliveries")["counts"].get("pending", 0))


def test_the_buyer_is_sent_back_after_the_merchant_has_answered(state: Path) -> None:
    with inbox() as box, listening(state, box) as driver:
        session = driver.bought()
        assert COMPLETED in box.types()
        box.wait_for(lambda box: len(box.deliveries) >= 6)
        assert all(delivery["verified"] for delivery in box.deliveries)
        event = next(d["event"] for d in box.deliveries if d["event"]["type"] == COMPLETED)
        assert event["data"]["object"]["id"] == session.id
        assert (event["api_version"], event["pending_webhooks"]) == (stripe.api_version, 1)


def test_the_signature_carries_the_stand_ins_time(state: Path) -> None:
    with inbox() as box, listening(state, box) as driver:
        now = driver.advance(400 * DAY)
        driver.customer()
        box.wait_for(lambda box: bool(box.deliveries))
        assert box.deliveries[0]["stamp"] == now


def test_a_failed_delivery_is_tried_again_signed_anew_until_it_is_taken(state: Path) -> None:
    with inbox() as box, listening(state, box) as driver:
        box.answer = lambda count: 200 if count == 3 else 500
        customer = driver.customer()
        box.wait_for(lambda box: len(box.deliveries) == 1)
        event = driver.events(customer.id)[0]
        assert event["pending_webhooks"] == 1
        assert [e["id"] for e in driver.events(customer.id, delivery_success=False)] == [event["id"]]
        for tries in (2, 3):
            driver.advance(100)
            box.wait_for(lambda box, tries=tries: len(box.deliveries) == tries)  # type: ignore[misc]  # binds the loop's value
        assert len({delivery["signature"] for delivery in box.deliveries}) == 3
        assert {delivery["event"]["id"] for delivery in box.deliveries} == {event["id"]}
        patient.eventually(lambda: not _pending(driver))
        assert driver.events(customer.id, delivery_success=True)[0]["pending_webhooks"] == 0


def test_three_retries_are_all(state: Path) -> None:
    with inbox() as box, listening(state, box) as driver:
        box.answer = lambda _: 503
        driver.customer()
        for tries in range(1, 5):
            box.wait_for(lambda box, tries=tries: len(box.deliveries) == tries)  # type: ignore[misc]  # binds the loop's value
            driver.advance(1000)
        patient.eventually(lambda: not _pending(driver))
        delivery = driver.dev("deliveries")["deliveries"][0]
        assert (delivery["status"], delivery["attempts"], delivery["answer"]) == ("failed", 4, 503)


def test_nothing_is_sent_while_everything_is_dropped_and_the_buyer_does_not_wait(state: Path) -> None:
    with inbox() as box, listening(state, box) as driver:
        driver.dev("faults", {"drop": 1})
        session = driver.bought()
        patient.eventually(lambda: not _pending(driver))
        assert box.deliveries == []
        assert COMPLETED in driver.types(session.id, delivery_success=False)
        driver.dev("faults", {})
        driver.customer(email="heard@example.com")
        box.wait_for(lambda box: box.types() == ["customer.created"])


def test_a_lost_event_is_in_no_list_either(state: Path) -> None:
    with inbox() as box, listening(state, box) as driver:
        driver.dev("faults", {"lose": 1})
        session = driver.bought()
        assert (session.payment_status, driver.events()) == ("paid", [])
        assert box.deliveries == []


def test_every_delivery_may_come_twice(state: Path) -> None:
    with inbox() as box, listening(state, box) as driver:
        driver.dev("faults", {"duplicate": 1})
        driver.customer()
        box.wait_for(lambda box: len(box.deliveries) == 2)
        assert len({delivery["event"]["id"] for delivery in box.deliveries}) == 1


def test_deliveries_may_be_late_and_out_of_order(state: Path) -> None:
    with inbox() as box, listening(state, box) as driver:
        driver.dev("faults", {"delay_ms": 60_000, "shuffle": 0.5})
        made = [driver.customer().id for _ in range(12)]
        assert box.deliveries == []
        driver.advance(120)
        box.wait_for(lambda box: len(box.deliveries) == 12)
        came = [delivery["event"]["data"]["object"]["id"] for delivery in box.deliveries]
        assert sorted(came) == sorted(made)


def test_an_endpoint_made_by_the_api_gets_what_it_asked_for_with_its_own_secret(driver: Driver) -> None:
    endpoints = driver.client.v1.webhook_endpoints
    with inbox() as box:
        made = endpoints.create({"url": box.url, "enabled_events": ["customer.created", "invoice.paid"]})
        assert made.secret
        box.secret = made.secret
        assert getattr(endpoints.retrieve(made.id), "secret", None) is None
        driver.subscribed()
        box.wait_for(lambda box: len(box.deliveries) == 2)
        assert sorted(box.types()) == ["customer.created", "invoice.paid"]
        assert endpoints.update(made.id, {"disabled": True}).status == "disabled"
        driver.customer()
        assert endpoints.delete(made.id).deleted
        assert [one.id for one in endpoints.list().data] == []
        assert len(box.deliveries) == 2


def test_an_endpoint_without_a_scheme_is_refused(driver: Driver) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        driver.client.v1.webhook_endpoints.create({"url": "example.com", "enabled_events": ["*"]})
    assert refused.value.code == "url_invalid"


def test_deliveries_go_on_after_a_restart(state: Path) -> None:
    with inbox() as box:
        with listening(state, box) as driver:
            box.answer = lambda _: 500
            customer = driver.customer()
            box.wait_for(lambda box: len(box.deliveries) == 1)
            driver.advance(0)
        box.answer = lambda _: 200
        with listening(state, box) as driver:
            assert driver.client.v1.customers.retrieve(customer.id).id == customer.id
            driver.advance(100)
            box.wait_for(lambda box: len(box.deliveries) == 2)


@pytest.fixture
def process(state: Path) -> Iterator[list[Any]]:
    """Start the stand-ins as a process of their own with `python -m tools.fakes`."""
    started: list[Any] = []
    yield started
    for child in started:
        child.kill()
        child.wait()
        child.stdout.close()


def _start(state: Path, process: list[Any], *more: str) -> tuple[Driver, Any]:
    argv = [sys.executable, "-m", "tools.fakes", "--port", "0", "--state", str(state), *more]
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)  # noqa: S603 -- our own program
    process.append(child)
    url = child.stdout.readline().rpartition(" ")[2].strip() if child.stdout else ""

    def is_up() -> bool:
        with contextlib.suppress(httpx.TransportError):
            return patient.get(url).status_code == 200
        return False

    patient.eventually(is_up)
    return Driver(Fakes(url, state / "clock")), child


def test_a_kill_loses_nothing_that_was_answered(state: Path, process: list[Any]) -> None:
    with inbox() as box:
        box.answer = lambda _: 500
        driver, child = _start(state, process, "--webhook", f"{box.url}={box.secret}")
        session = driver.bought()
        driver.advance(5 * DAY)
        key: Any = {"idempotency_key": "kept"}
        customer = driver.client.v1.customers.create({"email": "kept@example.com"}, key)
        os.kill(child.pid, signal.SIGKILL)
        driver.close()
        box.answer = lambda _: 200
        before = len(box.deliveries)
        again, _ = _start(state, process, "--webhook", f"{box.url}={box.secret}")
        assert again.client.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"
        assert again.client.v1.customers.create({"email": "kept@example.com"}, key).id == customer.id
        assert again.dev("clock")["offset_s"] == 5 * DAY
        assert json.loads((state / "clock").read_text()) == 5 * DAY
        again.advance(100)
        box.wait_for(lambda box: len(box.deliveries) >= before + 7)
        again.close()
