"""Bad input: every refusal is problem+json that names what is wrong and what to do next."""

import json
import re
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.handlers import Answer, addressed, answered, event_for, http_event, request
from tests.world import ORIGIN, World
from tools.local import template

KINDS = "urn:paidup:problem:"
ROUTES = template.read().routes
WITH_AN_ID = [route for route in ROUTES if "{" in route.path]
named = pytest.mark.parametrize("route", ROUTES, ids=[route.key for route in ROUTES])


def assert_problem(answer: Answer, status: int, kind: str, field: str | None = None) -> Any:
    """Check that *answer* is a whole problem, and return it."""
    assert answer.status == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    problem = answer.json
    assert problem["type"] == KINDS + kind
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert problem["next"]
    assert problem["request_id"] == "ABCdeFGHIJKLmno="
    assert problem["retryable"] is (status in (429, 503))
    assert problem.get("field") == field
    return problem


def caller(customer_id: str, **more: Any) -> dict[str, Any]:
    """Return what the authorizer passes on of a customer who may do everything."""
    return {"customer_id": customer_id, "email": "", "roles": ["customer", "host"]} | more


def test_an_unknown_offer_is_refused_by_name(world: World, buyer: str) -> None:
    problem = assert_problem(world.buy("eleven_class_pass", customer=buyer), 422, "unknown-offer", "offer_id")
    assert "eleven_class_pass" in problem["detail"]
    assert "GET /offers" in problem["next"]


@pytest.mark.parametrize("quantity", [0, -1, 10_001, 10**30, "2", True, 1.5, 1.0, None, [1]])
def test_a_quantity_that_is_none_is_refused(world: World, buyer: str, quantity: Any) -> None:
    assert_problem(world.buy(customer=buyer, quantity=quantity), 422, "malformed", "quantity")


@pytest.mark.parametrize("quantity", [1, 10_000])
def test_a_quantity_within_its_bounds_is_taken(world: World, buyer: str, quantity: int) -> None:
    assert world.buy("day_pass", customer=buyer, quantity=quantity).json["quantity"] == quantity


@pytest.mark.parametrize("offer_id", [None, "", 5, ["day_pass"], "x" * 101, "\ud800"])
def test_an_offer_id_that_is_none_is_refused(world: World, buyer: str, offer_id: Any) -> None:
    body = {"offer_id": offer_id}
    answer = request("POST /payment-tokens", customer=buyer, body=body)
    assert_problem(answer, 422, "malformed", "offer_id")


def test_a_cart_without_an_offer_is_refused(world: World, buyer: str) -> None:
    answer = request("POST /payment-tokens", customer=buyer, body={"quantity": 1})
    assert_problem(answer, 422, "malformed", "offer_id")


@pytest.mark.parametrize("field", ["amount", "price", "customer_id", "Offer_id"])
def test_an_unknown_field_is_refused_by_name(world: World, buyer: str, field: str) -> None:
    """Prices and customers come from elsewhere: whoever sends them is told, not passed over."""
    more: dict[str, Any] = {field: 1}
    problem = assert_problem(world.buy(customer=buyer, **more), 422, "malformed", field)
    assert problem["detail"] == f"{field}: is not a field of this request"


@pytest.mark.parametrize("provider", ["paypal", "Stripe", "midtrans "])
def test_an_unknown_provider_is_refused_with_those_that_there_are(world: World, buyer: str, provider: str) -> None:
    problem = assert_problem(world.buy(customer=buyer, provider=provider), 422, "malformed", "provider")
    assert "stripe" in problem["detail"]
    assert_problem(world.buy(customer=buyer, provider=""), 422, "malformed", "provider")


def test_a_body_over_64_kb_is_refused(world: World, buyer: str) -> None:
    raw = json.dumps({"offer_id": "day_pass", "context": {"x": "y" * 70_000}})
    for base64 in (False, True):
        answer = request("POST /payment-tokens", customer=buyer, raw=raw.encode() if base64 else raw)
        problem = assert_problem(answer, 413, "too-large")
        assert "65536" in problem["detail"]


