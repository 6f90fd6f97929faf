"""Keys, idempotency, pages, expand and errors, seen through stripe-python's own client."""

import threading
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest
import stripe

from tests import patient
from tests.contract.drive import DAY, Driver
from tools.fakes.stripe.wire import Refusal, decode

AUTH = {"Authorization": "Bearer sk_test_local"}


@pytest.mark.parametrize("key", ["sk_test_wrong_and_long_enough", "x"])
def test_a_wrong_key_is_answered_as_stripe_does(driver: Driver, key: str) -> None:
    client = stripe.StripeClient(key, base_addresses={"api": driver.fakes.stripe_api_base})
    with pytest.raises(stripe.AuthenticationError) as refused:
        client.v1.customers.list()
    assert refused.value.http_status == 401
    assert "Invalid API Key provided" in str(refused.value)
    assert f"provided: {key}" not in str(refused.value)


def test_no_key_is_refused_and_basic_auth_is_taken(driver: Driver) -> None:
    assert driver.http.get("/stripe/v1/customers").status_code == 401
    assert driver.http.get("/stripe/v1/customers", auth=("sk_test_local", "")).status_code == 200


def test_an_answer_carries_a_request_id_the_version_and_the_stand_ins_date(driver: Driver) -> None:
    now = driver.advance(400 * DAY)
    answer = driver.http.get("/stripe/v1/customers", headers=AUTH)
    assert answer.headers["request-id"].startswith("req_")
    assert answer.headers["stripe-version"] == stripe.api_version
    assert parsedate_to_datetime(answer.headers["date"]).timestamp() == now
    assert len(answer.headers.get_list("date")) == 1


def test_an_unknown_url_and_an_unknown_id_are_404(driver: Driver) -> None:
    answer = driver.http.get("/stripe/v1/unicorns", headers=AUTH)
    assert answer.status_code == 404
    assert "Unrecognized request URL (GET: /v1/unicorns)" in answer.json()["error"]["message"]
    with pytest.raises(stripe.InvalidRequestError) as refused:
        driver.client.v1.checkout.sessions.retrieve("cs_test_nothing")
    assert (refused.value.http_status, refused.value.code, refused.value.param) == (404, "resource_missing", "id")


def test_an_unknown_id_in_a_param_is_400_and_names_the_param(driver: Driver) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        driver.session("cus_nobody")
    assert (refused.value.http_status, refused.value.code) == (400, "resource_missing")
    assert refused.value.param == "customer"
    assert "No such customer: 'cus_nobody'" in str(refused.value)


def test_json_is_refused_where_a_form_is_wanted(driver: Driver) -> None:
    answer = driver.http.post("/stripe/v1/customers", json={"email": "a@b.de"}, headers=AUTH)
    assert answer.status_code == 400
    assert "application/x-www-form-urlencoded" in answer.json()["error"]["message"]


def test_an_older_api_version_is_refused_rather_than_misread(driver: Driver) -> None:
    answer = driver.http.get("/stripe/v1/customers", headers=AUTH | {"Stripe-Version": "2020-08-27"})
    assert answer.status_code == 400


def test_a_param_that_is_not_modelled_is_refused_rather_than_ignored(driver: Driver) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="does not model `shipping_options`"):
        driver.session(shipping_options=[{"shipping_rate": "shr_1"}])


def test_metadata_has_stripes_limits(driver: Driver) -> None:
    for metadata in ({str(i): "x" for i in range(51)}, {"k": "v" * 501}, {"k" * 41: "v"}):
        with pytest.raises(stripe.InvalidRequestError):
            driver.customer(metadata=metadata)
    assert driver.customer(metadata={str(i): "v" * 500 for i in range(50)}).metadata


def test_the_same_key_replays_the_first_answer(driver: Driver) -> None:
    body, headers = {"email": "a@b.de"}, AUTH | {"Idempotency-Key": "replay"}
    first = driver.http.post("/stripe/v1/customers", data=body, headers=headers)
    again = driver.http.post("/stripe/v1/customers", data=body, headers=headers)
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["original-request"] == first.headers["request-id"]
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotency-key"] == "replay"


