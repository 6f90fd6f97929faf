"""What routes say no to: each refusal that a route declares is one that it does answer, as declared.

Most are met where the rest of their function is tested; every answer of a test is held against the description. Here
are the ones that nothing else leads to.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from tests import declared
from tests.functions.door import give_up, paid, recover
from tests.functions.wire import Exchange, Wire, forbidden, gone, pass_on
from tests.handlers import Answer, answered, event_for, request
from tests.world import LIVE, World
from tools.local import template

PAGES = "/v1/checkout/sessions"
TYPE = "urn:paidup:problem:"

DESCRIBED = [route for route in template.read().routes if declared.operation(route.method, route.path)]


def refused(answer: Answer) -> tuple[int, str]:
    """Return the status of *answer*, a refusal, and the end of its problem's type."""
    return answer.status, answer.json["type"].removeprefix(TYPE)


def booked(world: World, buyer: str) -> str:
    """Return the id of a booking of *buyer*'s that waits to be accepted."""
    paid(world, buyer, LIVE.offer_id)
    (booking,) = request("GET /bookings", customer=buyer).json["bookings"]
    return str(booking["booking_id"])


@contextmanager
def another_writer_is_first(world: World, *, after: int = 0) -> Iterator[None]:
    """Let every write to the table lose its race while the block runs, but for the first few (*after*)."""
    tries = count(1)

    def conflict(**_: Any) -> Any:
        if next(tries) <= after:
            return None
        error = {"Code": "TransactionCanceledException", "Message": "a writer is in the midst of it"}
        answer = {"Error": error, "CancellationReasons": [{"Code": "TransactionConflict"}]}
        return AWSResponse("", 400, HTTPHeaders(), None), answer

    events, name = world.services.table.client.meta.events, "before-call.dynamodb.TransactWriteItems"
    events.register(name, conflict)
    try:
        yield
    finally:
        events.unregister(name, conflict)


@pytest.mark.parametrize("route", DESCRIBED, ids=[route.key for route in DESCRIBED])
class TestEveryRoute:
    def test_refuses_what_no_request_may_be(self, world: World, buyer: str, route: template.Route) -> None:
        caller = {"customer_id": buyer, "email": "", "roles": ["customer", "host"]} if route.protected else None

        def answer(**more: Any) -> Answer:
            return answered(route.function, event_for(route, caller, isBase64Encoded=False, **more))

        assert refused(answer(body="x" * 2_000_000)) == (413, "too-large")
        assert refused(answer(body="{}", headers={"content-type": "text/plain"})) == (422, "broken-json")
        assert refused(answer(queryStringParameters={"limit": "\ud800"})) == (422, "malformed")

    def test_declares_a_401_if_it_asks_for_a_token_and_only_then(self, route: template.Route) -> None:
        found = declared.operation(route.method, route.path)

        assert found
        _, declares = found
        tokens = declares.get(401, set())
        gated = {TYPE + "invalid-billing-token"} if route.key == "GET /members" else set()
        assert tokens == ({TYPE + "unauthorized", TYPE + "invalid-token"} if route.protected else gated)
        assert (TYPE + "identity-unavailable" in declares.get(503, set())) is route.protected