def test_a_body_is_measured_in_bytes(world: World, buyer: str) -> None:
    raw = json.dumps({"offer_id": "day_pass", "context": {"x": "ü" * 33_000}}, ensure_ascii=False)
    assert len(raw) < 64 * 1024
    answer = request("POST /payment-tokens", customer=buyer, raw=raw)
    assert_problem(answer, 413, "too-large")


@pytest.mark.parametrize("raw", ["{", '{"offer_id": "day_pass"', "offer_id=day_pass", "\x00", "'day_pass'"])
def test_broken_json_is_refused(world: World, buyer: str, raw: str) -> None:
    answer = request("POST /payment-tokens", customer=buyer, raw=raw)
    problem = assert_problem(answer, 422, "broken-json")
    assert "UTF-8" in problem["next"]


@pytest.mark.parametrize("number", ["1" * 5_000, "1e999", "-1e999"])
def test_a_number_that_no_computer_keeps_is_refused(world: World, buyer: str, number: str) -> None:
    raw = f'{{"offer_id": "day_pass", "context": {{"x": {number}}}}}'
    answer = request("POST /payment-tokens", customer=buyer, raw=raw)
    assert "number" in assert_problem(answer, 422, "broken-json")["detail"]


@pytest.mark.parametrize(("depth", "status"), [(32, 201), (33, 422), (1_500, 422)])
def test_a_context_deeper_than_can_be_given_back_is_refused(world: World, buyer: str, depth: int, status: int) -> None:
    raw = '{"offer_id": "day_pass", "context": {"x": ' + "[" * (depth - 1) + "]" * (depth - 1) + "}}"
    answer = request("POST /payment-tokens", customer=buyer, raw=raw)
    assert answer.status == status
    if status == 201:
        shown = request(f"GET /checkouts/{answer.json['checkout_id']}", customer=buyer)
        assert json.dumps(shown.json["context"]).count("[") == depth - 1
    else:
        assert answer.json["field"] == "context"


def test_json_nested_to_the_bottom_is_refused(world: World, buyer: str) -> None:
    answer = request("POST /payment-tokens", customer=buyer, raw="[" * 60_000)
    assert_problem(answer, 422, "broken-json")


def test_a_body_that_is_not_utf_8_is_refused(world: World, buyer: str) -> None:
    raw = b'{"offer_id": "day_pass", "context": {"x": "\xff"}}'
    found = request("POST /payment-tokens", customer=buyer, raw=raw)
    assert found.status == 422
    assert found.json["detail"] == "The body is not UTF-8."


@pytest.mark.parametrize("raw", ["[]", '["day_pass"]', '"day_pass"', "5", "null", "true", ""])
def test_json_that_is_no_object_is_refused(world: World, buyer: str, raw: str) -> None:
    answer = request("POST /payment-tokens", customer=buyer, raw=raw)
    assert answer.status == 422
    assert answer.json["type"] in (KINDS + "malformed", KINDS + "broken-json")
    assert answer.json["next"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_another_content_type_is_refused(world: World, buyer: str, kind: str) -> None:
    answer = world.buy(customer=buyer, headers={"Content-Type": kind})
    problem = assert_problem(answer, 422, "broken-json")
    assert "application/json" in problem["detail"]


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "application/json;charset=UTF-8", "APPLICATION/JSON; charset=utf-8"]
)
def test_json_by_any_of_its_names_is_taken_where_plain_json_is(world: World, kind: str) -> None:
    def statuses(kind: str) -> list[int]:
        found = []
        for route in ROUTES:
            body = {"body": '{"offer_id": "day_pass"}', "isBase64Encoded": False}
            event = event_for(route, caller(world.customer()), **body)
            event["headers"]["content-type"] = kind
            found.append(answered(route.function, event).status)
        return found

    expected = statuses("application/json")

    assert statuses(kind) == expected
    assert expected.count(201) == 2  # a checkout and a ticket, which reads no body
    assert expected.count(401) == 1  # the gate asks for another token
    assert set(expected) == {200, 201, 400, 401, 404, 422}  # 422: where an offer is no field


