"""The identity stand-in: tokens for the asking, keys that rotate, and sign-in as a browser does it."""

import base64
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest

from tests import patient
from tests.contract.drive import DAY, Driver
from tools.fakes.server import serve

REDIRECT = "http://127.0.0.1:8787/account"
VERIFIER = "v" * 50
CHALLENGE = base64.urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


def _token(driver: Driver, **claims: Any) -> dict[str, Any]:
    answer = driver.http.post("/identity/token", json={"sub": "c1", "email": "ada@example.com", **claims})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def _verified(driver: Driver, token: str, **options: Any) -> dict[str, Any]:
    keys = jwt.PyJWKSet.from_dict(driver.http.get("/identity/.well-known/jwks.json").json())
    header = jwt.get_unverified_header(token)
    claims: dict[str, Any] = jwt.decode(
        token,
        keys[header["kid"]].key,
        algorithms=[header["alg"]],
        issuer=driver.fakes.issuer,
        **{"audience": "paidup", "options": {"verify_exp": False, "verify_nbf": False, "verify_iat": False}} | options,
    )
    return claims


@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA"])
def test_a_token_verifies_by_the_published_keys(driver: Driver, alg: str) -> None:
    answer = _token(driver, roles=["support"], alg=alg)
    assert answer["token"] == answer["access_token"] == answer["id_token"]
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 12 * 3600)
    claims = _verified(driver, answer["token"])
    assert (claims["sub"], claims["email"], claims["roles"]) == ("c1", "ada@example.com", ["support"])
    assert claims["exp"] - claims["iat"] == 12 * 3600
    assert claims["iat"] == claims["nbf"]


def test_a_token_is_stamped_with_the_stand_ins_time(driver: Driver) -> None:
    now = driver.advance(100 * DAY)
    claims = _verified(
        driver, _token(driver, expires_in=-5, not_before=60, audience="other")["token"], audience="other"
    )
    assert claims["iat"] == now
    assert (claims["exp"] - claims["iat"], claims["nbf"] - claims["iat"]) == (-5, 60)


def test_discovery_names_what_is_there(driver: Driver) -> None:
    answer = driver.http.get("/identity/.well-known/openid-configuration", headers={"Origin": "http://127.0.0.1:8787"})
    found = answer.json()
    assert answer.headers["access-control-allow-origin"] == "*"
    assert found["issuer"] == driver.fakes.issuer
    assert patient.get(found["jwks_uri"]).json()["keys"]
    assert found["code_challenge_methods_supported"] == ["S256"]


def test_a_browser_may_ask_before_it_asks(driver: Driver) -> None:
    answer = driver.http.options("/identity/token")
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (204, "*")


def test_after_a_rotation_old_tokens_verify_until_their_keys_are_retired(driver: Driver) -> None:
    old = _token(driver)["token"]
    driver.http.post("/identity/rotate")
    new = _token(driver)["token"]
    assert jwt.get_unverified_header(new)["kid"] != jwt.get_unverified_header(old)["kid"]
    assert _verified(driver, old)
    assert _verified(driver, new)
    driver.http.post("/identity/rotate", json={"retire": True})
    with pytest.raises(KeyError):
        _verified(driver, old)


def test_keys_survive_a_restart(tmp_path: Path) -> None:
    keys = []
    for _ in range(2):
        with serve(state=tmp_path) as fakes:
            url = f"{fakes.issuer}/.well-known/jwks.json"
            keys.append(patient.get(url).json())
    assert keys[0] == keys[1]
    assert {key["alg"] for key in keys[0]["keys"]} == {"RS256", "ES256", "EdDSA"}
    assert not any("d" in key for key in keys[0]["keys"])


BAD: tuple[dict[str, Any], ...] = (
    {},
    {"sub": ""},
    {"sub": 1},
    {"sub": "c", "roles": "support"},
    {"sub": "c", "alg": "none"},
    {"sub": "c", "alg": "HS256"},
    {"sub": "c", "admin": True},
    {"sub": "c", "expires_in": "1h"},
)