def test_other_params_or_another_endpoint_under_a_used_key_are_an_error(driver: Driver) -> None:
    options: Any = {"idempotency_key": "used"}
    driver.client.v1.customers.create({"email": "a@b.de"}, options)
    with pytest.raises(stripe.IdempotencyError, match="same parameters"):
        driver.client.v1.customers.create({"email": "b@b.de"}, options)
    with pytest.raises(stripe.IdempotencyError, match="same endpoint"):
        driver.client.v1.products.create({"name": "x"}, options)


def test_a_refused_request_leaves_its_key_free(driver: Driver) -> None:
    options: Any = {"idempotency_key": "free"}
    wrong: Any = {"emial": "a@b.de"}
    with pytest.raises(stripe.InvalidRequestError):
        driver.client.v1.customers.create(wrong, options)
    assert driver.client.v1.customers.create({"email": "a@b.de"}, options).email == "a@b.de"


def test_a_conflict_is_replayed_since_execution_had_begun(driver: Driver) -> None:
    session = driver.client.v1.checkout.sessions.expire(driver.session().id)
    url, headers = f"/stripe/v1/checkout/sessions/{session.id}/expire", AUTH | {"Idempotency-Key": "conflict"}
    first = driver.http.post(url, headers=headers)
    again = driver.http.post(url, headers=headers)
    assert (first.status_code, again.status_code, again.text) == (400, 400, first.text)
    assert again.headers["idempotent-replayed"] == "true"


def test_a_key_is_forgotten_after_a_day(driver: Driver) -> None:
    options: Any = {"idempotency_key": "yesterday"}
    first = driver.client.v1.customers.create({"email": "a@b.de"}, options)
    driver.advance(DAY + 60)
    assert driver.client.v1.customers.create({"email": "a@b.de"}, options).id != first.id