@pytest.mark.parametrize("context", ["text", 5, [1], {"x": "y" * 4_100}, {"x": "ü" * 2_050}, {"x": "\ud800"}])
def test_a_context_that_is_none_or_over_4_kb_is_refused(world: World, buyer: str, context: Any) -> None:
    assert_problem(world.buy(customer=buyer, context=context), 422, "malformed", "context")


def test_a_context_that_is_no_json_is_refused(world: World, buyer: str) -> None:
    """Python reads NaN; the browser that gets it back does not."""
    raw = '{"offer_id": "day_pass", "context": {"x": NaN}}'
    answer = request("POST /payment-tokens", customer=buyer, raw=raw)
    assert "NaN" in assert_problem(answer, 422, "broken-json")["detail"]


def test_a_context_of_4_kb_is_taken(world: World, buyer: str) -> None:
    assert world.buy(customer=buyer, context={"x": "y" * (4_096 - len('{"x": ""}'))}).status == 201


@pytest.mark.parametrize("field", ["success_url", "cancel_url"])
@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/success",
        "http://127.0.0.1:8788/success",
        "https://127.0.0.1:8787/success",
        "http://127.0.0.1:8787.evil.example/",
        "http://127.0.0.1:8787@evil.example/",
        "http://evil@127.0.0.1:8787/success",
        "http://evil:pass@127.0.0.1:8787/",
        "http://:@127.0.0.1:8787/",
        "http://@127.0.0.1:8787/",
        "http://127.0.0.1:8787\\@evil.example/",
        "http://127.0.0.1:8787\\.evil.example/",
        "http:\\\\127.0.0.1:8787\\success",
        "http://127.0.0.1:8787/\\evil.example",
        "javascript:alert(1)//http://127.0.0.1:8787/",
        "data:text/html,http://127.0.0.1:8787/",
        "//127.0.0.1:8787/success",
        "//evil.example/success",
        "/success",
        "success",
        "",
        "http://127.0.0.1:8787\t.evil.example/",
        "http://127.0.0.1:8787/a\r\nLocation: https://evil.example",
        "\thttp://127.0.0.1:8787/success",
        "ht\ntp://127.0.0.1:8787/success",
        " http://127.0.0.1:8787/success",
        "http://127.0.0.1:8787/a b",
        "http://127.0.0.1:8787/\x00",
        "http://127.0.0.1:8787\u2100.evil.example/",
        "http://127.0.0.1\uff0e8787/",
        "http://[::1/success",
        "http://[127.0.0.1]:8787/",
        "http://127.0.0.1:8787/" + "x" * 2_000,
    ],
)
def test_a_return_url_outside_the_allowed_origins_is_refused(world: World, buyer: str, field: str, url: str) -> None:
    more: dict[str, Any] = {field: url}
    assert_problem(world.buy(customer=buyer, **more), 422, "malformed", field)
    assert world.account(customer=buyer).get("checkout") is None


def test_a_return_url_is_refused_with_the_origins_that_are_allowed(world: World, buyer: str) -> None:
    problem = world.buy(customer=buyer, success_url="https://evil.example/").json
    assert ORIGIN in problem["detail"]
    assert "evil" not in problem["detail"]


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_an_idempotency_key_that_is_none_is_refused(world: World, buyer: str, key: str) -> None:
    answer = world.buy(customer=buyer, headers={"Idempotency-Key": key})
    assert answer.status == 422
    assert answer.json["field"].lower() == "idempotency-key"