class TestWhileAnotherWriterIsAlwaysFirst:
    @pytest.mark.parametrize("step", ["accept", "finish", "cancel"])
    def test_a_booking_stays_as_it_is(self, world: World, buyer: str, step: str) -> None:
        booking_id = booked(world, buyer)
        if step == "finish":
            request(f"POST /bookings/{booking_id}/accept", customer="mia", roles="host")
        who, roles = (buyer, "customer") if step == "cancel" else ("mia", "host")

        with another_writer_is_first(world):
            answer = request(f"POST /bookings/{booking_id}/{step}", customer=who, roles=roles)

        assert refused(answer) == (503, "contended")
        assert answer.json["retryable"] is True

    def test_nothing_is_bought(self, world: World, buyer: str) -> None:
        with another_writer_is_first(world):
            answer = world.buy(customer=buyer)

        assert refused(answer) == (503, "contended")
        assert world.account(customer=buyer)["checkout"] is None

    def test_nothing_is_recovered(self, world: World, buyer: str) -> None:
        token = world.buy(customer=buyer).json
        give_up(token["checkout_id"], customer=buyer)

        with another_writer_is_first(world):
            answer = recover(token["checkout_id"], customer=buyer)

        assert refused(answer) == (503, "contended")

    def test_nothing_is_cancelled(self, world: World, buyer: str) -> None:
        token = world.buy(customer=buyer).json

        with another_writer_is_first(world):
            answer = request(f"DELETE /checkouts/{token['checkout_id']}", customer=buyer)

        assert refused(answer) == (503, "contended")
        assert world.account(customer=buyer)["checkout"]["status"] == "open"

    def test_nothing_is_synced(self, world: World, buyer: str) -> None:
        with another_writer_is_first(world):
            answer = world.sync(customer=buyer)

        assert refused(answer) == (503, "contended")

    @pytest.mark.parametrize(
        ("path", "told"),
        [("/checkouts/{}", {"status": "open", "next": "pay"}), ("/subscription-status/{}", {"state": "confirming"})],
    )
    def test_a_page_that_stripe_has_lost_is_looked_at_again_by_the_next_poll(
        self, world: World, buyer: str, wire: Wire, path: str, told: dict[str, str]
    ) -> None:
        """One write is made: it claims the turn to ask Stripe."""
        token = world.buy(customer=buyer).json
        world.pass_time(4)
        wire.inject(f"GET {PAGES}", gone)

        with another_writer_is_first(world, after=1):
            during = request(f"GET {path.format(token['checkout_id'])}", customer=buyer)
        world.pass_time(4)
        after = request(f"GET {path.format(token['checkout_id'])}", customer=buyer)

        assert (during.status, told.items() <= during.json.items()) == (200, True)
        assert "expired" in {after.json.get("status"), after.json.get("state")}


class TestRecovering:
    def test_is_refused_while_a_booking_is_open(self, world: World, buyer: str) -> None:
        """Another live session was chosen and given up before this one was bought."""
        before = world.buy(LIVE.offer_id, customer=buyer).json
        give_up(before["checkout_id"], customer=buyer)
        world.pass_time(1)
        booked(world, buyer)

        answer = recover(before["checkout_id"], customer=buyer)

        assert refused(answer) == (409, "booking-in-the-way")

    def test_gives_way_to_what_the_buyer_chose_meanwhile(self, world: World, buyer: str, wire: Wire) -> None:
        before = world.buy(customer=buyer).json
        give_up(before["checkout_id"], customer=buyer)

        def choose_another(exchange: Exchange) -> None:
            wire.mend()
            assert world.buy("day_pass", customer=buyer).status == 201
            pass_on(exchange)

        wire.inject(f"POST {PAGES}", choose_another)
        answer = recover(before["checkout_id"], customer=buyer)

        assert refused(answer) == (409, "replaced")

    def test_is_refused_after_ten_new_pages_in_ten_minutes(self, world: World, buyer: str) -> None:
        chosen = [world.buy(offer_id, customer=buyer).json for offer_id in ("day_pass", "ten_class_pass") * 5]
        give_up(chosen[-1]["checkout_id"], customer=buyer)

        answer = recover(chosen[-1]["checkout_id"], customer=buyer)

        assert refused(answer) == (429, "too-many-requests")
        assert 0 < int(answer.headers["retry-after"]) <= 600

    def test_says_when_stripe_refuses_the_new_page(self, world: World, buyer: str, wire: Wire) -> None:
        before = world.buy(customer=buyer).json
        give_up(before["checkout_id"], customer=buyer)
        wire.inject(f"POST {PAGES}", forbidden)

        answer = recover(before["checkout_id"], customer=buyer)

        assert refused(answer) == (502, "provider-refused")


def test_a_sync_says_when_stripe_refuses_all_its_lists(world: World, buyer: str, wire: Wire) -> None:
    paid(world, buyer, "day_pass")
    wire.inject("GET /v1/", forbidden)

    answer = world.sync(customer=buyer)

    assert refused(answer) == (502, "provider-refused")


def test_a_webhook_of_a_provider_that_is_none_is_not_found(world: World) -> None:
    answer = request("POST /webhooks/paypal", body={})

    assert refused(answer) == (404, "not-found")


def test_an_answer_that_its_route_does_not_declare_fails_the_test_that_gets_it() -> None:
    event = {"requestContext": {"http": {"method": "GET"}}, "rawPath": "/offers"}
    problem = {"statusCode": 409, "body": json.dumps({"type": TYPE + "conflict"})}

    with pytest.raises(AssertionError, match="GET /offers answers 409, which it does not declare"):
        declared.hold(event, problem)
    with pytest.raises(AssertionError, match=f"answers {TYPE}conflict, which it does not declare"):
        declared.hold(event, problem | {"statusCode": 422})