@pytest.mark.parametrize("body", BAD, ids=str)
def test_claims_that_make_no_sense_are_refused(driver: Driver, body: dict[str, Any]) -> None:
    answer = driver.http.post("/identity/token", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


def _authorization(**changed: str) -> dict[str, str]:
    return {
        "response_type": "code",
        "client_id": "paidup",
        "redirect_uri": REDIRECT,
        "state": "s1",
        "nonce": "n1",
        "scope": "openid email",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    } | changed


def _code(driver: Driver) -> str:
    form: dict[str, Any] = _authorization() | {"email": "Ada@example.com", "roles": ["support", "host"]}
    answer = driver.http.post("/identity/authorize", data=form)
    assert answer.status_code == 303
    parts = urlsplit(answer.headers["location"])
    query = parse_qs(parts.query)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == REDIRECT
    assert (query["state"], query["iss"]) == (["s1"], [driver.fakes.issuer])
    return query["code"][0]


def _redeem(driver: Driver, code: str, **changed: str) -> httpx.Response:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "client_id": "paidup"}
    return driver.http.post("/identity/token", data=form | {"code_verifier": VERIFIER} | changed)


def test_a_browser_signs_in_with_pkce(driver: Driver) -> None:
    form = driver.http.get("/identity/authorize", params=_authorization())
    assert form.status_code == 200
    for part in ('name="state" value="s1"', 'for="email"', 'value="support"'):
        assert part in form.text
    answer = _redeem(driver, _code(driver))
    assert answer.headers["access-control-allow-origin"] == "*"
    claims = _verified(driver, answer.json()["id_token"])
    assert (claims["email"], claims["roles"], claims["nonce"]) == ("Ada@example.com", ["support", "host"], "n1")
    again = _verified(driver, _redeem(driver, _code(driver)).json()["id_token"])
    assert again["sub"] == claims["sub"]


def test_a_refresh_token_is_good_once_and_gives_the_next_one(driver: Driver) -> None:
    first = _redeem(driver, _code(driver)).json()
    form = {"grant_type": "refresh_token", "client_id": "paidup"}

    second = driver.http.post("/identity/token", data=form | {"refresh_token": first["refresh_token"]})
    again = driver.http.post("/identity/token", data=form | {"refresh_token": first["refresh_token"]})

    assert _verified(driver, second.json()["id_token"])["sub"] == _verified(driver, first["id_token"])["sub"]
    assert second.json()["refresh_token"] != first["refresh_token"]
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


def test_a_code_works_once_for_a_minute_and_with_its_verifier(driver: Driver) -> None:
    code = _code(driver)
    assert _redeem(driver, code).status_code == 200
    assert _redeem(driver, code).json()["error"] == "invalid_grant"
    assert _redeem(driver, _code(driver), code_verifier="w" * 50).json()["error"] == "invalid_grant"
    assert _redeem(driver, _code(driver), redirect_uri="http://localhost/x").json()["error"] == "invalid_grant"
    assert _redeem(driver, _code(driver), grant_type="password").json()["error"] == "unsupported_grant_type"
    late = _code(driver)
    driver.advance(61)
    assert _redeem(driver, late).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "changed",
    [
        {"redirect_uri": "https://evil.example/x"},
        {"redirect_uri": "http://127.0.0.1.evil.example/"},
        {"redirect_uri": "javascript:alert(1)"},
        {"client_id": "other"},
        {"response_type": "token"},
        {"code_challenge_method": "plain"},
        {"code_challenge": ""},
    ],
    ids=str,
)
def test_an_authorization_request_that_is_not_ours_is_refused(driver: Driver, changed: dict[str, str]) -> None:
    assert driver.http.get("/identity/authorize", params=_authorization(**changed)).status_code == 400


def test_what_the_request_carried_is_escaped_on_the_page(driver: Driver) -> None:
    html = driver.http.get("/identity/authorize", params=_authorization(state='"><script>')).text
    assert "<script>" not in html


def test_signing_out_leads_back_to_this_machine_only(driver: Driver) -> None:
    back = driver.http.get("/identity/logout", params={"post_logout_redirect_uri": REDIRECT})
    assert (back.status_code, back.headers["location"]) == (303, REDIRECT)
    away = driver.http.get("/identity/logout", params={"post_logout_redirect_uri": "https://evil.example"})
    assert away.status_code == 400
    assert "signed out" in driver.http.get("/identity/logout").text