class TestAnothersCheckout:
    def test_looks_like_one_that_does_not_exist(self, world: World, buyer: str) -> None:
        theirs = world.buy(customer=world.customer()).json["checkout_id"]
        answer = request(f"GET /subscription-status/{theirs}", customer=buyer)
        problem = assert_problem(answer, 404, "not-found")
        nobodys = request("GET /subscription-status/co_nobodys", customer=buyer)
        assert problem["detail"].replace(theirs, "co_nobodys") == nobodys.json["detail"]
        assert nobodys.status == 404

    @pytest.mark.parametrize("checkout_id", ["ACCOUNT", "x%23y", "..", "%2e%2e%2fada", "ü", "x" * 1_500])
    def test_is_found_by_no_odd_id(self, world: World, buyer: str, checkout_id: str) -> None:
        world.buy(customer=buyer)
        answer = request(f"GET /subscription-status/{checkout_id}", customer=buyer)
        assert_problem(answer, 404, "not-found")


class TestOfWhatAStrangerSends:
    """Every route of the API, each kind of what is no good: refused or of no account, and never a crash."""

    @pytest.mark.parametrize("route", WITH_AN_ID, ids=[route.key for route in WITH_AN_ID])
    @pytest.mark.parametrize(
        "an_id",
        [
            *("x" * 870, "x" * 3_000, "\U0001f600" * 215, "\U0001f600" * 300, "\ud800", "a\ud800b", "\x00", "a\nb"),
            *("9" * 40, "-1", "NaN", "1e400", "[", "null", "#", "a#b", "CHECKOUT#x", "../ACCOUNT", "%00", "%ed%a0%80"),
        ],
    )
    def test_an_id_that_nothing_has_is_not_found(
        self, world: World, buyer: str, route: template.Route, an_id: str
    ) -> None:
        event = event_for(route, caller(buyer))
        path = re.sub(r"\{[^}]+\}", lambda _: an_id, route.path)
        event = addressed(event, route.method, path)

        assert_problem(answered(route.function, event), 404, "not-found")

    @named
    @pytest.mark.parametrize(
        ("raw", "statuses"),
        [
            ("[" * 100_000, {400, 413}),
            ("[" * 60_000, {200, 201, 400, 404, 422}),
            ('{"offer_id": "day_pass", "quantity": 1e400}', {200, 201, 400, 404, 422}),
            ('{"offer_id": "day_pass", "quantity": NaN}', {200, 201, 400, 404, 422}),
            ('{"offer_id": "day_pass", "quantity": ' + "9" * 40 + "}", {200, 201, 400, 404, 422}),
            ('{"offer_id": "\\ud800"}', {200, 201, 400, 404, 422}),
            ('{"\\ud800": 1}', {200, 201, 400, 404, 422}),
            ('{"offer_id": "\ud800"}', {422}),
            ("\ud800", {422}),
        ],
    )
    def test_a_body_that_nobody_can_keep_is_refused_where_it_is_read(
        self, world: World, buyer: str, route: template.Route, raw: str, statuses: set[int]
    ) -> None:
        event = event_for(route, caller(buyer), body=raw, isBase64Encoded=False)

        gated = {401} if route.key == "GET /members" else set()
        assert answered(route.function, event).status in statuses | gated

    @named
    @pytest.mark.parametrize("body", ["x", "\ud800", "AAA"])
    def test_a_body_that_is_no_base64_is_refused(
        self, world: World, buyer: str, route: template.Route, body: str
    ) -> None:
        event = event_for(route, caller(buyer), body=body, isBase64Encoded=True)

        assert_problem(answered(route.function, event), 422, "broken-json")

    @named
    @pytest.mark.parametrize("where", ["queryStringParameters", "headers"])
    @pytest.mark.parametrize("given", [{"x": "a\ud800"}, {"\ud800": "x"}])
    def test_half_a_surrogate_pair_in_a_query_or_a_header_is_refused(
        self, world: World, buyer: str, route: template.Route, where: str, given: dict[str, str]
    ) -> None:
        event = event_for(route, caller(buyer))
        event[where] = (event.get(where) or {}) | given

        field = {"queryStringParameters": "query", "headers": "headers"}[where]
        assert_problem(answered(route.function, event), 422, "malformed", field)

    @pytest.mark.parametrize(
        "limit", ["0", "-1", "101", "9" * 40, "9" * 5_000, "1e400", "NaN", "1.5", "", "x", "[", "\u0663"]
    )
    def test_a_limit_that_is_none_is_named(self, world: World, buyer: str, limit: str) -> None:
        found = request("GET /bookings", customer=buyer, query={"limit": limit})

        assert_problem(found, 422, "malformed", "limit")

    @pytest.mark.parametrize(
        "key", [{"sk": "\ud800"}, {"ref_at": 10**40}, {"ref_at": True}, {"ref_at": 1.5}, {"pk": ""}]
    )
    def test_a_page_token_that_no_table_gave_is_refused(self, world: World, buyer: str, key: dict[str, Any]) -> None:
        made_up = {"pk": "a", "sk": "b", "ref": "bookings#waiting", "ref_at": 1} | key
        after = urlsafe_b64encode(json.dumps(made_up).encode()).decode()
        query = {"status": "waiting", "after": after}

        found = request("GET /bookings", customer=buyer, roles="host", query=query)

        assert_problem(found, 422, "malformed", "after")

    @named
    @settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(sent=st.data())
    def test_everything_is_answered(self, world: World, route: template.Route, sent: st.DataObject) -> None:
        """By a success, or by a refusal that is the caller's to mend."""
        event = event_for(route, caller(world.customer(), email=sent.draw(ADDRESSES)))
        path = re.sub(r"\{[^}]+\}", lambda _: sent.draw(TEXTS), route.path)
        event = addressed(event, route.method, path)
        event |= {"body": sent.draw(BODIES), "isBase64Encoded": sent.draw(st.booleans())}
        event["queryStringParameters"] = sent.draw(QUERIES)
        event["headers"] |= sent.draw(HEADERS)

        answer = answered(route.function, event)

        assert answer.status < 500, answer.text
        assert answer.headers["cache-control"]