def test_a_key_in_use_by_a_request_under_way_is_409(driver: Driver) -> None:
    driver.dev("faults", {"latency_ms": 5_000})  # far longer than the two are apart on any machine
    url, headers = "/stripe/v1/customers", AUTH | {"Idempotency-Key": "twice"}
    answers: list[httpx.Response] = []
    threads = [
        threading.Thread(target=lambda: answers.append(patient.post(driver.fakes.url + url, headers=headers)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    busy = next(answer for answer in answers if answer.status_code == 409)
    assert busy.json()["error"]["code"] == "idempotency_key_in_use"
    assert busy.headers["stripe-should-retry"] == "true"


def test_a_500_after_execution_is_replayed_and_its_effect_stays(driver: Driver) -> None:
    driver.dev("faults", {"error_rate": 1})
    headers = AUTH | {"Idempotency-Key": "unlucky"}
    for _ in range(100):  # half of the failures strike before execution: their key stays free
        answer = driver.http.post("/stripe/v1/customers", data={"email": "lost@b.de"}, headers=headers)
        assert answer.status_code == 500
        if answer.headers["stripe-should-retry"] == "false":
            break
    driver.dev("faults", {})
    again = driver.http.post("/stripe/v1/customers", data={"email": "lost@b.de"}, headers=headers)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (500, "true")
    assert len(driver.client.v1.customers.list({"email": "lost@b.de"}).data) == 1


def test_pages_are_newest_first_and_walk_both_ways(driver: Driver) -> None:
    email = "pages@example.com"
    ids = [driver.customer(email=email).id for _ in range(5)][::-1]
    customers = driver.client.v1.customers
    first = customers.list({"email": email, "limit": 2})
    assert ([c.id for c in first.data], first.has_more) == (ids[:2], True)
    rest = customers.list({"email": email, "limit": 3, "starting_after": ids[1]})
    assert ([c.id for c in rest.data], rest.has_more) == (ids[2:], False)
    back = customers.list({"email": email, "limit": 2, "ending_before": ids[3]})
    assert ([c.id for c in back.data], back.has_more) == (ids[1:3], True)
    assert [c.id for c in customers.list({"email": email, "limit": 2}).auto_paging_iter()] == ids


@pytest.mark.parametrize("limit", [0, 101, -1])
def test_a_page_holds_1_to_100(driver: Driver, limit: int) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        driver.client.v1.customers.list({"limit": limit})
    assert refused.value.param == "limit"


def test_a_cursor_that_is_not_there_is_refused(driver: Driver) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        driver.client.v1.customers.list({"starting_after": "cus_nobody"})
    assert refused.value.param == "starting_after"


@pytest.mark.parametrize("path", ["customers", "checkout/sessions/{session}/line_items"])
def test_a_page_has_one_cursor_at_most(driver: Driver, path: str) -> None:
    """Stripe gives no code and no param here."""
    customer = driver.customer().id
    url = f"/stripe/v1/{path}".format(session=driver.session().id)

    answer = driver.http.get(url, params={"starting_after": customer, "ending_before": customer}, headers=AUTH)

    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (400, "invalid_request_error")
    assert error["message"] == "Received both starting_after and ending_before parameters. Please pass in only one."
    assert not error.keys() & {"code", "param"}


def test_line_items_are_paged_both_ways(driver: Driver) -> None:
    price = {"currency": "eur", "unit_amount": 1500, "product_data": {"name": "One of four"}}
    session = driver.session(line_items=[{"quantity": 1, "price_data": price} for _ in range(4)])
    items = driver.client.v1.checkout.sessions.line_items
    ids = [line.id for line in items.list(session.id)]

    after = items.list(session.id, {"starting_after": ids[0], "limit": 2})
    before = items.list(session.id, {"ending_before": ids[3], "limit": 2})

    assert ([line.id for line in after.data], after.has_more) == (ids[1:3], True)
    assert ([line.id for line in before.data], before.has_more) == (ids[1:3], True)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        items.list(session.id, {"starting_after": "li_nothing"})
    assert refused.value.param == "starting_after"


def test_lists_are_filtered_by_when_an_object_was_made(driver: Driver) -> None:
    email = "when@example.com"
    early = driver.customer(email=email)
    driver.advance(100)
    late = driver.customer(email=email)
    customers = driver.client.v1.customers
    assert [c.id for c in customers.list({"email": email, "created": {"gte": late.created}}).data] == [late.id]
    assert [c.id for c in customers.list({"email": email, "created": {"lt": late.created}}).data] == [early.id]


def test_ids_are_expanded_deeply_and_in_lists(driver: Driver) -> None:
    session = driver.bought("subscription")
    sessions = driver.client.v1.checkout.sessions
    deep = sessions.retrieve(
        session.id, {"expand": ["subscription.latest_invoice", "line_items", "customer", "payment_intent"]}
    )
    assert isinstance(deep.subscription, stripe.Subscription)
    assert isinstance(deep.subscription.latest_invoice, stripe.Invoice)
    assert isinstance(deep.customer, stripe.Customer)
    assert deep.line_items
    listed = sessions.list({"limit": 1, "expand": ["data.subscription.customer"]}).data[0]
    assert isinstance(listed.subscription, stripe.Subscription)
    assert isinstance(listed.subscription.customer, stripe.Customer)


@pytest.mark.parametrize("path", ["status", "nonsense", "customer.nonsense", "a.b.c.d.e"])
def test_what_cannot_be_expanded_is_refused(driver: Driver, path: str) -> None:
    session = driver.session(driver.customer().id)
    with pytest.raises(stripe.InvalidRequestError, match="expand"):
        driver.client.v1.checkout.sessions.retrieve(session.id, {"expand": [path]})


def test_forms_nest() -> None:
    assert decode("a[b][]=1&a[b][]=2&c=%C3%A9&d[0][e]=") == {
        "a": {"b": {"0": "1", "1": "2"}},
        "c": "é",
        "d": {"0": {"e": ""}},
    }
    with pytest.raises(Refusal):
        decode("a=1&a[b]=2")


def test_a_rate_limit_leaves_it_to_the_caller_whether_to_try_again(driver: Driver) -> None:
    driver.dev("faults", {"error_rate": 1, "error_kind": "rate_limit"})

    answer = driver.http.get("/stripe/v1/customers", headers=AUTH)

    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limit")
    assert answer.headers["stripe-rate-limited-reason"] == "global-rate"
    assert "stripe-should-retry" not in answer.headers


def test_a_changed_customer_is_told_of_with_what_was_there_before(driver: Driver) -> None:
    customer = driver.customer(metadata={"a": "1"})

    driver.client.v1.customers.update(customer.id, {"email": "b@b.de", "name": "Ada", "metadata": {"b": "2"}})

    event = driver.events(customer.id)[-1]
    assert event["type"] == "customer.updated"
    assert event["data"]["previous_attributes"] == {"email": "ada@example.com", "metadata": {"a": "1"}, "name": None}
    assert event["data"]["object"]["metadata"] == {"a": "1", "b": "2"}
