"""The front door: what API Gateway does between a client and a function."""

import asyncio
import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import patient
from tests.alone import in_a_thread
from tests.local.conftest import ECHO
from tests.local.test_stack import descendants
from tests.local.test_template import resolver
from tools.local import template
from tools.local.background import Background
from tools.local.deployment import DEPENDENCIES, PACKAGE
from tools.local.door import Door
from tools.local.functions import Function, runtime_folder
from tools.local.worker import Code

ANN = {"authorization": "Bearer ann"}


def event_of(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    event: dict[str, Any] = answer.json()["event"]
    return event


def workers_of(stack: Background, function: str) -> set[int]:
    """Return the processes that work in a function's folder."""
    folder = ECHO.parent / "functions" / function
    return {pid for pid in descendants(stack.process.pid) if Path(f"/proc/{pid}/cwd").readlink() == folder}


def test_a_json_body_reaches_the_function_byte_for_byte(echo: Background) -> None:
    body = '{"amount":  1, "näme": "\\u00e4"}\n'
    headers = {"content-type": "application/json; charset=utf-8", "Stripe-Signature": "t=1,v1=ab"}
    event = event_of(patient.post(f"{echo.url}/public", content=body.encode(), headers=headers))
    assert event["body"] == body
    assert event["isBase64Encoded"] is False
    assert event["headers"]["stripe-signature"] == "t=1,v1=ab"


@pytest.mark.parametrize("kind", ["application/octet-stream", "application/json"])
def test_bytes_that_are_no_text_reach_the_function_in_base64(echo: Background, kind: str) -> None:
    body = bytes(range(256))
    event = event_of(patient.post(f"{echo.url}/public", content=body, headers={"content-type": kind}))
    assert event["isBase64Encoded"] is True
    assert base64.b64decode(event["body"]) == body


def test_a_request_becomes_an_event_of_payload_2_0(echo: Background) -> None:
    asked = patient.get(
        f"{echo.url}/things/a%20b?x=1&y=2&x=3",
        headers=[*ANN.items(), ("Cookie", "a=1; b=2"), ("X-Twice", "1"), ("X-Twice", "2")],
    )
    event = event_of(asked)
    assert event["version"] == "2.0"
    assert event["routeKey"] == event["requestContext"]["routeKey"] == "GET /things/{thing}"
    assert event["pathParameters"] == {"thing": "a b"}
    assert event["queryStringParameters"] == {"x": "1,3", "y": "2"}
    assert event["rawQueryString"] == "x=1&y=2&x=3"
    assert event["cookies"] == ["a=1", "b=2"]
    assert event["headers"]["x-twice"] == "1,2"
    assert "cookie" not in event["headers"]
    assert event["requestContext"]["http"]["method"] == "GET"
    assert event["requestContext"]["requestId"] == asked.headers["apigw-requestid"]


def test_the_more_exact_route_wins(echo: Background) -> None:
    assert event_of(patient.get(f"{echo.url}/things/newest", headers=ANN))["routeKey"] == "GET /things/newest"
    deep = event_of(patient.get(f"{echo.url}/assets/a/b.js"))
    assert deep["pathParameters"] == {"proxy": "a/b.js"}


def test_an_answer_becomes_a_response(echo: Background) -> None:
    response = patient.post(f"{echo.url}/public", headers={"do": "cookies"})
    assert response.status_code == 201
    assert response.content == b"\x00\x01\xff"
    assert response.headers["content-type"] == "x/y"
    assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]


def test_what_the_authorizer_says_reaches_the_function(echo: Background) -> None:
    event = event_of(patient.get(f"{echo.url}/things/1", headers=ANN))
    assert event["requestContext"]["authorizer"] == {"lambda": {"customer_id": "ann", "route": "GET /things/{thing}"}}


