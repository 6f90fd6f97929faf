"""The storefront's handler: what it serves, how it guards it, and what it refuses."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from paidup.model.offer import Interval, Kind, Offer
from paidup.outside.dynamo.table import Table

from tests.storefront.conftest import SETTINGS
from tests.storefront.event import get
from tools import openapi

PAGES = ["/", "/success", "/cancel", "/account", "/members-area", "/sessions", "/desk"]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_html_that_is_asked_for_each_time(page: str) -> None:
    answer = get(page)
    assert answer["statusCode"] == 200
    assert answer["headers"]["Content-Type"] == "text/html; charset=utf-8"
    assert answer["headers"]["Cache-Control"] == "no-cache"
    assert answer["body"].startswith("<!doctype html>")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_says_where_to_sign_in_and_leaves_no_gap_unfilled(page: str) -> None:
    body = get(page)["body"]
    assert f'<meta name="identity-issuer" content="{SETTINGS["PAIDUP_IDENTITY_ISSUER"]}">' in body
    assert '<meta name="identity-client" content="paidup">' in body
    assert "{{" not in body


@pytest.mark.parametrize("page", PAGES)
def test_everything_that_a_page_names_is_there_and_never_changes(page: str) -> None:
    assets = re.findall(r'(?:href|src)="(/assets/[^"]+)"', get(page)["body"])
    assert len(assets) >= 5
    for asset in assets:
        answer = get(asset)
        assert answer["statusCode"] == 200
        assert answer["headers"]["Cache-Control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize("page", PAGES)
def test_a_page_asks_at_once_for_all_that_its_script_imports(page: str) -> None:
    body = get(page)["body"]
    asked = {Path(one).name for one in re.findall(r'(?:modulepreload" href|script type="module" src)="([^"]+)"', body)}
    imported = {one for name in asked for one in re.findall(r'from "\./(.+?)"', get(f"/assets/{name}")["body"])}
    assert {"page.js", "paidup.js", "openid.js", "live.js"} <= imported <= asked


def test_a_page_marks_where_the_visitor_is_and_has_a_title_of_its_own() -> None:
    bodies = {page: get(page)["body"] for page in PAGES}
    here = {page: re.findall(r'href="([^"]+)" aria-current="page"', body) for page, body in bodies.items()}
    own = {page: [page] for page in ("/", "/account", "/members-area", "/sessions")}
    assert here == own | {"/success": [], "/cancel": [], "/desk": []}
    assert len({re.findall("<title>(.+) · paidup</title>", body)[0] for body in bodies.values()}) == len(PAGES)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("style.css", "text/css"), ("paidup.js", "text/javascript"), ("icon.svg", "image/svg+xml")],
)
def test_an_asset_has_its_type_with_or_without_a_version(name: str, kind: str) -> None:
    plain, of_an_old_page = get(f"/assets/{name}"), get(f"/assets/000000000000/{name}")
    assert plain["headers"]["Content-Type"] == of_an_old_page["headers"]["Content-Type"] == f"{kind}; charset=utf-8"
    assert plain["body"] == of_an_old_page["body"]
    assert of_an_old_page["headers"]["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("path", ["/", "/assets/shop.js"])
def test_what_has_not_changed_is_not_sent_again(path: str) -> None:
    etag = get(path)["headers"]["ETag"]
    again = get(path, **{"if-none-match": f'"another", W/{etag}'})
    assert (again["statusCode"], again["body"]) == (304, "")
    assert again["headers"]["ETag"] == etag
    assert get(path, **{"if-none-match": '"another"'})["statusCode"] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../app.py",
        "/assets/%2e%2e/app.py",
        "/assets/..%2fapp.py",
        "/assets/..\\app.py",
        "/assets/v/../../app.py",
        "/assets//etc/passwd",
        "/assets/x//etc/passwd",
        "/assets/app.py",
        "/assets/openapi.json",
        "/assets/frame.html",
        "/assets/package.json",
        "/assets/paidup.d.ts",
        "/assets/README.md",
        "/assets/shop.html",
        "/assets/",
        "/assets/shop.js%00.css",
        "/assets/nothing.js",
    ],
)
def test_nothing_but_the_site_is_ever_served(path: str) -> None:
    answer = get(path)
    assert answer["statusCode"] == 404
    assert answer["headers"]["Content-Type"] == "application/problem+json"
    assert json.loads(answer["body"])["next"]


@pytest.mark.parametrize("path", [*PAGES, "/assets/shop.js"])
def test_only_our_own_scripts_run_and_they_reach_only_us_and_the_identity_provider(path: str) -> None:
    headers = get(path)["headers"]
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["connect-src"] == "'self' https://identity.example ws://127.0.0.1:8787"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Strict-Transport-Security"]


def test_an_identity_provider_with_several_hosts_is_reached_on_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAIDUP_IDENTITY_ORIGINS", "https://sign-in.example, https://token.example")
    assert (
        "connect-src 'self' https://identity.example https://sign-in.example https://token.example ws://127.0.0.1:8787;"
        in (get("/")["headers"]["Content-Security-Policy"])
    )


def test_the_socket_that_tells_of_changes_may_be_reached_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAIDUP_REALTIME_URL", "wss://socket.example/realtime")

    answer = get("/members-area")

    assert (
        "connect-src 'self' https://identity.example wss://socket.example;"
        in (answer["headers"]["Content-Security-Policy"])
    )
    assert '<meta name="realtime" content="wss://socket.example/realtime">' in answer["body"]


def test_the_pages_hold_no_script_and_no_style_of_their_own() -> None:
    for page in PAGES:
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", get(page)["body"])


def test_what_is_for_sale_is_listed_for_everybody(shelf: Table) -> None:
    shelf.put_offer(Offer(offer_id="ten", name="Ten", kind=Kind.PASS, amount=12000, currency="eur", valid_days=180))
    shelf.put_offer(
        Offer(
            offer_id="monthly",
            name="Monthly",
            kind=Kind.SUBSCRIPTION,
            amount=4900,
            currency="eur",
            interval=Interval.MONTH,
        )
    )
    monthly, ten = json.loads(get("/offers")["body"])["offers"]
    assert ten | {"kind": "pass", "amount": 12000, "valid_days": 180, "providers": ["stripe"]} == ten
    assert monthly | {"kind": "subscription", "currency": "eur", "interval": "month"} == monthly


def test_an_empty_shop_lists_nothing(shelf: Table) -> None:
    assert json.loads(get("/offers")["body"]) == {"offers": []}


def test_the_description_says_what_the_code_says() -> None:
    served = json.loads(get("/openapi.json")["body"])
    assert served == openapi.describe(), "run `python -m tools.openapi`"


def test_the_description_has_every_route_of_the_api_and_who_may_call_it() -> None:
    paths: dict[str, Any] = json.loads(get("/openapi.json")["body"])["paths"]
    assert paths["/payment-tokens"]["post"]["security"] == [{"identity": []}]
    assert paths["/subscription-status/{checkout_id}"]["get"]["security"] == [{"identity": []}]
    assert paths["/sync"]["post"]["summary"]
    assert paths["/offers"]["get"]["security"] == []


def test_a_refusal_has_the_fields_that_the_description_gives_it() -> None:
    described = json.loads(get("/openapi.json")["body"])["components"]["schemas"]["Refusal"]
    refusal = json.loads(get("/assets/nothing.js")["body"])
    assert set(refusal) == set(described["required"])
    assert set(refusal) <= set(described["properties"])