TEXTS = st.text(st.characters(exclude_categories=()), max_size=20)  # half surrogate pairs among them
ADDRESSES = st.text(max_size=20).filter(str.isprintable)
SCALARS = st.none() | st.booleans() | st.integers() | st.integers(10**38, 10**41) | st.floats() | TEXTS
ANYTHING = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3))
CARTS = st.fixed_dictionaries(
    {"offer_id": st.sampled_from(["day_pass", "monthly"]) | ANYTHING},
    optional={
        "quantity": st.integers(1, 10) | ANYTHING,
        "provider": st.just("stripe") | ANYTHING,
        "context": st.dictionaries(TEXTS, ANYTHING, max_size=3) | ANYTHING,
        "success_url": TEXTS.map(f"{ORIGIN}/{{}}".format) | ANYTHING,
        "cancel_url": ANYTHING,
        "x": ANYTHING,
    },
)
BODIES = st.none() | TEXTS | CARTS.map(json.dumps) | ANYTHING.map(lambda value: json.dumps(value, ensure_ascii=False))
QUERIES = st.dictionaries(st.sampled_from(["limit", "status", "after", "x"]), TEXTS, max_size=3)
HEADERS = st.dictionaries(st.sampled_from(["idempotency-key", "if-none-match", "content-type", "accept"]), TEXTS)


@pytest.mark.parametrize(
    "route", ["POST /payment-tokens", "GET /subscription-status", "GET /subscription-status/co_1", "POST /sync"]
)
class TestEveryRoute:
    def test_wants_a_customer(self, world: World, route: str) -> None:
        """The gateway asks the authorizer; where it was left out of the template, nobody comes in."""
        problem = assert_problem(request(route), 401, "unauthorized")
        assert "Bearer" in problem["next"]

    def test_is_the_only_one_that_its_function_has(self, world: World, buyer: str, route: str) -> None:
        name, _ = http_event(route)
        elsewhere = request("GET /elsewhere", customer=buyer, function=name)
        problem = assert_problem(elsewhere, 404, "not-found")
        assert "/elsewhere" in problem["detail"]