@pytest.mark.parametrize("headers", [{}, {"authorization": ""}, {"authorization": "Bearer nobodys"}])
def test_the_authorizer_is_asked_whatever_the_headers_are(echo: Background, headers: dict[str, str]) -> None:
    """The template names no identity source."""
    event = event_of(patient.get(f"{echo.url}/things/1", headers=headers))
    assert event["requestContext"]["authorizer"] == {"lambda": {"refused": "unauthorized"}}


def test_nobody_comes_in_whom_the_authorizer_does_not_let_in(echo: Background) -> None:
    refused = patient.get(f"{echo.url}/things/1", headers={"authorization": "Bearer bob"})
    assert refused.status_code == 403
    assert refused.headers["content-type"] == "application/problem+json"
    problem = refused.json()
    assert problem["status"] == 403
    assert problem["request_id"] == refused.headers["apigw-requestid"]
    assert problem["next"]


@pytest.mark.parametrize(("who", "why"), [("chaos", "the keys cannot be fetched"), ("eve", "Exception: Unauthorized")])
def test_an_authorizer_that_raises_is_our_fault_not_the_callers(echo: Background, who: str, why: str) -> None:
    """Whatever it raises: no documentation of HTTP APIs promises 401 for any of it."""
    refused = patient.get(f"{echo.url}/things/1", headers={"authorization": f"Bearer {who}"})
    assert refused.status_code == 500
    assert refused.json()["retryable"] is True
    assert why in echo.console


def test_an_unknown_route_is_a_problem_that_says_where_to_look(echo: Background) -> None:
    for method, path in (("GET", "/nothing"), ("DELETE", "/public"), ("HEAD", "/assets/a")):
        refused = patient.request(method, f"{echo.url}{path}")
        assert refused.status_code == 404
    assert patient.get(f"{echo.url}/nothing").json()["next"] == "GET /openapi.json lists what there is."


def test_whoever_is_not_signed_in_is_told_so_before_the_body_is_looked_at_and_a_browser_can_read_it(
    tmp_path: Path,
) -> None:
    """By the deployed template's own routes, authorizer and functions."""
    described = template.read()
    path = (DEPENDENCIES, PACKAGE, runtime_folder(tmp_path / "runtime"))
    known = resolver(
        AllowedOrigins=["https://shop.example"],
        IdentityIssuer="https://identity.example",
        IdentityAudience="paidup",
        IdentityJwksUrl="http://127.0.0.1:9",
    )
    protected = [route for route in described.routes if route.protected]

    async def request() -> list[httpx.Response]:
        functions = {
            name: Function(Code.of(one, path=path, environment=known.environment(one)), log=tmp_path / name, most=1)
            for name, one in described.functions.items()
        }
        door = Door(described, functions, origins=["https://shop.example"], now=time.time, tell=print)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(door.app), base_url="http://door") as client:
            tokens: list[dict[str, str]] = [{}, {"authorization": "Bearer nobodys"}]
            answers = [
                await client.request(
                    route.method, route.path, content="{", headers={"origin": "https://shop.example", **headers}
                )
                for headers in tokens
                for route in protected
            ]
        for function in functions.values():
            await function.stop()
        return answers

    answers = in_a_thread(request())

    for answer in answers:
        assert answer.status_code == 401, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        assert answer.json()["request_id"] == answer.headers["apigw-requestid"]
    challenges = [answer.headers["www-authenticate"] for answer in answers]
    invalid = 'Bearer error="invalid_token", error_description="The token is not valid (DecodeError)."'
    assert challenges == ["Bearer"] * len(protected) + [invalid] * len(protected)


@pytest.mark.parametrize(
    ("path", "what", "told"),
    [
        ("/public", "crash", "ValueError: told to"),
        ("/public", "exit", "Runtime.ExitError"),
        ("/hasty", "hang", "timed out after 3"),
    ],
)
def test_a_function_that_fails_is_a_500_and_told_at_the_console(
    echo: Background, path: str, what: str, told: str
) -> None:
    refused = patient.post(f"{echo.url}{path}", headers={"do": what})
    assert refused.status_code == 500
    assert refused.headers["content-type"] == "application/problem+json"
    assert told not in refused.text
    assert told in echo.console
    assert patient.post(f"{echo.url}{path}").status_code == 200


