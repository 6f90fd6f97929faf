"""The storefront: the shop's pages and their assets, what is for sale, and the description of the whole API."""

import html
import json
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aws_lambda_powertools.event_handler import Response
from paidup.edge import settings
from paidup.edge.http import answer, api, entry
from paidup.model.offer import Offer
from paidup.model.refusal import NotFound
from paidup.outside import table
from pydantic import BaseModel

SITE = Path(__file__).with_name("site")
DESCRIPTION = Path(__file__).with_name("openapi.json")
TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}
ASK_EACH_TIME = "no-cache"
KEEP = "public, max-age=31536000, immutable"

settings.require("PAIDUP_TABLE", "PAIDUP_IDENTITY_ISSUER", "PAIDUP_IDENTITY_AUDIENCE")
app = api()


class OfferView(BaseModel):
    """Something on sale: `amount` in minor units of `currency` (lower-case ISO 4217)."""

    offer_id: str
    name: str
    kind: str
    amount: int
    currency: str
    description: str
    interval: str | None = None
    valid_days: int | None = None
    trial_days: int | None = None
    providers: list[str]

    @classmethod
    def of(cls, offer: Offer) -> "OfferView":
        """Return the view of *offer*."""
        return cls.model_validate(offer, from_attributes=True)


class Offers(BaseModel):
    """Everything on sale."""

    offers: list[OfferView]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The files of the site by name, as they are sent. `version` names this very set of them."""

    version: str
    files: dict[str, str]


@cache
def site() -> Site:
    """Return the site, its pages filled in with where people sign in."""
    files = {path.name: path.read_text(encoding="utf-8") for path in sorted(SITE.iterdir()) if path.suffix in TYPES}
    version = sha256("".join(files.values()).encode()).hexdigest()[:12]
    words = {
        "assets": f"/assets/{version}",
        "issuer": settings.text("PAIDUP_IDENTITY_ISSUER"),
        "client": settings.text("PAIDUP_IDENTITY_AUDIENCE"),
    }
    for page in (name for name in files if name.endswith(".html")):
        for word, value in words.items():
            files[page] = files[page].replace(f"{{{{{word}}}}}", html.escape(value))
    return Site(version=version, files=files)


@cache
def guards() -> dict[str, str]:
    """Return the headers that keep a page to our own scripts and to the identity provider's answers.

    Cognito's issuer is another host than the one that answers for it; PAIDUP_IDENTITY_ORIGINS names such hosts.
    """
    issuer = urlsplit(settings.text("PAIDUP_IDENTITY_ISSUER"))
    others = settings.optional("PAIDUP_IDENTITY_ORIGINS").replace(",", " ").split()
    reached = " ".join(["'self'", f"{issuer.scheme}://{issuer.netloc}", *others])
    return {
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        f"connect-src {reached}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Referrer-Policy": "same-origin",
        "Strict-Transport-Security": "max-age=31536000",
        "X-Content-Type-Options": "nosniff",
    }


def send(name: str, cache_control: str = ASK_EACH_TIME) -> Response[str]:
    """Return the site's file *name*, or that it has not changed since the caller got it."""
    text = site().files.get(name)
    if text is None:
        raise NotFound("file", name)
    etag = f'"{sha256(text.encode()).hexdigest()[:20]}"'
    unchanged = etag in (app.current_event.headers.get("if-none-match") or "")
    return Response(
        status_code=HTTPStatus.NOT_MODIFIED if unchanged else HTTPStatus.OK,
        content_type=f"{TYPES[Path(name).suffix]}; charset=utf-8",
        body="" if unchanged else text,
        headers={**guards(), "Cache-Control": cache_control, "ETag": etag},
    )


@app.get("/", include_in_schema=False)
def shop() -> Response[str]:
    """Return the shop."""
    return send("shop.html")


@app.get("/success", include_in_schema=False)
def success() -> Response[str]:
    """Return where buyers come back to after paying."""
    return send("success.html")


@app.get("/cancel", include_in_schema=False)
def cancel() -> Response[str]:
    """Return where buyers come back to without paying."""
    return send("cancel.html")


@app.get("/account", include_in_schema=False)
def account() -> Response[str]:
    """Return the page of what a customer has."""
    return send("account.html")


@app.get("/sessions", include_in_schema=False)
def sessions() -> Response[str]:
    """Return the page of those who give live sessions."""
    return send("sessions.html")


@app.get("/assets/<name>", include_in_schema=False)
def asset(name: str) -> Response[str]:
    """Return an asset as it is now."""
    return send(name)


@app.get("/assets/<version>/<name>", include_in_schema=False)
def asset_for_good(version: str, name: str) -> Response[str]:
    """Return an asset of one version, which never changes; of another version than ours, as it is now."""
    return send(name, KEEP if version == site().version else ASK_EACH_TIME)


@app.get("/offers")
def offers() -> Response[Offers]:
    """List everything on sale."""
    shelf = table.connect(settings.text("PAIDUP_TABLE"), settings.policy())
    return answer(Offers(offers=[OfferView.of(offer) for offer in shelf.offers()]))


@app.get("/openapi.json")
def openapi() -> Response[dict[str, Any]]:
    """Describe the whole API (OpenAPI 3.1)."""
    return answer(json.loads(DESCRIPTION.read_text(encoding="utf-8")))


handler = entry(app)
