"""Faults, time and misfortunes at will."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
import stripe

from tests import patient
from tests.contract.drive import DAY, Driver
from tools.fakes.server import serve


def test_faults_are_shown_replaced_and_stopped(driver: Driver) -> None:
    calm = driver.dev("faults")
    assert calm["drop"] == 0
    assert driver.dev("faults", {"drop": 0.5, "delay_ms": 20})["drop"] == 0.5
    assert driver.dev("faults", {"duplicate": 1})["drop"] == 0
    assert driver.dev("faults", {}) == calm


BAD: tuple[dict[str, Any], ...] = (
    {"dorp": 1},
    {"drop": 2},
    {"drop": "all"},
    {"delay_ms": -1},
    {"delay_ms": 0.5},
    {"provider": "paypal"},
    {"error_kind": "gremlins"},
)


@pytest.mark.parametrize("body", BAD, ids=str)
def test_faults_that_make_no_sense_are_refused(driver: Driver, body: dict[str, Any]) -> None:
    answer = driver.http.post("/dev/faults", json=body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert next(iter(body)) in answer.json()["detail"]


def test_a_body_that_is_no_json_object_is_refused(driver: Driver) -> None:
    for content in ("{", "[]", "1"):
        assert driver.http.post("/dev/faults", content=content).status_code == 400


def test_errors_come_as_500_429_or_a_broken_connection(driver: Driver) -> None:
    driver.dev("faults", {"error_rate": 1})
    with pytest.raises(stripe.APIError):
        driver.customer()
    driver.dev("faults", {"error_rate": 1, "error_kind": "rate_limit"})
    with pytest.raises(stripe.RateLimitError) as limited:
        driver.customer()
    headers = limited.value.headers or {}
    assert headers["stripe-rate-limited-reason"]
    assert "stripe-should-retry" not in headers, "Stripe leaves it to the caller, and its SDK then does not try again"
    driver.dev("faults", {"error_rate": 1, "error_kind": "outage"})
    with pytest.raises(stripe.APIConnectionError):
        driver.customer()
    driver.dev("faults", {"error_rate": 1, "provider": "identity"})
    assert driver.customer().id


def test_the_identity_provider_has_faults_of_its_own(driver: Driver) -> None:
    driver.dev("faults", {"error_rate": 1, "provider": "identity"})
    assert driver.http.get("/identity/.well-known/jwks.json").status_code == 500


def test_time_passes_for_everybody_who_reads_the_file(driver: Driver) -> None:
    before = driver.dev("clock", {"stand_still": False})
    after = driver.dev("clock", {"advance_s": 90})
    assert after["offset_s"] == before["offset_s"] + 90
    assert after["now"] - before["now"] >= 90
    assert int(driver.fakes.clock_file.read_text()) == after["offset_s"]


@pytest.mark.parametrize("body", [{"advance_s": -1}, {"advance_s": "1"}, {"advance_s": True}, {}, {"advance": 1}])
def test_time_does_not_pass_backwards_or_by_guesswork(driver: Driver, body: dict[str, Any]) -> None:
    assert driver.http.post("/dev/clock", json=body).status_code == 400


def test_time_goes_on_over_a_restart_even_without_the_file(tmp_path: Path) -> None:
    file = tmp_path / "clock"
    for advance in (DAY, 0):
        with serve(state=tmp_path / "state", clock_file=file) as fakes:
            answer = patient.post(f"{fakes.url}/dev/clock", json={"advance_s": advance})
            assert answer.json()["offset_s"] == DAY
        assert int(file.read_text()) == DAY
        file.unlink()


def test_what_is_due_happens_by_itself_too(driver: Driver) -> None:
    session = driver.session(driver.customer().id)
    driver.pay(session, "delayed_success")
    driver.dev("clock", {"stand_still": False, "advance_s": 2})
    sessions = driver.client.v1.checkout.sessions
    patient.eventually(lambda: sessions.retrieve(session.id).payment_status == "paid")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("stripe/cards", {"customer": "cus_nobody", "card": "4242424242424242"}, 404),
        ("stripe/disputes", {"charge": "ch_nothing"}, 404),
        ("stripe/disputes", {"nonsense": 1}, 400),
        ("stripe/disputes/du_nothing/close", {"status": "won"}, 404),
        ("stripe/disputes/du_nothing/close", {"status": "maybe"}, 400),
        ("stripe/refunds/re_nothing/fail", {}, 404),
        ("stripe/settings", {"after_retries": "explode"}, 400),
        ("stripe/settings", {"delayed_subscriptions": "canceled"}, 400),
        ("stripe/settings", {"delayed_after_s": -1}, 400),
        ("stripe/invoices/in_nothing/pay", {}, 404),
    ],
)
def test_misfortunes_need_somebody_to_happen_to(driver: Driver, path: str, body: dict[str, Any], status: int) -> None:
    assert driver.http.post(f"/dev/{path}", json=body).status_code == status


def test_a_declined_card_is_not_put_on_file(driver: Driver) -> None:
    customer = driver.customer()
    body = {"customer": customer.id, "card": "4000000000000002"}
    assert driver.http.post("/dev/stripe/cards", json=body).status_code == 402


def test_the_index_says_what_is_here(driver: Driver) -> None:
    html = driver.http.get("/").text
    for part in ("/stripe/v1", "/dev/clock", "/identity", "4000000000000341"):
        assert part in html


def test_every_request_to_the_api_is_counted_by_what_it_does(driver: Driver) -> None:
    before = driver.dev("stripe/requests")

    customer = driver.customer()
    driver.client.v1.customers.retrieve(customer.id)
    driver.client.v1.customers.retrieve(customer.id)
    after = driver.dev("stripe/requests")

    retrieved = "GET /v1/customers/{}"
    assert after["total"] - before["total"] == 3
    assert after["by_operation"][retrieved] - before["by_operation"].get(retrieved, 0) == 2


def test_every_request_to_the_api_is_counted_by_its_second_and_application(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = driver.dev("clock", {"advance_s": 60})["now"]
    driver.customer()
    monkeypatch.setattr(stripe, "app_info", None)
    stripe.set_app_info("sweep")
    driver.customer()
    driver.customer()
    assert driver.http.get("/stripe/v1/customers").status_code == 401  # without a key, it is a request as well

    seconds = [one for one in driver.dev("stripe/seconds")["seconds"] if one["at"] == second]

    assert {(one["application"], one["requests"]) for one in seconds} == {("", 2), ("sweep", 2)}


def test_stand_ins_end_though_a_test_moved_the_clock_of_its_process(tmp_path: Path) -> None:
    """Their timers go by a clock of their own: else they would wait for the second that the test came from."""
    others = set(threading.enumerate())
    day_after = time.monotonic() + DAY
    with serve(state=tmp_path) as fakes, pytest.MonkeyPatch.context() as moved:
        moved.setattr(time, "monotonic", lambda: day_after)

        answered = patient.get(f"{fakes.url}/dev/clock")
        patient.post(f"{fakes.url}/dev/clock", json={"advance_s": 1})

    assert answered.status_code == 200
    assert not [one for one in set(threading.enumerate()) - others if one.name == "fakes"]