def test_only_the_templates_origins_may_call_from_a_browser(echo: Background) -> None:
    asking = {"access-control-request-method": "GET", "access-control-request-headers": "authorization"}
    ours = patient.options(f"{echo.url}/things/1", headers={"origin": echo.url, **asking})
    assert ours.headers["access-control-allow-origin"] == echo.url
    assert "authorization" in ours.headers["access-control-allow-headers"].lower()
    theirs = patient.options(f"{echo.url}/things/1", headers={"origin": "https://evil.example", **asking})
    assert "access-control-allow-origin" not in theirs.headers


def test_more_requests_than_workers_wait_in_line_for_the_workers_that_there_are(echo: Background) -> None:
    """Processes are counted beside those that answered: one too many may not be ready before all is answered."""
    with ThreadPoolExecutor(20) as threads, httpx.Client(timeout=patient.WAIT_S) as client:
        asked = [threads.submit(client.post, f"{echo.url}/public", headers={"do": "wait"}) for _ in range(20)]
        answers = [one.result() for one in asked]
    assert {one.status_code for one in answers} == {200}
    working = workers_of(echo, "echo")
    assert {one.json()["pid"] for one in answers} <= working
    assert len(working) <= 2


def test_a_function_does_only_what_its_policies_allow(echo: Background) -> None:
    assert patient.post(f"{echo.url}/public", headers={"do": "put"}).status_code == 200
    assert patient.post(f"{echo.url}/public", headers={"do": "scan"}).status_code == 500
    assert "AccessDeniedException" in echo.console


def test_functions_are_invoked_by_name_as_on_aws(echo: Background) -> None:
    answer = echo.functions.invoke(FunctionName="echo", Payload=json.dumps({"a": 1}).encode())
    assert json.loads(answer["Payload"].read())["event"] == {"a": 1}
    failed = echo.functions.invoke(FunctionName="echo", Payload=json.dumps({"do": "crash"}).encode())
    assert failed["FunctionError"] == "Unhandled"
    with pytest.raises(echo.functions.exceptions.ResourceNotFoundException, match="nobody"):
        echo.functions.invoke(FunctionName="nobody")


def test_a_function_sees_the_templates_settings_and_the_movable_clock(echo: Background) -> None:
    environment = patient.post(f"{echo.url}/public").json()["environment"]
    assert environment["TABLE"] == "paidup-Table"
    assert environment["PAIDUP_CLOCK_FILE"] == str(echo.folder / "clock")
    answer = echo.functions.invoke(FunctionName="echo", Payload=b"{}")
    assert 0 < json.loads(answer["Payload"].read())["left_ms"] <= 60_000


def test_who_waits_too_long_is_sent_away_with_a_time_to_come_back(tmp_path: Path) -> None:
    described = template.read(ECHO)
    path = (DEPENDENCIES, runtime_folder(tmp_path / "runtime"))

    async def crowd() -> list[httpx.Response]:
        code = Code.of(described.functions["echo"], path=path, environment={"AWS_REGION": "eu-west-1"})
        function = Function(code, log=tmp_path / "log", most=1)
        await function.warm()
        everything = dict.fromkeys(described.functions, function)
        door = Door(described, everything, origins=[], now=time.time, tell=print, wait_s=0.1)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(door.app), base_url="http://door") as client:
            until = tmp_path / "until"
            served = asyncio.create_task(client.post("/public", headers={"do": "hold", "until": str(until)}))
            while not until.with_suffix(".begun").exists():
                await asyncio.sleep(0.01)
            turned_away = await asyncio.gather(*[client.post("/public") for _ in range(3)])
            until.touch()
            answers = [await served, *turned_away]
        await function.stop()
        return answers

    served, *turned_away = in_a_thread(crowd())
    assert served.status_code == 200
    assert [one.status_code for one in turned_away] == [503, 503, 503]
    assert {one.headers["retry-after"] for one in turned_away} == {"2"}
