"""Who is let in: a route is closed to everybody whom the authorizer does not vouch for, unless declared public."""

from collections.abc import Mapping
from typing import Any

import pytest
from paidup.edge.api import Caller, api, json_response
from paidup.edge.http import lambda_handler

from tests import patient
from tests.handlers import Answer, Context, answered, event_for, invoke, sample
from tests.world import World
from tools.local import template

ROUTES = template.read().routes
PROTECTED = [route for route in ROUTES if route.protected]
GATED = "GET /members"  # by another token
PUBLIC = [route for route in ROUTES if not route.protected and route.key != GATED]
EXPIRED = {"refused": "invalid-token", "why": "The token has expired."}


def named(routes: list[template.Route]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("route", routes, ids=[route.key for route in routes])


def assert_refused(answer: Answer, status: int, kind: str) -> Any:
    """Check that *answer* is a whole problem that nobody keeps, and return it."""
    assert answer.status == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    problem = answer.json
    assert problem["type"] == f"urn:paidup:problem:{kind}"
    assert problem["status"] == status
    assert problem["retryable"] is (status == 503)
    assert {"title", "detail", "next", "request_id"} <= problem.keys()
    return problem


@named(PROTECTED)
class TestAProtectedRoute:
    @pytest.mark.parametrize(
        "caller",
        [
            None,
            {},
            {"customer_id": ""},
            {"customer_id": None},
            {"refused": "unauthorized", "why": "The request carries no identity token."},
            {"refused": "something-new", "why": "Nobody knows why."},
        ],
    )
    def test_asks_for_a_token_if_there_is_none(
        self, world: World, route: template.Route, caller: Mapping[str, Any] | None
    ) -> None:
        answer = answered(route.function, event_for(route, caller))

        assert_refused(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"

    def test_says_why_a_token_is_not_good(self, world: World, route: template.Route) -> None:
        answer = answered(route.function, event_for(route, EXPIRED))

        problem = assert_refused(answer, 401, "invalid-token")
        assert problem["detail"] == "The token has expired."
        challenge = 'Bearer error="invalid_token", error_description="The token has expired."'
        assert answer.headers["www-authenticate"] == challenge

    def test_sends_nobody_to_sign_in_again_while_the_identity_provider_is_away(
        self, world: World, route: template.Route
    ) -> None:
        answer = answered(route.function, event_for(route, {"refused": "identity-unavailable", "why": "No keys."}))

        assert_refused(answer, 503, "identity-unavailable")
        assert answer.headers["retry-after"] == "5"
        assert "www-authenticate" not in answer.headers

    def test_is_closed_to_a_refused_token_whatever_is_said_beside_it(self, world: World, route: template.Route) -> None:
        caller = {**EXPIRED, "customer_id": "ada", "email": "", "roles": ["host"]}
        assert answered(route.function, event_for(route, caller)).status == 401

    @pytest.mark.parametrize(
        "wrong",
        [
            {"body": "{", "isBase64Encoded": False},
            {"body": "x" * 70_000, "isBase64Encoded": False},
            {"queryStringParameters": {"limit": "x", "status": "x", "after": "x"}},
            {"rawPath": "/elsewhere"},
            {"rawPath": "/" + "x" * 2_000},
        ],
        ids=["broken", "large", "query", "elsewhere", "long"],
    )
    def test_tells_a_stranger_nothing_else_that_is_wrong(
        self, world: World, route: template.Route, wrong: Mapping[str, Any]
    ) -> None:
        assert answered(route.function, event_for(route, None, **wrong)).status == 401

    def test_is_open_to_a_caller(self, world: World, buyer: str, route: template.Route) -> None:
        caller = {"customer_id": buyer, "email": "", "roles": ["customer", "host"]}

        answer = answered(route.function, event_for(route, caller))

        nothing_bought = route.key == "POST /billing-portal"
        assert answer.status in ((409,) if nothing_bought else (200, 201, 404))
        assert answer.headers["cache-control"] == "no-store"


@named(PUBLIC)
def test_a_public_route_is_open_to_everybody(world: World, route: template.Route) -> None:
    assert answered(route.function, event_for(route, None)).status in (200, 204, 400, 404)


class TestARouteThatNobodyDeclaredPublic:
    """Built here, as somebody would who forgets it."""

    def event(self, route_key: str) -> dict[str, Any]:
        method, path = route_key.split(" ")
        event = sample("receive_webhook") | {"routeKey": route_key, "rawPath": path, "body": "", "headers": {}}
        event["requestContext"]["http"] |= {"method": method, "path": path}
        return event

    @pytest.mark.parametrize(("route", "status"), [("GET /open", 200), ("GET /forgotten", 401), ("GET /nothing", 401)])
    def test_is_closed(self, route: str, status: int) -> None:
        app = api()

        @app.get("/open")
        @app.get("/forgotten")
        def greet() -> Any:
            return json_response({"hello": "everybody"})

        handler: Any = lambda_handler(app, public=["GET /open"])

        assert handler(self.event(route), Context())["statusCode"] == status

    @pytest.mark.parametrize(("route", "status"), [("GET /open", 200), ("GET /forgotten", 401)])
    def test_is_closed_in_a_function_without_a_resolver(self, route: str, status: int) -> None:
        handler: Any = lambda_handler(lambda event, context: {"statusCode": 200}, public=["GET /open"])

        assert handler(self.event(route), Context())["statusCode"] == status

    def test_is_closed_if_the_event_does_not_name_it(self) -> None:
        handler: Any = lambda_handler(lambda event, context: {"statusCode": 200}, public=["GET /open"])
        event = self.event("GET /open")
        del event["routeKey"]

        assert handler(event, Context())["statusCode"] == 401

    def test_is_closed_to_nobody_if_it_asks_for_a_caller_itself(self) -> None:
        app = api()

        @app.get("/open")
        def greet(caller: Caller) -> Any:
            return json_response({"hello": caller.customer_id})

        handler: Any = lambda_handler(app, public=["GET /open"])

        assert handler(self.event("GET /open"), Context())["statusCode"] == 401


class TestATokenOfTheIdentityProvider:
    """From the provider through the authorizer to the function, as API Gateway hands it on."""

    def ask(self, route_key: str, token: str) -> Answer:
        (route,) = (one for one in ROUTES if one.key == route_key)
        asked = sample("authorize")
        asked["headers"]["authorization"] = f"Bearer {token}"
        return answered(route.function, event_for(route, invoke("authorize", asked)["context"]))

    def token(self, world: World, **claims: Any) -> str:
        answer = patient.post(f"{world.fakes.issuer}/token", json=claims)
        return str(answer.raise_for_status().json()["token"])

    def test_opens_the_customers_account(self, world: World, buyer: str) -> None:
        answer = self.ask("GET /subscription-status", self.token(world, sub=buyer))

        assert (answer.status, answer.json["customer_id"]) == (200, buyer)

    def test_opens_nothing_once_it_has_expired(self, world: World, buyer: str) -> None:
        token = self.token(world, sub=buyer, expires_in=60)
        world.pass_time(61)

        answer = self.ask("GET /subscription-status", token)

        assert assert_refused(answer, 401, "invalid-token")["detail"] == "The token has expired."

    @pytest.mark.parametrize(
        ("roles", "status"), [(["customer", "host"], 404), (["customer,host"], 403), (["hosts"], 403), ([], 403)]
    )
    def test_gives_the_roles_that_it_names_and_none_made_of_one_with_a_comma(
        self, world: World, buyer: str, roles: list[str], status: int
    ) -> None:
        answer = self.ask("POST /bookings/{booking_id}/accept", self.token(world, sub=buyer, roles=roles))

        assert answer.status == status, answer.text

    def test_may_have_a_subject_as_long_as_any_that_a_customer_may_have(self, world: World) -> None:
        """255 bytes: in every kind of character."""
        for subject in ("x" * 255, "\U0001f600" * 63, "ü" * 127):
            token = self.token(world, sub=subject)

            assert self.ask("GET /subscription-status", token).json["customer_id"] == subject
            assert self.ask("POST /sync", token).status == 200
            assert self.ask("POST /payment-tokens", token).status == 201
